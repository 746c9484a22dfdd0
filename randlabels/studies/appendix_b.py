"""Appendix B: pre-training ResNet18 and WRN-28-4 on random labels, CIFAR-10.

Both have batch norms, in front of which the scale of a kernel does not matter to the function, but
does to the size of steps: rescaled or not, the same function learns at another pace.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import training_curves
from randlabels.studies import gains, measures
from randlabels.studies.study import Claim, Results, Stage, Study

MODELS = {"resnet18": "ResNet18", "wide_resnet": "a wide residual network"}
TASKS = {"real": "real labels", "random": "10 random labels"}
ARMS = ("scratch", "pretrained", "pretrained_unscaled")
LEVEL = 0.4  # train accuracy; chance is .1
PLACE = "Appendix B"


def _stages() -> tuple[Stage, ...]:
    found: list[Stage] = []
    for model in MODELS:
        found.append(Stage(model, f"appendix_b_{model}_upstream"))
        for task in TASKS:
            changes = {"labels.kind": task}
            stage = Stage(f"{model}_{task}", f"appendix_b_{model}", reads=model, changes=changes)
            found.append(stage)
    return tuple(found)


def _claims() -> tuple[Claim, ...]:
    found: list[Claim] = []
    for model, words in MODELS.items():
        for task, labels in TASKS.items():
            names = {
                f"{model}_{task}_{arm}": f"Networks ({words}) that take over all layers "
                f"{'rescaled' if arm == 'pretrained' else 'as they are'}"
                for arm in ARMS[1:]
            }
            found += gains.faster_claims(names, labels, PLACE)
    return tuple(found)


def measure(results: Results) -> dict[str, np.ndarray]:
    """The gains that the claims name."""
    return {
        f"{model}_{task}_{arm}": gains.gain(results.runs[f"{model}_{task}"], arm)
        for model in MODELS
        for task in TASKS
        for arm in ARMS[1:]
    }


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """Training curves of each model and task."""
    panels = {
        f"{model}, {labels}": {
            arm: measures.curve(results.runs[f"{model}_{task}"], arm) for arm in ARMS
        }
        for model in MODELS
        for task, labels in TASKS.items()
    }
    caption = (
        "Fine-tuning from networks that learned 5 random classes. Lines are means over seeds, "
        "bands go from the lowest to the highest seed."
    )
    return {"appendix_b": (training_curves.plot(panels), caption)}


def summary(results: Results) -> list[dict[str, Any]]:
    """One row for each model, task and arm."""
    found = []
    for model in MODELS:
        for task, labels in TASKS.items():
            run = results.runs[f"{model}_{task}"]
            for row in gains.rows(run, {arm: arm for arm in ARMS}, LEVEL):
                found.append({"model": model, "downstream": labels} | row)
    return found


STUDY = Study(
    name="appendix_b",
    title="Residual networks pre-trained on random labels",
    paper_item="Appendix B",
    stages=_stages(),
    claims=_claims(),
    measures=measure,
    figures=figures,
    summary=summary,
)
