"""Front door 2: eigen-analysis of the checkpoints of a run.

python -m randlabels.analyze --workdir=runs/base [--layers=conv1,dense1] [--inputs=initialisation]

Writes analysis/alignment.json and figures/*.png into the workdir.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from randlabels import frontdoor, records
from randlabels.errors import InputError
from randlabels.runs import load_run

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
        InputError: if there is no run, no checkpoint or no such layer; nothing is written then.
    """
    # Imported late, so that a wrong flag is answered at once.
    from randlabels.analysis.alignment_of_run import alignment_of_run
    from randlabels.analysis.records import alignment_path

    if inputs not in INPUTS:
        raise InputError(f"--inputs is {inputs!r}; it may be {' or '.join(INPUTS)}.")
    if not 1 <= random_bases <= MAX_BASES:
        raise InputError(f"--random_bases is {random_bases}; give from 1 to {MAX_BASES}.")
    run = load_run(workdir)
    alignment = alignment_of_run(run, layers, inputs, random_bases)
    path = alignment_path(workdir)
    path.parent.mkdir(exist_ok=True)
    records.write_json(path, alignment.to_json())
    return _draw(workdir)


def _draw(workdir: str | Path) -> "Alignment":
    """Draw the figures from what was written, and return it."""
    from randlabels.analysis.records import load_alignment
    from randlabels.figures import style
    from randlabels.figures.alignment_figures import alignment_figures

    alignment = load_alignment(workdir)
    folder = Path(workdir) / "figures"
    folder.mkdir(exist_ok=True)
    for layer in alignment.data:
        for name, (figure, _) in alignment_figures(alignment, layer).items():
            style.save(figure, folder / f"{name}.png")
    return alignment


def main() -> None:
    """Analyse the run that the flags name."""
    from randlabels.analysis.records import alignment_path

    values = flags.FLAGS
    layers = tuple(values.layers)
    analyze(values.workdir, layers, values.inputs, values.random_bases)
    print(f"Numbers: {alignment_path(values.workdir)}\nFigures: {Path(values.workdir) / 'figures'}")


if __name__ == "__main__":
    # Not defined at import: other front doors import analyze() and have flags of their own.
    flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
    frontdoor.must_be_given("workdir")
    flags.DEFINE_list("layers", [], "Layers to analyse, or all; the first if not given.")
    flags.DEFINE_enum("inputs", "checkpoint", INPUTS, "Whose inputs of a deeper layer to take.")
    flags.DEFINE_integer("random_bases", 200, "Random bases to compare with.", 1, MAX_BASES)
    frontdoor.run(main)
