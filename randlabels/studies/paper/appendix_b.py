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


# What fine-tuning changes. Its seeds are its own: fresh weights and labels are independent of the
# upstream networks.
FINE_TUNING = {
    "seed": 1000,
    "labels.seed": 1000,
    "train.task": "downstream",
    "init.arms": ARMS,
}


def _upstream(model: str) -> Stage:
    return Stage(
        model,
        f"residual.{model}",
        changes={"optimizer.decay_at": (0.5,)},
        at={
            "full": {"train.eval_epochs": tuple(range(0, 61, 10))},
            "short": {"train.eval_epochs": (0, 25, 50)},
        },
    )


def _downstream(model: str, task: str) -> Stage:
    at = {"labels.num_classes": 10, "train.epochs": 20}  # dead leaves, in smoke, have 5 classes
    return Stage(
        f"{model}_{task}",
        f"residual.{model}",
        reads=model,
        changes=FINE_TUNING | {"labels.kind": task},
        at={"full": at, "short": at},
    )


def _stages() -> tuple[Stage, ...]:
    return tuple(
        stage
        for model in MODELS
        for stage in (_upstream(model), *(_downstream(model, task) for task in TASKS))
    )


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
