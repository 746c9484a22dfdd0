"""Figure 20 (and 4, left): eigenvalue maps of mlps that learned random labels of Gaussian data.

The paper leaves two things open, and the study runs both readings of each: whether the diagonal
holds variances or standard deviations, and whether the middle curve has layers 2048-256 (table of
Figure 20) or 256-256 (caption of Figure 4).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from randlabels.configs.base import SAME, Columns
from randlabels.figures import gaussian_maps
from randlabels.studies.declare import (
    Claim,
    Drawings,
    Primary,
    Results,
    Stage,
    Study,
    Tables,
    Tuning,
)
from randlabels.studies.readouts.alignment import read_maps
from randlabels.studies.readouts.cells import mean_std

LAYER = "dense1"
DIAGONAL_HOLDS = {"standard_deviations": "standard deviations", "variances": "variances"}


def _kept(*epochs: int) -> Columns:
    """Training to the last of these epochs, with a checkpoint and an evaluation at each."""
    return {
        "train.epochs": (epochs[-1], epochs[-1], SAME),
        "train.checkpoint_epochs": (epochs, epochs, (0, 1, 2)),
        "train.eval_epochs": (epochs, epochs, SAME),
    }


# What each setting changes at every budget, and at each; ten dimensions are slow to memorise.
SETTINGS: dict[str, tuple[dict[str, Any], Columns]] = {
    "left": (
        {"data.diagonal": tuple(round(1 + 0.1 * i, 1) for i in range(10))},
        {"optimizer.learning_rate": (0.02, 0.02, SAME), **_kept(0, 20, 60, 200)},
    ),
    "middle": ({}, _kept(0, 20, 40, 60)),
    "middle_256": ({"model.widths": (256, 256)}, _kept(0, 20, 40, 60)),
    "right": (
        {},
        {
            "data.upstream_size": (2_000, 2_000, SAME),
            "model.widths": ((256, 256), (256, 256), SAME),
            "optimizer.learning_rate": (0.01, 0.01, SAME),
            **_kept(0, 20, 60, 400),
        },
    ),
}
TITLES = {
    "left": "left: d = 10, 2048-256, 10,000 inputs",
    "middle": "middle: d = 30, 2048-256, 10,000 inputs",
    "middle_256": "middle: d = 30, 256-256, 10,000 inputs",
    "right": "right: d = 30, 256-256, 2,000 inputs",
}
# f read off the paper's figure: {entry of the diagonal: f}.
PAPER = {
    "left": {1.0: 0.381, 1.9: 0.316},
    "middle": {0.1: 0.184, 1.1: 0.207, 3.0: 0.163},
    "middle_256": {0.1: 0.184, 1.1: 0.207, 3.0: 0.163},
    "right": {0.1: 0.184, 3.0: 0.254},
}
# (name, setting, entry where f is claimed to be larger, entry where it is smaller, words)
SHAPES = (
    ("left_falls", "left", 1.0, 1.9, "falls over the whole spectrum"),
    ("middle_rises", "middle", 1.1, 0.1, "rises at first"),
    ("middle_falls", "middle", 1.1, 3.0, "falls in the end"),
    ("middle_256_rises", "middle_256", 1.1, 0.1, "rises at first"),
    ("middle_256_falls", "middle_256", 1.1, 3.0, "falls in the end"),
    ("right_rises", "right", 3.0, 0.1, "rises over the whole spectrum"),
)


@dataclasses.dataclass(frozen=True)
class Maps:
    """Eigenvalue maps of one setting, under one reading of the diagonal."""

    diagonal: np.ndarray  # entries [d], ascending
    epochs: Mapping[int, np.ndarray]  # {epoch: f [network, d], by ascending entry}

    def at(self, entry: float) -> np.ndarray:
        """f at an entry of the diagonal at the end of training, [network]."""
        return self.epochs[max(self.epochs)][:, np.argmin(abs(self.diagonal - entry))]


def _read(results: Results) -> dict[str, Maps]:
    """{stage: maps}."""
    found = {}
    for stage, run in results.runs.items():
        # Sample eigenvalues come in the order of the diagonal's entries, descending.
        epochs = {
            step // run.steps_per_epoch: read_maps(results.alignments[stage], step, LAYER)[:, ::-1]
            for step in run.steps
        }
        found[stage] = Maps(np.array(run.config["data"]["diagonal"]), epochs)
    return found


def _claim(
    name: str, setting: str, high: float, low: float, words: str, held: str
) -> Claim[Mapping[str, Maps]]:
    stage = f"{setting}_{held}"
    return Claim(
        name=f"{name}_{held}",
        statement=f"With the diagonal read as {DIAGONAL_HOLDS[held]}, f {words} "
        f"({TITLES[setting]}): it is larger at {high} than at {low}.",
        place="Figure 20",
        unit=f"f({high}) minus f({low})",
        of=lambda found: found[stage].at(high) - found[stage].at(low),
    )


def _figures(found: Mapping[str, Maps]) -> Drawings:
    """f of every setting and reading beside the values read off the paper."""
    panels = {
        f"{title}\n{words}": (maps.diagonal, maps.epochs, PAPER[setting])
        for held, words in DIAGONAL_HOLDS.items()
        for setting, title in TITLES.items()
        for maps in [found[f"{setting}_{held}"]]
    }
    caption = (
        "Eigenvalue map f of the first layer against the entries of the diagonal, by epoch: mean "
        "and range over networks. Crosses: values read off the paper's Figure 20. Upper row: the "
        "diagonal holds standard deviations; lower row: variances."
    )
    return {"fig20": (gaussian_maps.plot(panels, columns=len(TITLES)), caption)}


def _tables(found: Mapping[str, Maps]) -> Tables:
    """f at the paper's entries, ours beside the paper's."""
    return {
        "maps": [
            {
                "setting": TITLES[setting],
                "diagonal holds": words,
                "entry": entry,
                "f, paper": f"{paper:.3f}",
                "f, ours": mean_std(f, 3),
                "networks": len(f),
            }
            for held, words in DIAGONAL_HOLDS.items()
            for setting, points in PAPER.items()
            for entry, paper in points.items()
            for f in [found[f"{setting}_{held}"].at(entry)]
        ]
    }


STUDY = Study(
    name="fig20",
    title="Eigenvalue maps of networks trained on Gaussian inputs with random labels",
    paper_item="Figures 4 (left) and 20",
    stages=tuple(
        Stage(
            f"{setting}_{held}",
            "gaussian_mlp.fig20",
            analyze=(LAYER,),
            changes=changes | {"data.diagonal_holds": held},
            at=at,
        )
        for held in DIAGONAL_HOLDS
        for setting, (changes, at) in SETTINGS.items()
    ),
    read=_read,
    claims=tuple(_claim(*shape, held) for held in DIAGONAL_HOLDS for shape in SHAPES),
    figures=_figures,
    tables=_tables,
    primary={
        f"{name}_standard_deviations": Primary(0.005, "X")
        for name, *_ in SHAPES
        if not name.startswith("middle_256")
    },
    tuning=Tuning(
        note="Learning rates and epochs were chosen on single networks, for maps near the "
        "paper's; their seeds are not known and may be among those of verdicts."
    ),
)
