"""Figure 1: pre-training vgg16 on random labels helps in one setting and hurts in another.

The gap between an arm and scratch is measured in two ways: by the steps to a fixed train accuracy
(where one of the two never gets there the end of training stands in, which understates the gap),
and by the area between the curves, the mean difference of their train accuracies.
"""

from functools import partial

from randlabels.figures import training_curves
from randlabels.studies.declare import Claim, Drawings, Primary, Study, Tables
from randlabels.studies.families import whole_networks
from randlabels.studies.families.whole_networks import BANDS, LEVELS, SETTINGS, TASKS, Cases, gain
from randlabels.studies.readouts.curves import tested_lines, train_lines

_CASES = {f"{setting}_{task}": (setting, task) for setting in SETTINGS for task in TASKS}
_WORDS = {"pretrained": "pre-trained", "scratch": "from scratch"}


def _claims(setting: str, task: str) -> tuple[Claim[Cases], ...]:
    """Both gaps, in the direction that is claimed."""
    stage, level, helps = f"{setting}_{task}", LEVELS[task], setting == "positive"
    faster, slower = ("pretrained", "scratch") if helps else ("scratch", "pretrained")
    where = f"In the {setting} setting with {TASKS[task]} downstream, the pre-trained network"
    return (
        Claim(
            name=f"{stage}_steps",
            statement=f"{where} reaches {level:.0%} train accuracy in "
            f"{'fewer' if helps else 'more'} steps than from scratch.",
            place="Figure 1",
            unit=f"steps {_WORDS[slower]} over steps {_WORDS[faster]}",
            of=lambda found: found[stage][faster].speed_up(found[stage][slower], level),
            threshold=1.0,
        ),
        Claim(
            name=f"{stage}_area",
            statement=f"{where}'s train accuracy is {'above' if helps else 'below'} that from "
            "scratch on average over fine-tuning.",
            place="Figure 1",
            unit=f"mean train accuracy, {'gain over' if helps else 'loss against'} scratch",
            of=lambda found: gain(found[stage]) if helps else -gain(found[stage]),
        ),
    )


def _figures(found: Cases) -> Drawings:
    """Train accuracy of both settings and tasks, test accuracy on real labels."""
    drawings = {}
    for setting in SETTINGS:
        panels = {
            f"{setting} setting, {label}": train_lines(found[f"{setting}_{task}"])
            for task, label in TASKS.items()
        }
        caption = f"Fine-tuning of vgg16 in the {setting} setting. {BANDS}"
        drawings[setting] = training_curves.plot(panels), caption
    tested = {
        f"{setting} setting, real labels": tested_lines(found[f"{setting}_real"])
        for setting in SETTINGS
    }
    drawings["test"] = training_curves.plot(tested, "test accuracy"), f"Test accuracy. {BANDS}"
    return drawings


def _tables(found: Cases) -> Tables:
    """One row for each setting, task and arm."""
    rows = [
        {"setting": setting, "downstream": TASKS[task], **row}
        for stage, (setting, task) in _CASES.items()
        for row in whole_networks.area_rows(found[stage], LEVELS[task])
    ]
    return {"arms": rows}


STUDY = Study(
    name="fig1",
    title="Positive and negative transfer from random labels, vgg16 on CIFAR-10",
    paper_item="Figure 1",
    stages=whole_networks.stages(*TASKS),
    read=partial(whole_networks.read_cases, stages=_CASES),
    claims=tuple(claim for case in _CASES.values() for claim in _claims(*case)),
    figures=_figures,
    tables=_tables,
    primary={name: Primary(1.05, "X") for name in ("positive_real_steps", "negative_real_steps")},
    tuning=whole_networks.SIGNS_TUNING,
)
