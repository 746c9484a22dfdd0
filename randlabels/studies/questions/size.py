"""Size: do the paper's effects grow or shrink with the network, the images and their number?

Each effect at three sizes, in which channels and images grow together, and resolution where it is
not the full one already: alignment of what the first layer of simple_cnn learned and its transfer
(Figures 2 and 5), layers of conv_net set from data alone (Figure 6), vgg16 taken over in the
setting where that helps (Figure 1). Epochs are the same at all sizes, so that steps grow with the
images.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from randlabels.analysis.advantage import Advantage, learned_advantage
from randlabels.configs.base import SAME, Columns
from randlabels.figures import gain_bars
from randlabels.studies.declare import Claim, Drawings, Results, Stage, Study, Tables
from randlabels.studies.families import (
    FINE_TUNING,
    UNKNOWN_SEEDS,
    one_change,
    two_settings,
    whole_networks,
)
from randlabels.studies.readouts.alignment import LAYER
from randlabels.studies.readouts.cells import interval, mean_range, signed_interval
from randlabels.studies.readouts.curves import Curves, read_curves
from randlabels.studies.readouts.gains import FASTER, bars, faster_claim
from randlabels.studies.readouts.learned import (
    ADVANTAGE,
    SPECIFIC,
    advantage_rows,
    specific_claim,
)

SIZES = ("small", "medium", "large")
SMALLEST, LARGEST = SIZES[0], SIZES[-1]
PLACE = "Not in the paper: its effects at other sizes"
SEEDS = 6

# {effect: (its run downstream, arm, what its networks are)}
EFFECTS = {
    "pretrained": ("first", "pretrained", "with a first layer pre-trained on random labels"),
    "covariance": ("first", "covariance", "with a first layer redrawn from its covariance"),
    "aligned": ("layers", "aligned", "with four layers set from data alone"),
    "whole": ("vgg", "pretrained", "(vgg16) pre-trained on random labels"),
}

# {run: {field: its values at the three sizes, at full and at short}}
_FULL: Mapping[str, Mapping[str, tuple[Any, Any, Any]]] = {
    "first": {
        "model.filters": (64, 128, 256),
        "data.upstream_size": (5_000, 10_000, 20_000),
        "data.downstream_size": (5_000, 10_000, 20_000),
        "data.image_size": (8, 16, 0),
    },
    "layers": {
        "model.channels": ((16, 32, 32, 32), (32, 64, 64, 64), (64, 128, 128, 128)),
        "data.downstream_size": (5_000, 10_000, 20_000),
        "data.image_size": (16, 16, 0),
    },
    "vgg": {
        "model.width": (0.25, 0.5, 1.0),
        "data.upstream_size": (5_000, 10_000, 20_000),
        "data.downstream_size": (5_000, 10_000, 20_000),
    },
}
_SHORT: Mapping[str, Mapping[str, tuple[Any, Any, Any]]] = {
    "first": {
        "model.filters": (48, 64, 128),
        "data.upstream_size": (1_000, 2_000, 4_000),
        "data.downstream_size": (1_000, 2_000, 4_000),
        "data.image_size": (8, 16, 0),
    },
    "layers": {
        "model.channels": ((8, 16, 16, 16), (16, 32, 32, 32), (32, 64, 64, 64)),
        "data.downstream_size": (750, 1_500, 3_000),
        "data.image_size": (16, 16, 0),
    },
    "vgg": {
        "model.width": (0.0625, 0.125, 0.25),
        "data.upstream_size": (200, 400, 800),
        "data.downstream_size": (200, 400, 800),
    },
}


def _at(run: str, size: str, more: Columns) -> Columns:
    """What a size changes at each budget; in smoke all sizes are one."""
    place = SIZES.index(size)
    sized: dict[str, tuple[Any, Any, Any]] = {
        field: (values[place], _SHORT[run][field][place], SAME)
        for field, values in _FULL[run].items()
    }
    return {**more, **sized, "population.seeds": (SEEDS, SEEDS, SAME)}


def _stages(size: str) -> Iterator[Stage]:
    upstream, questions = f"first_{size}_upstream", one_change.QUESTIONS
    yield Stage(
        upstream,
        questions,
        analyze=(LAYER,),
        at=_at("first", size, one_change.UPSTREAM_AT[questions]),
    )
    first = one_change.downstream(
        f"first_{size}",
        upstream,
        {"init.arms": ("scratch", "pretrained", "covariance"), "init.layers": (LAYER,)},
    )
    yield dataclasses.replace(first, at=_at("first", size, first.at))
    yield Stage(
        f"layers_{size}",
        "conv_net",
        changes={
            **FINE_TUNING,
            "labels.kind": "real",
            "init.arms": ("scratch", "aligned"),
            "init.layers": ("first:4",),
        },
        at=_at("layers", size, {**whole_networks.TEN_CLASSES, "train.epochs": (12, 12, SAME)}),
    )
    upstream = f"vgg_{size}_upstream"
    yield Stage(upstream, "vgg16", at=_at("vgg", size, two_settings.UPSTREAM_AT["positive"]))
    yield Stage(
        f"vgg_{size}",
        "vgg16",
        reads=upstream,
        changes={
            **FINE_TUNING,
            "labels.kind": "real",
            "init.arms": ("scratch", "pretrained"),
            "optimizer.learning_rate": 0.003,
        },
        at=_at("vgg", size, {**whole_networks.TEN_CLASSES, **two_settings.every_two(24, 16)}),
    )


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What was read at each size.

    Attributes:
        advantage: {size: of the data's eigenvectors over controls, in what was learned}.
        learned: {size: {networks: train accuracy at the end of pre-training [seed]}}.
        curves: {size: {run: {arm: curves}}}.
    """

    advantage: Mapping[str, Advantage]
    learned: Mapping[str, Mapping[str, np.ndarray]]
    curves: Mapping[str, Mapping[str, Mapping[str, Curves]]]

    def gain(self, effect: str, size: str) -> np.ndarray:
        """Mean train accuracy of an effect's arm over all steps above scratch, [seed]."""
        run, arm, _ = EFFECTS[effect]
        arms = self.curves[size][run]
        return arms[arm].gain_over(arms["scratch"])


