"""Figure 1: pre-training vgg16 on random labels helps in one setting and hurts in another.

The gap between an arm and scratch is measured in two ways: by the steps to a fixed train accuracy
(where one of the two never gets there the end of training stands in, which understates the gap),
and by the area between the curves, the mean difference of their train accuracies.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import training_curves
from randlabels.studies import measures
from randlabels.studies.study import Claim, Results, Stage, Study

ARMS = ("scratch", "pretrained", "pretrained_unscaled")
SETTINGS = ("positive", "negative")
TASKS = {"real": "real labels", "random": "10 random labels"}
LEVELS = {"real": 0.5, "random": 0.3}  # train accuracy; chance is 0.1


def _kept(*epochs: int) -> dict[str, tuple[int, ...]]:
    """Checkpoints, and evaluation every ten epochs and at each of them."""
    evaluated = tuple(sorted({*range(0, epochs[-1] + 1, 10), *epochs}))
    return {"train.checkpoint_epochs": epochs, "train.eval_epochs": evaluated}


# As many networks and the same schedule as downstream: where programs are cached, one serves.
_UPSTREAM_SMOKE = {"train.checkpoint_epochs": (0, 1, 2), "population.seeds": 6}

# What pre-training changes at each budget; in the negative setting it is hotter and longer.
UPSTREAM_AT: dict[str, dict[str, dict[str, Any]]] = {
    "positive": {
        "full": {"optimizer.decay_at": (0.5,), **_kept(0, 3, 12, 40, 120)},
        "short": {"optimizer.decay_at": (0.5,), **_kept(0, 4, 12, 30, 60)},
        "smoke": _UPSTREAM_SMOKE,
    },
    "negative": {
        "full": {
            "labels.num_classes": 50,
            "optimizer.learning_rate": 0.03,
            "optimizer.decay_at": (0.7,),
            "train.epochs": 250,
            **_kept(0, 6, 25, 100, 250),
        },
        "short": {
            "labels.num_classes": 50,
            "optimizer.learning_rate": 0.012,
            "optimizer.decay_at": (0.7,),
            "train.epochs": 120,
            **_kept(0, 4, 12, 40, 120),
        },
        "smoke": {"optimizer.learning_rate": 0.01, **_UPSTREAM_SMOKE},
    },
}

# What fine-tuning changes. Its seeds are its own: fresh weights and labels are independent of the
# upstream networks.
FINE_TUNING = {
    "seed": 1000,
    "labels.seed": 1000,
    "train.task": "downstream",
    "init.arms": ARMS,
}


def every_two(epochs: int) -> dict[str, Any]:
    """Training for so many epochs, evaluated every two."""
    return {"train.epochs": epochs, "train.eval_epochs": tuple(range(0, epochs + 1, 2))}


# What it changes at each budget. Dead leaves, in smoke, have 5 classes.
DOWNSTREAM_AT: dict[str, dict[str, dict[str, Any]]] = {
    "positive": {
        "full": {"labels.num_classes": 10, **every_two(24)},
        "short": {"labels.num_classes": 10, **every_two(16)},
    },
    "negative": {
        "full": {"labels.num_classes": 10, "optimizer.learning_rate": 0.003, **every_two(24)},
        "short": {"labels.num_classes": 10, "optimizer.learning_rate": 0.001, **every_two(20)},
        "smoke": {"optimizer.learning_rate": 0.001},
    },
}

UPSTREAM = tuple(Stage(setting, "vgg16", at=UPSTREAM_AT[setting]) for setting in SETTINGS)


def downstream(setting: str, kind: str) -> Stage:
    """Fine-tuning in a setting on labels of a kind."""
    return Stage(
        f"{setting}_{kind}",
        "vgg16",
        reads=setting,
        changes=FINE_TUNING | {"labels.kind": kind},
        at=DOWNSTREAM_AT[setting],
    )


def _claims() -> tuple[Claim, ...]:
    found = []
    for setting in SETTINGS:
        for task, label in TASKS.items():
            helps = setting == "positive"
            found += [
                Claim(
                    name=f"{setting}_{task}_steps",
                    statement=f"In the {setting} setting with {label} downstream, the pre-trained "
                    f"network reaches {LEVELS[task]:.0%} train accuracy in "
                    f"{'fewer' if helps else 'more'} steps than from scratch.",
                    place="Figure 1",
                    measure=f"{setting}_{task}_steps",
                    threshold=1.0,
                    unit="steps from scratch over steps pre-trained"
                    if helps
                    else "steps pre-trained over steps from scratch",
                ),
                Claim(
                    name=f"{setting}_{task}_area",
                    statement=f"In the {setting} setting with {label} downstream, the pre-trained "
                    f"network's train accuracy is {'above' if helps else 'below'} that from "
                    "scratch on average over fine-tuning.",
                    place="Figure 1",
                    measure=f"{setting}_{task}_area",
                    threshold=0.0,
                    unit=f"mean train accuracy, {'gain over' if helps else 'loss against'} scratch",
                ),
            ]
    return tuple(found)


def measure(results: Results) -> dict[str, np.ndarray]:
    """Both gaps of the pre-trained arm in the direction that is claimed, [seed]."""
    found = {}
    for setting in SETTINGS:
        for task in TASKS:
            run, level = results.runs[f"{setting}_{task}"], LEVELS[task]
            faster, slower = ("pretrained", "scratch")[:: 1 if setting == "positive" else -1]
            found[f"{setting}_{task}_steps"] = measures.speed_up(run, faster, level, slower)
            found[f"{setting}_{task}_area"] = measures.area_between(run, faster, slower)
    return found


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """Train accuracy of both settings and tasks, test accuracy on real labels."""
    caption = "Lines are means over seeds, bands go from the lowest to the highest seed."
    found = {}
    for setting in SETTINGS:
        panels = {
            f"{setting} setting, {label}": _curves(results, f"{setting}_{task}", "train_accuracy")
            for task, label in TASKS.items()
        }
        text = f"Fine-tuning of vgg16 in the {setting} setting. {caption}"
        found[setting] = training_curves.plot(panels), text
    panels = {
        f"{setting} setting, real labels": _curves(results, f"{setting}_real", "test_accuracy")
        for setting in SETTINGS
    }
    text = f"Test accuracy. {caption}"
    return found | {"test": (training_curves.plot(panels, "test accuracy"), text)}


def _curves(results: Results, stage: str, metric: str) -> dict[str, Any]:
    return {arm: measures.curve(results.runs[stage], arm, metric) for arm in ARMS}


def summary(results: Results) -> list[dict[str, Any]]:
    """One row for each setting, task and arm."""
    rows = []
    for setting in SETTINGS:
        for task, label in TASKS.items():
            run = results.runs[f"{setting}_{task}"]
            for row in measures.table(run, ARMS, LEVELS[task]):
                area = measures.area_between(run, row["arm"]).mean()
                gap = "" if row["arm"] == "scratch" else f"{area:+.3f}"
                rows.append({"setting": setting, "downstream": label} | row | {"area": gap})
    return rows


STUDY = Study(
    name="fig1",
    title="Positive and negative transfer from random labels, vgg16 on CIFAR-10",
    paper_item="Figure 1",
    stages=(
        *UPSTREAM,
        *(downstream(setting, task) for setting in SETTINGS for task in TASKS),
    ),
    claims=_claims(),
    measures=measure,
    figures=figures,
    summary=summary,
)
