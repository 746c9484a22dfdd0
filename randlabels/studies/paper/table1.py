"""Table 1: train and test accuracy of all arms, at fixed shares of training and at its end.

With He's scale, and with smaller initial weights and a higher learning rate, where training moves
weights by more than their own norm instead of a third of it.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import training_curves
from randlabels.studies import gains, measures
from randlabels.studies.conv_net import TASKS, transfer_stages
from randlabels.studies.gains import first_layers
from randlabels.studies.study import Claim, Results, Study

ARMS = {
    "pretrained": "pre-trained on random labels",
    "pretrained_unscaled": "pre-trained on random labels and not rescaled",
    "covariance": "drawn with the covariance of pre-trained weights",
    "aligned": "set from data alone",
}
DEPTHS = (1, 2, 4)  # of the 4 convolutions
SHARES = (0.25, 0.5, 1.0)  # of training, at which accuracies are listed
PLACE = "Section 2.5, Table 1"

_CHANGES = {
    "init.arms": ("scratch", *ARMS),
    "population.sweep": (("init.layers", tuple((f"first:{k}",) for k in DEPTHS)),),
}


def start(arm: str, depth: int) -> dict[str, Any]:
    """Networks of an arm that sets the first layers."""
    return {"arm": arm, "layers": first_layers(depth)}


def _claims() -> tuple[Claim, ...]:
    found: list[Claim] = []
    for task, labels in TASKS.items():
        names = {
            f"{task}_{arm}_{depth}": f"Networks whose first {depth} of 4 convolutions are {words}"
            for arm, words in ARMS.items()
            if arm != "pretrained_unscaled"
            for depth in DEPTHS
        }
        found += gains.faster_claims(names, labels, PLACE)
    return tuple(found)


def measure(results: Results) -> dict[str, np.ndarray]:
    """The gains that the claims name."""
    return {
        f"{task}_{arm}_{depth}": gains.gain(results.runs[task], start(arm, depth))
        for task in TASKS
        for arm in ARMS
        for depth in DEPTHS
    }


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """Training curves with all convolutions set."""
    panels = {
        title: {"scratch": measures.curve(results.runs[task], "scratch")}
        | {arm: measures.curve(results.runs[task], start(arm, DEPTHS[-1])) for arm in ARMS}
        for task, title in TASKS.items()
    }
    caption = (
        "Fine-tuning with all 4 convolutions set by each arm. Lines are means over seeds, bands go "
        "from the lowest to the highest seed."
    )
    return {"table1": (training_curves.plot(panels), caption)}


def summary(results: Results) -> list[dict[str, Any]]:
    """Accuracies at shares of training; test accuracy where labels are real."""
    found = []
    for task, title in TASKS.items():
        run = results.runs[task]
        starts: dict[tuple[str, Any], Any] = {("scratch", ""): "scratch"}
        starts |= {(arm, depth): start(arm, depth) for arm in ARMS for depth in DEPTHS}
        for (arm, depth), chosen in starts.items():
            row: dict[str, Any] = {"downstream": title, "arm": arm, "convolutions set": depth}
            for metric in ("train_accuracy", "test_accuracy"):
                for share in SHARES:
                    name = f"{metric.replace('_accuracy', '')}, {share:.0%} of training"
                    row[name] = _at(run, chosen, metric, share) if metric in run.metrics[-1] else ""
            found.append(row)
    return found


def _at(run: Any, chosen: Any, metric: str, share: float) -> str:
    steps, values = measures.curve(run, chosen, metric)
    nearest = int(np.abs(steps - share * steps[-1]).argmin())
    return measures.mean_std(values[:, nearest], 3)


STUDY = Study(
    name="table1",
    title="Train and test accuracy of all arms",
    paper_item="Table 1",
    stages=transfer_stages(_CHANGES),
    claims=_claims(),
    measures=measure,
    figures=figures,
    summary=summary,
)
