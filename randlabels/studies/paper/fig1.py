"""Figure 1: pre-training vgg16 on random labels helps in one setting and hurts in another.

The gap between an arm and scratch is the mean difference of their train accuracies over
fine-tuning. It is measured twice: both at the setting's common learning rate, and each at its best.
Only the latter tells whether pre-training hurts or the rate does; and only without rescaling,
whether pre-training hurts or what is done to its kernels.
"""

from functools import partial

import numpy as np

from randlabels.figures import training_curves
from randlabels.studies.declare import Claim, Drawings, Study, Tables
from randlabels.studies.families import two_settings, whole_networks
from randlabels.studies.families.two_settings import LEVELS, SETTINGS
from randlabels.studies.families.whole_networks import BANDS, COPIED, HOW, TASKS, Cases
from randlabels.studies.readouts.curves import tested_lines, train_lines
from randlabels.studies.readouts.gains import FASTER, SLOWER
from randlabels.studies.readouts.rates import BEST, COMMON

_CASES = {f"{setting}_{task}": (setting, task) for setting in SETTINGS for task in TASKS}
UNSCALED = "pretrained_unscaled"
_SUFFIXES = {BEST: "", COMMON: "_common"}  # of claims, after stage and arm


def _claim(stage: str, arm: str, rates: str) -> Claim[Cases]:
    """That an arm is ahead of scratch, or behind it, as the setting has it."""
    setting, task = _CASES[stage]
    helps = setting == "positive"

    def gap(found: Cases) -> np.ndarray:
        gain = found[stage].gain(arm, rates)
        return gain if helps else -gain

    return Claim(
        name=f"{stage}_{arm}{_SUFFIXES[rates]}",
        statement=f"In the {setting} setting, networks that take over pre-trained layers "
        f"{HOW[arm]} learn {TASKS[task]} {'faster' if helps else 'more slowly'} than from scratch, "
        f"{rates}.",
        place="Figure 1",
        unit=f"mean train accuracy, {'gain over' if helps else 'loss against'} scratch",
        of=gap,
    )


def _test_claim(setting: str) -> Claim[Cases]:
    """That pre-training costs test accuracy on real labels."""

    def lost(found: Cases) -> np.ndarray:
        arms = found[f"{setting}_real"].at_best
        scratch, ours = arms["scratch"].test, arms[UNSCALED].test
        if scratch is None or ours is None:
            raise ValueError("real labels are tested, and this run has no test accuracy.")
        return scratch[:, -1] - ours[:, -1]

    return Claim(
        name=f"{setting}_real_{UNSCALED}_test",
        statement=f"In the {setting} setting, networks that take over pre-trained layers "
        f"{HOW[UNSCALED]} end fine-tuning on real labels with a lower test accuracy than from "
        f"scratch, {BEST}.",
        place="Figure 1",
        unit="test accuracy at the end, loss against scratch",
        of=lost,
    )


def _figures(found: Cases) -> Drawings:
    """Train accuracy of both settings and tasks at both choices of rates, test accuracy."""
    drawings = {}
    for setting in SETTINGS:
        panels = {}
        for task, label in TASKS.items():
            at = found[f"{setting}_{task}"]
            panels[f"{label}, {COMMON}"] = train_lines(at.at_common)
            panels[f"{label}, {BEST}"] = train_lines(at.at_best)
        caption = f"Fine-tuning of vgg16 in the {setting} setting. {BANDS}"
        drawings[setting] = training_curves.plot(panels), caption
    tested = {
        f"{setting} setting, real labels": tested_lines(found[f"{setting}_real"].at_best)
        for setting in SETTINGS
    }
    caption = f"Test accuracy, {BEST}. {BANDS}"
    drawings["test"] = training_curves.plot(tested, "test accuracy (share of images)"), caption
    return drawings


def _tables(found: Cases) -> Tables:
    """Gains of both arms at both choices of rates; and a row for each setting, arm and rate."""
    where = {
        stage: {"setting": setting, "downstream": TASKS[task]}
        for stage, (setting, task) in _CASES.items()
    }
    levels = {stage: LEVELS[task] for stage, (_, task) in _CASES.items()}
    return whole_networks.rows_of_cases(found, where, levels)


STUDY = Study(
    name="fig1",
    title="Positive and negative transfer from random labels, vgg16 on CIFAR-10",
    paper_item="Figure 1",
    stages=two_settings.stages(*TASKS),
    read=partial(whole_networks.read_cases, best=two_settings.BEST),
    claims=(
        *(_claim(stage, arm, rates) for stage in _CASES for arm in COPIED for rates in _SUFFIXES),
        *(_test_claim(setting) for setting in SETTINGS),
    ),
    figures=_figures,
    tables=_tables,
    # On real labels, where the best rate of scratch was chosen on tuning seeds.
    primary={"positive_real_pretrained": FASTER, "negative_real_pretrained_unscaled": SLOWER},
    tuning=two_settings.TUNING,
)
