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

UPSTREAM = tuple(Stage(setting, f"fig1_{setting}_upstream") for setting in SETTINGS)


def downstream(setting: str, kind: str) -> Stage:
    """Fine-tuning in a setting on labels of a kind."""
    changes = {"labels.kind": kind}
    return Stage(f"{setting}_{kind}", f"fig1_{setting}", reads=setting, changes=changes)


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
