"""Table 1: train and test accuracy of all arms, at fixed shares of training and at its end.

With He's scale, and with smaller initial weights and a higher learning rate, where training moves
weights by more than their own norm instead of a third of it.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from randlabels.figures import training_curves
from randlabels.studies.declare import Claim, Drawings, Row, Study, Tables
from randlabels.studies.families import set_layers
from randlabels.studies.families.set_layers import TASKS, Settings
from randlabels.studies.readouts.cells import mean_std
from randlabels.studies.readouts.curves import Curves, train_lines
from randlabels.studies.readouts.gains import FASTER

ARMS = {
    "pretrained": "pre-trained on random labels",
    "pretrained_unscaled": "pre-trained on random labels and not rescaled",
    "covariance": "drawn with the covariance of pre-trained weights",
    "aligned": "set from data alone",
}
CLAIMED = ("pretrained", "covariance", "aligned")
DEPTHS = (1, 2, 4)  # of the 4 convolutions
SHARES = (0.25, 0.5, 1.0)  # of training, at which accuracies are listed
PLACE = "Section 2.5, Table 1"

_CHANGES = {
    "init.arms": ("scratch", *ARMS),
    "population.sweep": (("init.layers", tuple((f"first:{k}",) for k in DEPTHS)),),
}


def _claims(task: str) -> Iterator[Claim[Settings]]:
    for arm in CLAIMED:
        for depth in DEPTHS:
            words = f"Networks whose first {depth} of 4 convolutions are {ARMS[arm]}"
            yield set_layers.faster(task, f"{arm}_{depth}", words, (arm, depth), PLACE)


def _figures(found: Settings) -> Drawings:
    """Training curves with all convolutions set."""
    panels = {
        title: train_lines(
            {"scratch": found[task].scratch}
            | {arm: found[task].start(arm, DEPTHS[-1]) for arm in ARMS}
        )
        for task, title in TASKS.items()
    }
    caption = (
        "Fine-tuning with all 4 convolutions set by each arm. Lines are means over seeds, bands go "
        "from the lowest to the highest seed."
    )
    return {"table1": (training_curves.plot(panels), caption)}


def _tables(found: Settings) -> Tables:
    """Accuracies at shares of training; test accuracy where labels are real."""
    rows: list[Row] = []
    for task, title in TASKS.items():
        starts: dict[tuple[str, int | str], Curves] = {("scratch", ""): found[task].scratch}
        starts |= {(arm, depth): found[task].start(arm, depth) for arm in ARMS for depth in DEPTHS}
        for (arm, depth), curves in starts.items():
            row = {"downstream": title, "arm": arm, "convolutions set": depth}
            splits = {"train": curves.train, "test": curves.test}
            rows.append(row | _cells(curves.steps, splits))
    return {"accuracies": rows}


def _cells(steps: np.ndarray, splits: Mapping[str, np.ndarray | None]) -> dict[str, Any]:
    """Accuracies [seed, evaluation] at shares of training; empty where labels are random."""
    nearest = {share: int(np.abs(steps - share * steps[-1]).argmin()) for share in SHARES}
    return {
        f"{split}, {share:.0%} of training": "" if of is None else mean_std(of[:, evaluation], 3)
        for split, of in splits.items()
        for share, evaluation in nearest.items()
    }


STUDY = Study(
    name="table1",
    title="Train and test accuracy of all arms",
    paper_item="Table 1",
    stages=tuple(set_layers.transfer_stages(_CHANGES)),
    read=partial(set_layers.read_settings, stages=TASKS, way="arm"),
    claims=tuple(claim for task in TASKS for claim in _claims(task)),
    figures=_figures,
    tables=_tables,
    primary={f"real_{arm}_4": FASTER for arm in CLAIMED},
    tuning=set_layers.TUNING,
)
