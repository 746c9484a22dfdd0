"""Appendix B: pre-training ResNet18 and WRN-28-4 on random labels, CIFAR-10.

Both have batch norms, in front of which the scale of a kernel does not matter to the function, but
does to the size of steps: rescaled or not, the same function learns at another pace.
"""

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from randlabels.configs.base import SAME
from randlabels.figures import training_curves
from randlabels.studies.declare import Claim, Drawings, Stage, Study, Tables, Tuning
from randlabels.studies.families import whole_networks
from randlabels.studies.families.whole_networks import BANDS, COPIED, HOW, TASKS, Cases
from randlabels.studies.readouts.curves import train_lines
from randlabels.studies.readouts.gains import FASTER
from randlabels.studies.readouts.rates import BEST, COMMON

MODELS = {"resnet18": "ResNet18", "wide_resnet": "a wide residual network"}
LEVEL = 0.4  # train accuracy; chance is .1
# Downstream: the recipe's, which is the common one, and those that are the best of an arm.
RATES = {"resnet18": (0.01, 0.03), "wide_resnet": (0.01, 0.03, 0.1)}

_CASES = {f"{model}_{task}": (model, task) for model in MODELS for task in TASKS}
_SUFFIXES = {BEST: "", COMMON: "_common"}  # of claims, after stage and arm

# As `python -m benchmarks.best_rates` shows them with rates from .003 to .1, and for the wide
# network to .3; neither end is the best of any.
_BEST = {
    "resnet18": {"scratch": 0.03, "pretrained": 0.01, "pretrained_unscaled": 0.03},
    "wide_resnet": {"scratch": 0.1, "pretrained": 0.03, "pretrained_unscaled": 0.03},
}
BEST_RATES: dict[str, Mapping[str, float]] = {
    stage: _BEST[model] for stage, (model, _) in _CASES.items()
}


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
            changes=whole_networks.ALL_ARMS
            | {
                "labels.kind": task,
                "population.sweep": (("optimizer.learning_rate", RATES[model]),),
            },
            at={**whole_networks.TEN_CLASSES, "train.epochs": (20, 20, SAME)},
        )


def _claim(stage: str, arm: str, rates: str) -> Claim[Cases]:
    model, task = _CASES[stage]

    def gain(found: Cases) -> np.ndarray:
        return found[stage].gain(arm, rates)

    return Claim(
        name=f"{stage}_{arm}{_SUFFIXES[rates]}",
        statement=f"Networks ({MODELS[model]}) that take over all layers {HOW[arm]} learn "
        f"{TASKS[task]} faster than from scratch, {rates}.",
        place="Appendix B",
        unit="mean train accuracy over all steps, minus that of scratch",
        of=gain,
    )


def _figures(found: Cases) -> Drawings:
    """Training curves of each model and task, each arm at its best rate."""
    panels = {
        f"{model}, {TASKS[task]}": train_lines(found[stage].at_best)
        for stage, (model, task) in _CASES.items()
    }
    caption = f"Fine-tuning from networks that learned 5 random classes, {BEST}. {BANDS}"
    return {"appendix_b": (training_curves.plot(panels), caption)}


def _tables(found: Cases) -> Tables:
    """Gains of both arms at both choices of rates; and a row for each model, task, arm and rate."""
    where = {
        stage: {"model": model, "downstream": TASKS[task]}
        for stage, (model, task) in _CASES.items()
    }
    return whole_networks.rows_of_cases(found, where, dict.fromkeys(_CASES, LEVEL))


STUDY = Study(
    name="appendix_b",
    title="Residual networks pre-trained on random labels",
    paper_item="Appendix B",
    stages=tuple(stage for model in MODELS for stage in _stages(model)),
    read=partial(whole_networks.read_cases, best=BEST_RATES),
    claims=tuple(
        _claim(stage, arm, rates) for stage in _CASES for arm in COPIED for rates in _SUFFIXES
    ),
    figures=_figures,
    tables=_tables,
    primary={f"{stage}_pretrained": FASTER for stage in _CASES},
    tuning=Tuning(
        seeds=(0, 1, 1000, 1001),
        note="The best rate of each arm downstream was chosen on these seeds, of four from .003 to "
        ".1, for the wide network of five up to .3; nothing else was chosen on results.",
    ),
)