def _read(results: Results) -> Sizes:
    upstream = {size: results.runs[f"first_{size}_upstream"] for size in SIZES}
    arms: dict[str, set[str]] = {}
    for run, arm, _ in EFFECTS.values():
        arms.setdefault(run, {"scratch"}).add(arm)
    return Sizes(
        advantage={size: learned_advantage(run, run.steps[-1]) for size, run in upstream.items()},
        learned={
            size: {
                run: np.array(results.runs[f"{run}_{size}_upstream"].metrics[-1]["train_accuracy"])
                for run in ("first", "vgg")
            }
            for size in SIZES
        },
        curves={
            size: {
                run: {arm: read_curves(results.runs[f"{run}_{size}"], arm) for arm in of}
                for run, of in arms.items()
            }
            for size in SIZES
        },
    )


def _claims() -> Iterator[Claim[Sizes]]:
    for size in SIZES:
        whose = f"the first layer of the {size} simple_cnn"
        yield specific_claim(f"specific_{size}", whose, PLACE, lambda f, s=size: f.advantage[s])  # type: ignore[misc]
        for effect, (_, _, words) in EFFECTS.items():
            yield faster_claim(
                f"{effect}_{size}",
                f"At the {size} size, networks {words}",
                "real labels",
                PLACE,
                lambda found, e=effect, s=size: found.gain(e, s),  # type: ignore[misc]
            )
    for effect, (_, _, words) in EFFECTS.items():
        yield Claim(
            name=f"{effect}_grows",
            statement=f"The gain of networks {words} is larger at the {LARGEST} than at the "
            f"{SMALLEST} size.",
            place=PLACE,
            unit="gain over scratch in mean train accuracy, difference",
            of=lambda found, e=effect: found.gain(e, LARGEST) - found.gain(e, SMALLEST),  # type: ignore[misc]
        )


def _figures(found: Sizes) -> Drawings:
    """Each effect at three sizes."""
    gains = {effect: bars({size: found.gain(effect, size) for size in SIZES}) for effect in EFFECTS}
    values = {size: of.values for size, of in found.advantage.items()}
    alignment = {
        "the control that is hardest to beat": {
            size: (of, interval(of)) for size, of in values.items()
        }
    }
    caption = "Large points are means, lines 95% intervals, small points seeds."
    return {
        "gains": (
            gain_bars.plot(gains),
            f"Gain in training speed on real labels over scratch, at three sizes. {caption}",
        ),
        "alignment": (
            gain_bars.plot(alignment, ADVANTAGE),
            "How much closer what the first layer has learned is to the eigenvectors of the data "
            f"than to the control that is hardest to beat, at three sizes. {caption}",
        ),
    }


def _tables(found: Sizes) -> Tables:
    """Gains by effect and size, and alignment by size."""
    gains = [
        {"networks": words} | {size: signed_interval(found.gain(effect, size)) for size in SIZES}
        for effect, (_, _, words) in EFFECTS.items()
    ]
    learned = [
        {"pre-trained on random labels": words, "measure": "train accuracy at the end"}
        | {size: mean_range(found.learned[size][run], digits=3) for size in SIZES}
        for run, words in (("first", "simple_cnn"), ("vgg", "vgg16"))
    ]
    return {"gains": gains, "learned": learned, "advantage": advantage_rows(found.advantage)}


STUDY = Study(
    name="size",
    title="The paper's effects at three sizes",
    paper_item="Figures 1, 2, 5 and 6 at other sizes",
    stages=tuple(stage for size in SIZES for stage in _stages(size)),
    read=_read,
    claims=tuple(_claims()),
    primary={
        f"specific_{LARGEST}": SPECIFIC,
        **{f"{effect}_{LARGEST}": FASTER for effect in ("pretrained", "covariance", "aligned")},
    },
    figures=_figures,
    tables=_tables,
    tuning=UNKNOWN_SEEDS,
)
