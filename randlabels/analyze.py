"""Front door 2: eigen-analysis of the checkpoints of a run, or of a kernel that others trained.

python -m randlabels.analyze --workdir=runs/base [--layers=conv1,dense1] [--inputs=initialisation]
python -m randlabels.analyze --weights=model.safetensors --kernel=conv1.weight --data=cifar10

The first writes analysis/alignment.json and figures/*.png into the workdir, and last what makes it
whole; the second a page, its figures and numbers into a folder beside the weights, or --workdir.
"""

from pathlib import Path

from absl import flags

from randlabels import frontdoor
from randlabels.analysis.run_analysis import INPUTS, MAX_BASES, analyze, page_path
from randlabels.errors import InputError
from randlabels.proofs import FINISHED
from randlabels.runs import Run, load_run
from randlabels.states import summary


def main() -> None:
    """Analyse the run or the weights that the flags name."""
    from randlabels import hosts
    from randlabels.analysis.records import alignment_path
    from randlabels.analysis.run_page import as_text, left_out, table, truncations

    values = flags.FLAGS
    if values.weights:
        if hosts.is_first():
            _compare_weights()
        return
    layers = tuple(values.layers)
    chosen = values.inputs, values.random_bases, values.minutes, values.leading
    alignment = analyze(values.workdir, layers, *chosen)
    if not hosts.is_first():
        return
    print("\n".join([as_text(table(alignment)), *truncations(alignment), ""]))
    print(f"Numbers: {alignment_path(values.workdir)}\nFigures: {Path(values.workdir) / 'figures'}")
    print(f"Page: {page_path(values.workdir)}")
    print(f"Read: {_read(load_run(values.workdir))}{left_out(alignment)}")


def _compare_weights() -> None:
    from randlabels.compare import compare_weights

    values = flags.FLAGS
    if values.layers or values.leading or values.inputs != INPUTS[0]:
        raise InputError(
            "--layers, --leading and --inputs are for --workdir of a run, not for --weights."
        )
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
    flags.DEFINE_float("minutes", 15, "A layer that would take longer is not analysed.", 0)
    flags.DEFINE_integer(
        "leading", 0, "Eigenvectors of the inputs along which large layers are analysed; 0: all.", 0
    )
    flags.DEFINE_string("weights", "", "File of weights that others trained, in place of a run.")
    flags.DEFINE_string("start", "", "The same weights before training, if there are such.")
    flags.DEFINE_string("kernel", "", "Name of the first layer's kernel in that file.")
    flags.DEFINE_string("data", "", "Data set to compare it with.")
    flags.DEFINE_string("data_dir", "", "Where prepared data sets are; TFDS's default if empty.")
    flags.DEFINE_integer("image_size", 0, "Width to average images down to; 0: as they are.", 0)
    flags.DEFINE_enum("order", "auto", ["auto", "flax", "torch"], "Of the axes of the kernel.")
    flags.DEFINE_integer("strides", 1, "Of the convolution.", 1, 64)
    flags.DEFINE_enum("padding", "VALID", ["VALID", "SAME"], "Of the convolution.")
    frontdoor.define_distributed()
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
