"""Studies that take over all layers but the head, rescaled to their initial norms or not.

What they fine-tune, read and list; and the two settings of Figure 1, in which pre-training vgg16 on
random labels helps and hurts, which Figures 7 and 8 and `critical` look at again.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from randlabels.configs.base import SAME, Columns
from randlabels.studies.declare import Results, Row, Stage, Tuning
from randlabels.studies.families import FINE_TUNING
from randlabels.studies.readouts.cells import arm_rows
from randlabels.studies.readouts.curves import Curves, arm_curves

COPIED = ("pretrained", "pretrained_unscaled")
ARMS = ("scratch", *COPIED)
TASKS = {"real": "real labels", "random": "10 random labels"}
BANDS = "Lines are means over seeds, bands go from the lowest to the highest seed."

ALL_ARMS = {**FINE_TUNING, "init.arms": ARMS}


Arms = Mapping[str, Curves]  # {arm: curves} of one stage of fine-tuning
Cases = Mapping[str, Arms]  # {stage: arms}


def read_cases(results: Results, stages: Iterable[str]) -> Cases:
    """The curves of all arms of some stages."""
    return {stage: arm_curves(results.runs[stage], ARMS) for stage in stages}


def gain(arms: Arms, arm: str = "pretrained") -> np.ndarray:
    """Mean train accuracy of an arm over all steps above scratch, [seed]."""
    return arms[arm].gain_over(arms["scratch"])


def area_rows(arms: Arms, level: float) -> list[Row]:
    """One row for each arm: steps to a train accuracy, accuracies at the end, mean gain."""
    areas = {arm: f"{gain(arms, arm).mean():+.3f}" for arm in COPIED}
    return [{**row, "area": areas.get(row["arm"], "")} for row in arm_rows(arms, level)]


# The settings of Figure 1.

SETTINGS = ("positive", "negative")
LEVELS = {"real": 0.5, "random": 0.3}  # train accuracy; chance is 0.1

SIGNS_TUNING = Tuning(
    seeds=(0, 1, 2, 1000, 1001, 1002),
    note="Rates, lengths and the level for random labels were chosen for the signs of Figure 1, at "
    "the short budget and on the seeds of the verdicts. The negative setting was run once more on "
    "other seeds, which agreed.",
)


def _schedule(decay_at: float, full: tuple[int, ...], short: tuple[int, ...]) -> Columns:
    """Training up to the last of the kept epochs, evaluated at each and every ten."""

    def evaluated(kept: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted({*range(0, kept[-1] + 1, 10), *kept}))

    return {
        "optimizer.decay_at": ((decay_at,), (decay_at,), SAME),
        "train.epochs": (full[-1], short[-1], SAME),
        "train.checkpoint_epochs": (full, short, (0, 1, 2)),
        "train.eval_epochs": (evaluated(full), evaluated(short), SAME),
        # As many as downstream: where programs are cached, one serves.
        "population.seeds": (SAME, SAME, 6),
    }


# What pre-training changes; in the negative setting it is hotter and longer.
UPSTREAM_AT: dict[str, Columns] = {
    "positive": _schedule(0.5, (0, 3, 12, 40, 120), (0, 4, 12, 30, 60)),
    "negative": {
        "labels.num_classes": (50, 50, SAME),
        "optimizer.learning_rate": (0.03, 0.012, 0.01),
        **_schedule(0.7, (0, 6, 25, 100, 250), (0, 4, 12, 40, 120)),
    },
}

UPSTREAM = tuple(Stage(setting, "vgg16", at=UPSTREAM_AT[setting]) for setting in SETTINGS)


def every_two(full: int, short: int, smoke: Any = SAME) -> Columns:
    """Training for so many epochs at each budget, evaluated every two, in smoke as usual."""
    evaluated = (tuple(range(0, epochs + 1, 2)) for epochs in (full, short))
    return {"train.epochs": (full, short, smoke), "train.eval_epochs": (*evaluated, SAME)}


TEN_CLASSES: Columns = {"labels.num_classes": (10, 10, SAME)}  # dead leaves, in smoke, have 5
# What fine-tuning changes.
DOWNSTREAM_AT: dict[str, Columns] = {
    "positive": TEN_CLASSES | every_two(24, 16),
    "negative": {
        **TEN_CLASSES,
        "optimizer.learning_rate": (0.003, 0.001, 0.001),
        **every_two(24, 20),
    },
}


def downstream(setting: str, task: str) -> Stage:
    """Fine-tuning in a setting on labels of a kind."""
    return Stage(
        f"{setting}_{task}",
        "vgg16",
        reads=setting,
        changes=ALL_ARMS | {"labels.kind": task},
        at=DOWNSTREAM_AT[setting],
    )


def stages(*tasks: str) -> tuple[Stage, ...]:
    """Pre-training in both settings, and fine-tuning on labels of these kinds."""
    tuned = (downstream(setting, task) for setting in SETTINGS for task in tasks)
    return (*UPSTREAM, *tuned)
