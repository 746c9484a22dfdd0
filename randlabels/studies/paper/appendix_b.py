"""Appendix B: pre-training ResNet18 and WRN-28-4 on random labels, CIFAR-10.

Both have batch norms, in front of which the scale of a kernel does not matter to the function, but
does to the size of steps: rescaled or not, the same function learns at another pace.
"""

from collections.abc import Iterator
from functools import partial

from randlabels.configs.base import SAME
from randlabels.figures import training_curves
from randlabels.studies.declare import Claim, Drawings, Stage, Study, Tables
from randlabels.studies.families import whole_networks
from randlabels.studies.families.whole_networks import BANDS, COPIED, HOW, TASKS, Cases, gain
from randlabels.studies.readouts.cells import gain_rows
from randlabels.studies.readouts.curves import train_lines
from randlabels.studies.readouts.gains import FASTER, faster_claim

MODELS = {"resnet18": "ResNet18", "wide_resnet": "a wide residual network"}
LEVEL = 0.4  # train accuracy; chance is .1

_CASES = {f"{model}_{task}": (model, task) for model in MODELS for task in TASKS}


def _stages(model: str) -> Iterator[Stage]:
    recipe = f"residual.{model}"
    yield Stage(
        model,
        recipe,
        changes={"optimizer.decay_at": (0.5,)},
        at={"train.eval_epochs": (tuple(range(0, 61, 10)), (0, 25, 50), SAME)},
    )
    for task in TASKS:
        yield Stage(
            f"{model}_{task}",
            recipe,
            reads=model,
            changes=whole_networks.ALL_ARMS | {"labels.kind": task},
            at={**whole_networks.TEN_CLASSES, "train.epochs": (20, 20, SAME)},
        )


def _claim(model: str, task: str, arm: str) -> Claim[Cases]:
    words = f"Networks ({MODELS[model]}) that take over all layers {HOW[arm]}"
    stage = f"{model}_{task}"
    return faster_claim(
        f"{stage}_{arm}", words, TASKS[task], "Appendix B", lambda found: gain(found[stage], arm)
    )


def _figures(found: Cases) -> Drawings:
    """Training curves of each model and task."""
    panels = {
        f"{model}, {TASKS[task]}": train_lines(found[stage])
        for stage, (model, task) in _CASES.items()
    }
    caption = f"Fine-tuning from networks that learned 5 random classes. {BANDS}"
    return {"appendix_b": (training_curves.plot(panels), caption)}


def _tables(found: Cases) -> Tables:
    """One row for each model, task and arm."""
    rows = [
        {"model": model, "downstream": TASKS[task], **row}
        for stage, (model, task) in _CASES.items()
        for row in gain_rows(found[stage], found[stage]["scratch"], LEVEL)
    ]
    return {"starts": rows}


STUDY = Study(
    name="appendix_b",
    title="Residual networks pre-trained on random labels",
    paper_item="Appendix B",
    stages=tuple(stage for model in MODELS for stage in _stages(model)),
    read=partial(whole_networks.read_cases, stages=_CASES),
    claims=tuple(_claim(*case, arm) for case in _CASES.values() for arm in COPIED),
    figures=_figures,
    tables=_tables,
    primary={f"{stage}_pretrained": FASTER for stage in _CASES},
)
