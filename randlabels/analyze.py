"""Front door 2: eigen-analysis of the checkpoints of a run, or of a kernel that others trained.

python -m randlabels.analyze --workdir=runs/base [--layers=conv1,dense1] [--inputs=initialisation]
python -m randlabels.analyze --weights=model.safetensors --kernel=conv1.weight --data=cifar10

The first writes analysis/alignment.json and figures/*.png into the workdir, and last what makes it
whole; the second a page, its figures and numbers into a folder beside the weights, or --workdir.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags, logging

from randlabels import frontdoor, records
from randlabels.disk import remove_temporaries
from randlabels.errors import InputError
from randlabels.owner import owned
from randlabels.proofs import FINISHED
from randlabels.runs import Run, load_run
from randlabels.states import refuse_if_all_lost, summary

if TYPE_CHECKING:
    from randlabels.analysis.records import Alignment

INPUTS = ("checkpoint", "initialisation")
MAX_BASES = 10**5


def analyze(
    workdir: str | Path,
    layers: Sequence[str] = (),
    inputs: str = "checkpoint",
    random_bases: int = 200,
) -> "Alignment":
    """Analyse all checkpoints of a run, write alignment.json and the figures, return the former.

    Args:
        workdir: of the run.
        layers: paths of layers; () is the first layer, the paper's, and ("all",) is every layer.
        inputs: whose covariance is Sigma_x of a deeper layer: its inputs at the same "checkpoint",
            or at "initialisation".
        random_bases: how many, for each misalignment.

    Raises:
        InputError: if there is no run, no checkpoint or no such layer (nothing is written then), or
            the workdir is in use or cannot be written to.
        AllLostError: if all networks diverged or died; nothing is written then.
    """
    # Imported late, so that a wrong flag is answered at once.
    from randlabels.analysis.alignment_of_run import alignment_of_run
    from randlabels.analysis.manifest import write_manifest
    from randlabels.analysis.records import Alignment, alignment_path

    if inputs not in INPUTS:
        raise InputError(f"--inputs is {inputs!r}; it may be {' or '.join(INPUTS)}.")
    if not 1 <= random_bases <= MAX_BASES:
        raise InputError(f"--random_bases is {random_bases}; give from 1 to {MAX_BASES}.")
    workdir = Path(workdir)
    with owned(workdir):
        run = load_run(workdir)
        refuse_if_all_lost(workdir, run.networks)
        path = alignment_path(workdir)
        if path.parent.is_symlink():  # two runs would write into one folder
            raise InputError(f"{path.parent} is a link; remove it.")
        _warn(run)
        alignment = alignment_of_run(run, layers, inputs, random_bases)
        path.parent.mkdir(exist_ok=True)
        records.write_json(path, alignment.to_json())
        alignment = Alignment.from_json(records.read_json(path))  # as whoever reads it would
        _warn_of_missing(alignment)
        figures = _draw(alignment, workdir / "figures")
        write_manifest(workdir, _arguments(layers, inputs, random_bases), [path, *figures])
    return alignment


def is_analysed(
    workdir: Path,
    layers: Sequence[str] = (),
    inputs: str = "checkpoint",
    random_bases: int = 200,
) -> bool:
    """Whether all that `analyze` would write is there and whole."""
    from randlabels.analysis.manifest import is_whole

    return is_whole(workdir, _arguments(layers, inputs, random_bases))


def _arguments(layers: Sequence[str], inputs: str, random_bases: int) -> dict[str, Any]:
    return {"layers": list(layers), "inputs": inputs, "random_bases": random_bases}


def _warn(run: Run) -> None:
    """Say which networks are left out, and which are not although they learned nothing."""
    lost = [row.network for row in run.networks if row.lost]
    untrained = [row.network for row in run.networks if row.state == "untrained"]
    if lost:
        logging.warning("Networks %s diverged or died, and are left out.", lost)
    if untrained:
        logging.warning("Networks %s ended at chance; they are analysed all the same.", untrained)


def _warn_of_missing(alignment: "Alignment") -> None:
    """Say of which layers all networks together have no misalignment, and why."""
    pooled = (record for record in alignment.records if record.network is None)
    for layer, reason in dict.fromkeys((one.layer, one.reason) for one in pooled if one.reason):
        logging.warning("There is no misalignment of %s: %s", layer, reason)


def _draw(alignment: "Alignment", folder: Path) -> list[Path]:
    """Draw the figures; returns their files."""
    from randlabels.figures import style
    from randlabels.figures.alignment_figures import alignment_figures

    folder.mkdir(exist_ok=True)
    remove_temporaries(folder)
    files = []
    for layer in alignment.data:
        for name, (figure, _) in alignment_figures(alignment, layer).items():
            files.append(folder / f"{name}.png")
            style.save(figure, files[-1])
    return files


def main() -> None:
    """Analyse the run or the weights that the flags name."""
    from randlabels.analysis.records import alignment_path

    values = flags.FLAGS
    if values.weights:
        _compare_weights()
        return
    layers = tuple(values.layers)
    analyze(values.workdir, layers, values.inputs, values.random_bases)
    print(f"Numbers: {alignment_path(values.workdir)}\nFigures: {Path(values.workdir) / 'figures'}")
    print(f"Read: {_read(load_run(values.workdir))}")


def _compare_weights() -> None:
    from randlabels.compare import compare_weights

    values = flags.FLAGS
    if values.layers or values.inputs != INPUTS[0]:
        raise InputError("--layers and --inputs are for --workdir of a run, not for --weights.")
    found, folder = compare_weights(
        values.weights,
        values.kernel,
        values.data,
        start=values.start,
        data_dir=values.data_dir,
        image_size=values.image_size,
        order=values.order,
        strides=values.strides,
        padding=values.padding,
        random_bases=values.random_bases,
        folder=values.workdir or "",
    )
    print(f"{found}\n\nPage: {folder / 'page.html'}")


def _define_flags() -> None:
    flags.DEFINE_string("workdir", None, "Folder of the run; of the page with --weights.")
    frontdoor.must_be_given("workdir")
    flags.DEFINE_list("layers", [], "Layers to analyse, or all; the first if not given.")
    flags.DEFINE_enum("inputs", INPUTS[0], INPUTS, "Whose inputs of a deeper layer to take.")
    flags.DEFINE_integer("random_bases", 200, "Random bases to compare with.", 1, MAX_BASES)
    flags.DEFINE_string("weights", "", "File of weights that others trained, in place of a run.")
    flags.DEFINE_string("start", "", "The same weights before training, if there are such.")
    flags.DEFINE_string("kernel", "", "Name of the first layer's kernel in that file.")
    flags.DEFINE_string("data", "", "Data set to compare it with.")
    flags.DEFINE_string("data_dir", "", "Where prepared data sets are; TFDS's default if empty.")
    flags.DEFINE_integer("image_size", 0, "Width to average images down to; 0: as they are.", 0)
    flags.DEFINE_enum("order", "auto", ["auto", "flax", "torch"], "Of the axes of the kernel.")
    flags.DEFINE_integer("strides", 1, "Of the convolution.", 1, 64)
    flags.DEFINE_enum("padding", "VALID", ["VALID", "SAME"], "Of the convolution.")
    flags.register_multi_flags_validator(
        ["workdir", "weights"],
        lambda values: bool(values["workdir"] or values["weights"]),
        "give --workdir of a run, or --weights.",
    )


def _read(run: Run) -> str:
    """What was analysed: the networks, and how far they have come if they are not finished."""
    state, epochs = run.status["state"], run.config["train"]["epochs"]
    if state in FINISHED or not run.steps:
        return summary(run.networks)
    epoch = run.steps[-1] // run.steps_per_epoch
    return f"{summary(run.networks)}; training is {state}, at epoch {epoch} of {epochs}"


if __name__ == "__main__":
    # Not defined at import: other front doors import analyze() and have flags of their own.
    _define_flags()
    frontdoor.run(main)
