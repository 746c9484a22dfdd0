"""The phase diagram: where does pre-training on random labels help, and what goes with it?

Number of random classes x initial scale x learning rates up and down x length of pre-training, each
with and without rescaling. The paper shows one point where transfer is positive and one where it is
negative. For each cell: growth of the kernels, active share of the units at the switch, scale of
the logits at the switch; their rank correlations with the gain say what negative transfer goes
with, though not what causes it.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import stats

from randlabels.analysis.activity import activity_of_run
from randlabels.analysis.outputs import logit_scale
from randlabels.configs.base import SAME, Columns
from randlabels.figures import phase_maps, style
from randlabels.models.naming import HEAD, get_layer, layer_paths
from randlabels.runs import Run
from randlabels.studies.declare import Claim, Drawings, Primary, Results, Row, Stage, Study, Tables
from randlabels.studies.readouts.curves import Curves, all_curves
from randlabels.studies.readouts.gains import AHEAD, FASTER

CLASSES = (5, 50)
SCALES = {"lecun": 1.0, "he": 2**0.5}
_SCALE_WORDS = {"lecun": "LeCun's", "he": "He's"}  # for figures
RATES_DOWN = (0.003, 0.01)
ARMS = {"pretrained": "rescaled", "pretrained_unscaled": "not rescaled"}
PLACE = "Section 3, Figure 1; the diagram is not in the paper"

CELL = ("classes", "scale", "rate_up", "rate_down", "epochs")  # of the diagram, but for the arm

# What is compared with the gain: {attribute of TakenOver: words}.
EXPLANATIONS = {
    "kernel_growth": "kernel norms have grown more in pre-training",
    "inactive_share": "a larger share of units is inactive at the switch",
    "logit_scale": "logits are larger at the switch",
}

_IMAGES_AT: Columns = {
    "data.upstream_size": (10_000, 1_000, SAME),
    "data.downstream_size": (10_000, 1_000, SAME),
    "data.test_size": (SAME, 500, SAME),
}
_RATE = "optimizer.learning_rate"
_FEW_RATES, _MORE_RATES = ((_RATE, (0.003, 0.015)),), ((_RATE, (0.003, 0.01, 0.03)),)

# What pre-training changes: it keeps checkpoints of three lengths.
_UPSTREAM_AT: Columns = {
    **_IMAGES_AT,
    "train.epochs": (SAME, SAME, 3),
    "train.checkpoint_epochs": ((0, 10, 30, 100), (0, 10, 30, 80), (0, 1, 2, 3)),
    "train.eval_epochs": (tuple(range(0, 101, 10)), (0, 20, 40, 60, 80), SAME),
    "population.seeds": (3, 3, SAME),
    "population.sweep": (_MORE_RATES, _FEW_RATES, _FEW_RATES),
}

# What fine-tuning changes. It has as many seeds as there are upstream networks: network k starts
# from network k, whatever its learning rate was, at each of the kept steps.
_DOWNSTREAM_AT: Columns = {
    **_IMAGES_AT,
    "labels.num_classes": (10, 10, SAME),
    "train.epochs": (12, 10, SAME),
    "population.seeds": (9, 6, 4),
    "population.sweep": tuple(
        (("init.step", steps), (_RATE, RATES_DOWN))
        for steps in ((390, 1170, 3900), (150, 450, 1200), (2, 4, 6))
    ),
}
_FINE_TUNING = {
    "seed": 1000,  # fresh weights are independent of the upstream networks
    "train.task": "downstream",
    "labels.kind": "real",
    "init.arms": ("scratch", *ARMS),
}


def _stages(classes: int, scale: str) -> tuple[Stage, Stage]:
    changes = {"model.init_scale": SCALES[scale]}
    up = f"up_{classes}_{scale}"
    return (
        Stage(up, "conv_net", changes=changes | {"labels.num_classes": classes}, at=_UPSTREAM_AT),
        Stage(
            f"real_{classes}_{scale}",
            "conv_net",
            reads=up,
            changes=_FINE_TUNING | changes,
            at=_DOWNSTREAM_AT,
        ),
    )


@dataclasses.dataclass(frozen=True)
class TakenOver:
    """A network that was taken over: its cell of the diagram, its gain and what goes with it.

    Attributes:
        classes: that it learned upstream.
        scale: of initial weights, a key of SCALES.
        rate_up: learning rate upstream.
        rate_down: learning rate of fine-tuning.
        epochs: of pre-training.
        arm: a key of ARMS.
        seed: of the upstream network.
        gain: mean train accuracy over all steps of fine-tuning, above scratch.
        kernel_growth: see `kernel_growth`.
        inactive: {layer: inactive share of its units at the switch}, mean over units.
        logit_scale: at the switch, over that of scratch.
    """

    classes: int
    scale: str
    rate_up: float
    rate_down: float
    epochs: int
    arm: str
    seed: int
    gain: float
    kernel_growth: float
    inactive: Mapping[str, float]
    logit_scale: float

    @property
    def inactive_share(self) -> float:
        """Mean over layers."""
        return float(np.mean(list(self.inactive.values())))


@dataclasses.dataclass(frozen=True)
class Diagram:
    """Networks of all cells, or of some."""

    networks: tuple[TakenOver, ...]

    def where(self, **wanted: Any) -> "Diagram":
        """The networks whose attributes have these values."""
        chosen = (n for n in self.networks if all(getattr(n, k) == v for k, v in wanted.items()))
        return Diagram(tuple(chosen))

    def each(self, attribute: str) -> list[Any]:
        """An attribute of each network."""
        return [getattr(network, attribute) for network in self.networks]

    def levels(self, attribute: str) -> list[Any]:
        """The values that an attribute has, ascending."""
        return sorted(set(self.each(attribute)))

    def mean(self, attribute: str = "gain") -> float:
        """Of an attribute over networks; NaN without any."""
        return float(np.mean(self.each(attribute))) if self.networks else np.nan

    def by_seed(self, statistic: Callable[["Diagram"], float]) -> np.ndarray:
        """A statistic of the networks of each upstream seed, [seed]."""
        return np.array([statistic(self.where(seed=seed)) for seed in self.levels("seed")])

    def gains(self, arm: str = "pretrained", **wanted: Any) -> np.ndarray:
        """Mean gain of an arm over the cells of these attributes, [seed]."""
        return self.where(arm=arm, **wanted).by_seed(Diagram.mean)


def _read(results: Results) -> Diagram:
    cells = [(classes, scale) for classes in CLASSES for scale in SCALES]
    return Diagram(tuple(n for cell in cells for n in _read_networks(results, *cell)))


def _read_networks(results: Results, classes: int, scale: str) -> list[TakenOver]:
    """The networks of one pair of stages."""
    up, down = (results.runs[f"{kind}_{classes}_{scale}"] for kind in ("up", "real"))
    scratch = {(r.seed, r.learning_rate): r.network for r in down.networks if r.arm == "scratch"}
    rows = [row for row in down.networks if row.arm != "scratch"]
    chosen = [row.network for row in rows]
    baselines = [scratch[row.seed, row.learning_rate] for row in rows]
    steps, values = all_curves(down)
    gains = Curves(steps, values[chosen]).gain_over(Curves(steps, values[baselines]))
    inactive = {layer: 1 - of.share.mean(-1) for layer, of in activity_of_run(down, 0).items()}
    growth = {step: kernel_growth(up, step) for step in up.steps}
    logits = logit_scale(down, 0)
    found = []
    for row, baseline, gain in zip(rows, baselines, gains, strict=True):
        source, step = row.taken_over
        found.append(
            TakenOver(
                classes=classes,
                scale=scale,
                rate_up=up.networks[source].learning_rate,
                rate_down=row.learning_rate,
                epochs=step // up.steps_per_epoch,
                arm=row.arm,
                seed=up.networks[source].seed,
                gain=float(gain),
                kernel_growth=float(growth[step][source]),
                inactive={layer: float(share[row.network]) for layer, share in inactive.items()},
                logit_scale=float(logits[row.network] / logits[baseline]),
            )
        )
    return found


def kernel_growth(run: Run, step: int) -> np.ndarray:
    """Norm over norm at the start, geometric mean over the layers below the head, [network]."""
    start, now = (run.params(s) for s in (0, step))
    logs = []
    for path in layer_paths(now):
        if path != HEAD:
            kernels = [get_layer(tree, path)["kernel"].astype(np.float64) for tree in (now, start)]
            norms = [np.sqrt(np.square(k).reshape(len(k), -1).sum(1)) for k in kernels]
            logs.append(np.log(norms[0] / norms[1]))
    return np.exp(np.mean(logs, axis=0))


def _shortest_minus_longest(found: Diagram) -> np.ndarray:
    shortest, *_, longest = found.levels("epochs")
    return found.gains(epochs=shortest) - found.gains(epochs=longest)


def _minus_correlation(attribute: str) -> Callable[[Diagram], np.ndarray]:
    """Minus the rank correlation with the gain: above 0 where more goes with less gain."""

    def correlation(cells: Diagram) -> float:
        return -float(stats.spearmanr(cells.each("gain"), cells.each(attribute)).statistic)

    return lambda found: found.where(arm="pretrained").by_seed(correlation)


_DIFFERENCE = "mean train accuracy over all steps and cells, difference"

# {name: (statement, unit, values)}.
_CLAIMED: dict[str, tuple[str, str, Callable[[Diagram], np.ndarray]]] = {
    "helps": (
        "Over all cells, pre-training with rescaling is faster than scratch.",
        "mean gain over scratch",
        Diagram.gains,
    ),
    "rescaling": (
        "Rescaling to the initial norms helps.",
        _DIFFERENCE,
        lambda found: found.gains() - found.gains("pretrained_unscaled"),
    ),
    "few_classes": (
        f"Pre-training gains more with {CLASSES[0]} random classes than with {CLASSES[-1]}.",
        _DIFFERENCE,
        lambda found: found.gains(classes=CLASSES[0]) - found.gains(classes=CLASSES[-1]),
    ),
    "short": (
        "The shortest pre-training gains more than the longest.",
        _DIFFERENCE,
        _shortest_minus_longest,
    ),
    **{
        attribute: (
            f"Networks gain less where {words}.",
            "minus the rank correlation with the gain over cells",
            _minus_correlation(attribute),
        )
        for attribute, words in EXPLANATIONS.items()
    },
}


def _figures(found: Diagram) -> Drawings:
    """Maps of the gain: length against learning rate up, for all other settings."""
    rates, lengths = found.levels("rate_up"), found.levels("epochs")
    panels = {}
    for arm, rate_down, classes, scale in itertools.product(ARMS, RATES_DOWN, CLASSES, SCALES):
        cells = found.where(arm=arm, rate_down=rate_down, classes=classes, scale=scale)
        row = f"{ARMS[arm]},\nfine-tuning rate {rate_down:g}"
        panels[row, f"{classes} random classes\n{_SCALE_WORDS[scale]} initial weights"] = np.array(
            [[cells.where(rate_up=up, epochs=n).mean() for n in lengths] for up in rates]
        )
    figure = phase_maps.plot(
        panels,
        ("learning rate of pre-training", [f"{rate:g}" for rate in rates]),
        ("epochs of pre-training", [str(n) for n in lengths]),
        style.GAIN,
    )
    caption = (
        "Gain over scratch in mean train accuracy on real labels, after pre-training on random "
        "labels, taken over with kernels rescaled to their norms at initialisation or not: mean "
        "over seeds for each cell. Blue is positive, red negative transfer."
    )
    return {"phase": (figure, caption)}


def _tables(found: Diagram) -> Tables:
    """One row for each cell: gain with and without rescaling, and what goes with it."""
    cells = dict.fromkeys(zip(*(found.each(attribute) for attribute in CELL), strict=True))
    return {"cells": [_row(found, dict(zip(CELL, cell, strict=True))) for cell in cells]}


def _row(found: Diagram, cell: Mapping[str, Any]) -> Row:
    row = {attribute.replace("_", " "): value for attribute, value in cell.items()}
    for arm, words in ARMS.items():
        of_arm = found.where(arm=arm, **cell)
        row[f"gain, {words}"] = f"{of_arm.mean():+.3f}"
        row[f"logit scale, {words}"] = f"{of_arm.mean('logit_scale'):.2f}"
    rescaled = found.where(arm="pretrained", **cell)
    row["kernel growth"] = f"{rescaled.mean('kernel_growth'):.2f}"
    inactive = rescaled.each("inactive")
    for layer in inactive[0]:
        row[f"active, {layer}"] = f"{1 - np.mean([of[layer] for of in inactive]):.2f}"
    return row


STUDY = Study(
    name="phase",
    title="Where pre-training on random labels helps",
    paper_item="Figure 1, as a phase diagram",
    stages=tuple(stage for n in CLASSES for scale in SCALES for stage in _stages(n, scale)),
    read=_read,
    claims=tuple(
        Claim(name=name, statement=statement, place=PLACE, unit=unit, of=of)
        for name, (statement, unit, of) in _CLAIMED.items()
    ),
    figures=_figures,
    tables=_tables,
    primary={
        "helps": FASTER,
        "rescaling": AHEAD,
        "inactive_share": Primary(0.1, "gains that do not fall with the share of inactive units"),
    },
)
