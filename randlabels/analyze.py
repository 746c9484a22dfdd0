"""Front door 2: eigen-analysis of the checkpoints of a run.

python -m randlabels.analyze --workdir=runs/base [--layers=conv1,dense1] [--inputs=initialisation]

Writes analysis/alignment.json and figures/*.png into the workdir.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from randlabels import frontdoor, records
from randlabels.errors import InputError
from randlabels.runs import load_run

INPUTS = ("checkpoint", "initialisation")

# Entries of alignment.json that are lists of numbers; everything else stays as JSON has it.
_ARRAYS = (
    "eigenvalues",
    "eigenvectors",
    "misalignment_random",
    "misalignment_shrunk_random",
    "floor",
    "interval",
    "tau",
    "filter_eigenvalues",
    "filter_eigenvectors",
    "nearest_cosine",
)


def alignment_path(workdir: str | Path) -> Path:
    """Where the analysis of a run is."""
    return Path(workdir) / "analysis" / "alignment.json"


def load_alignment(workdir: str | Path) -> dict[str, Any]:
    """What `analyze` wrote, with NumPy arrays where alignment.json has lists of numbers.

    Raises:
        InputError: if the run was not analysed.
    """
    path = alignment_path(workdir)
    try:
        alignment = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise InputError(
            f"{workdir} was not analysed; run `python -m randlabels.analyze --workdir={workdir}`."
        ) from error
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); analyse the run again.") from error
    for entry in (*alignment["data"].values(), *alignment["records"]):
        for name in _ARRAYS:
            if entry.get(name) is not None:
                entry[name] = np.array(entry[name], np.float64)
    return alignment


def analyze(
    workdir: str | Path,
    layers: Sequence[str] = (),
    inputs: str = "checkpoint",
    random_bases: int = 200,
) -> dict[str, Any]:
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

    if inputs not in INPUTS:
        raise InputError(f"--inputs is {inputs!r}; it may be {' or '.join(INPUTS)}.")
    if random_bases < 1:
        raise InputError(f"--random_bases is {random_bases}; give at least 1.")
    run = load_run(workdir)
    alignment = records.plain(alignment_of_run(run, layers, inputs, random_bases))
    path = alignment_path(workdir)
    path.parent.mkdir(exist_ok=True)
    records.write_json(path, alignment)
    return _draw(workdir)


def _draw(workdir: str | Path) -> dict[str, Any]:
    """Draw the figures from what was written, and return it."""
    from randlabels.figures import style
    from randlabels.figures.alignment_figures import alignment_figures

    alignment = load_alignment(workdir)
    folder = Path(workdir) / "figures"
    folder.mkdir(exist_ok=True)
    for layer in alignment["data"]:
        for name, (figure, _) in alignment_figures(alignment, layer).items():
            style.save(figure, folder / f"{name}.png")
    return alignment


def main() -> None:
    """Analyse the run that the flags name."""
    values = flags.FLAGS
    layers = tuple(values.layers)
    analyze(values.workdir, layers, values.inputs, values.random_bases)
    print(f"Numbers: {alignment_path(values.workdir)}\nFigures: {Path(values.workdir) / 'figures'}")


if __name__ == "__main__":
    # Not defined at import: other front doors import analyze() and have flags of their own.
    flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
    flags.DEFINE_list("layers", [], "Layers to analyse, or all; the first if not given.")
    flags.DEFINE_enum("inputs", "checkpoint", INPUTS, "Whose inputs of a deeper layer to take.")
    flags.DEFINE_integer("random_bases", 200, "Random bases to compare with.", lower_bound=1)
    frontdoor.run(main)
