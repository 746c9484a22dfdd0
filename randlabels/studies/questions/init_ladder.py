"""The ladder of initialisations: from nothing, from the data, from random labels, from real ones.

Only the first layer of simple_cnn differs; all filters that are made get the output variance, those
that are taken from a run the weight norm, of the fresh ones. He's and LeCun's scale concern all
layers of a network, so they have a run of their own. Whitening needs large kernels for the same
output variance, so it is there with the norm of fresh kernels, too.

Each rung is compared with scratch twice: both at the recipe's learning rate, and each at the best
of four for itself, by mean train accuracy over all steps on tuning seeds.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from randlabels.configs.base import SAME
from randlabels.figures import gain_bars
from randlabels.studies.declare import Claim, Drawings, Results, Row, Stage, Study, Tables, Tuning
from randlabels.studies.families.one_change import QUESTIONS, UPSTREAM_AT, downstream
from randlabels.studies.readouts.alignment import LAYER
from randlabels.studies.readouts.cells import gain_rows
from randlabels.studies.readouts.gains import FASTER, bars, faster_claim
from randlabels.studies.readouts.rates import BEST, COMMON, SCRATCH, AtRates, read_rates

LEVEL = 0.6  # train accuracy of real labels; chance is .1
PLACE = "Sections 2.4 and 2.5, beside other initialisations"
RATE, RATES = 0.01, (0.003, 0.01, 0.03, 0.1)  # the recipe's learning rate, and all of them
SUFFIXES = {COMMON: "", BEST: "_tuned"}  # of claims, after the rung
SCRATCH_BEST = 0.03  # learning rate, chosen on tuning seeds


@dataclasses.dataclass(frozen=True)
class Rung:
    """One way to initialise.

    Attributes:
        label: for figures and tables.
        start: columns of the network table but the rate.
        stage: that has it, and scratch.
        words: what its networks are, for claims; by default they have a first layer of its label.
        best: its learning rate, chosen on tuning seeds by `python -m benchmarks.best_rates`.
    """

    label: str
    start: Mapping[str, Any]
    stage: str = "ladder"
    words: str = ""
    best: float = 0.03


_WHITENING = {"arm": "patch_whitening"}
_WHITENS = "whose first layer whitens patches"
_LECUN, _HE = (f"{name}'s scale in all layers" for name in ("LeCun", "He"))

# From the bottom of the ladder to its top.
RUNGS = {
    "lecun": Rung(_LECUN, {"arm": "scratch", "init_scale": 1.0}, "scales", f"with {_LECUN}", 0.01),
    "he": Rung(_HE, {"arm": "scratch", "init_scale": 2**0.5}, "scales", f"with {_HE}", 0.003),
    "orthogonal": Rung("orthogonal", {"arm": "orthogonal"}),
    "smooth": Rung(
        "smooth filters", {"arm": "smooth"}, words="with smooth filters in the first layer"
    ),
    "patch_whitening": Rung("patch whitening", _WHITENING, words=_WHITENS),
    "whitening_norm": Rung(
        "patch whitening, norm of fresh kernels",
        _WHITENING,
        "by_norm",
        f"{_WHITENS}, with the usual norm,",
    ),
    "closed_form": Rung(
        "aligned, closed form with peak 1", {"arm": "aligned", "curve": "closed_form:1"}
    ),
    "fitted": Rung("aligned, fitted closed form", {"arm": "aligned", "curve": "fitted"}),
    "measured": Rung("aligned, measured f", {"arm": "aligned", "curve": "measured"}),
    "covariance": Rung(
        "covariance of pre-trained filters",
        {"arm": "covariance"},
        words="with a first layer drawn from the covariance of trained filters",
    ),
    "pretrained_random": Rung("pre-trained on random labels", {"arm": "pretrained"}),
    "pretrained_real": Rung("pre-trained on real labels", {"arm": "pretrained"}, "from_real"),
}

# The network table holds float32 scales as Python floats; scratch is the recipe's.
_SCALES = (0.526, 1.0, 2**0.5)
_RATE_SWEEP = ("optimizer.learning_rate", RATES)


def _by_first_layer(name: str, reads: str, arms: tuple[str, ...], more: Mapping[str, Any]) -> Stage:
    """Fine-tuning at all rates, from scratch and with a first layer that is set by other arms."""
    changes = {"init.arms": ("scratch", *arms), "init.layers": (LAYER,)}
    return downstream(name, reads, {"population.sweep": (_RATE_SWEEP,), **changes, **more})


_REAL_AT = UPSTREAM_AT[QUESTIONS] | {"labels.num_classes": (SAME, SAME, 5)}  # dead leaves
_CURVES = ("init.curve", ("closed_form:1", "fitted", "measured"))


# {rung: it and scratch of the same run at all rates}.
Ladder = Mapping[str, AtRates]


def _read(results: Results) -> Ladder:
    """Every rung, and scratch of its own run, at all rates."""
    found = {}
    for name, rung in RUNGS.items():
        scale = {"init_scale": _SCALES[0]} if rung.stage == "scales" else {}
        starts = {name: rung.start, SCRATCH: {"arm": "scratch", **scale}}
        best = {name: rung.best, SCRATCH: SCRATCH_BEST}
        found[name] = read_rates(results.runs[rung.stage], starts, best)
    return found


def _claims(rates: str, subject: str) -> Iterator[Claim[Ladder]]:
    def gain(name: str) -> Callable[[Ladder], np.ndarray]:
        return lambda found: found[name].gain(name, rates)

    for name, rung in RUNGS.items():
        words = f"{subject} {rung.words or f'with a first layer that is {rung.label}'}"
        yield faster_claim(name + SUFFIXES[rates], words, "real labels", PLACE, gain(name))


def _figures(found: Ladder) -> Drawings:
    """The ladder: gains over scratch at both choices of rates."""
    panels = {
        title: bars({RUNGS[name].label: of.gain(name, rates) for name, of in found.items()})
        for title, rates in ((f"learning rate {RATE}", COMMON), (BEST, BEST))
    }
    caption = (
        "Gain in training speed on real labels over scratch at the recipe's scale, for each way to "
        "initialise the first layer; on the left all have the same learning rate, on the right "
        f"each and scratch the best of {len(RATES)} for itself. Large points are means, lines 95% "
        "intervals, small points seeds."
    )
    return {"init_ladder": (gain_bars.plot(panels), caption)}


def _tables(found: Ladder) -> Tables:
    """Two rows for scratch and each rung: rate, gain, steps to a level, accuracies at the end."""
    rows: list[Row] = []
    for name, of in {SCRATCH: found["closed_form"], **found}.items():
        label = RUNGS[name].label if name in RUNGS else name
        for rate, curves in ((of.common, of.at_common), (of.best[name], of.at_best)):
            start = {"start": label, "learning rate": f"{rate:g}"}
            shown = gain_rows({label: curves[name]}, curves[SCRATCH], LEVEL)
            rows += [start | dict(row) for row in shown]
    return {"ladder": rows}


STUDY = Study(
    name="init_ladder",
    title="A ladder of initialisations for the first layer",
    paper_item="Figures 5 and 6, beside initialisations of other work",
    stages=(
        Stage("upstream", QUESTIONS, at=UPSTREAM_AT[QUESTIONS]),
        Stage("upstream_real", QUESTIONS, changes={"labels.kind": "real"}, at=_REAL_AT),
        _by_first_layer(
            "ladder",
            "upstream",
            ("orthogonal", "smooth", "patch_whitening", "aligned", "covariance", "pretrained"),
            {"population.sweep": (_CURVES, _RATE_SWEEP)},
        ),
        _by_first_layer("by_norm", "", ("patch_whitening",), {"init.match": "weight_norm"}),
        _by_first_layer("from_real", "upstream_real", ("pretrained",), {}),
        downstream(
            "scales", "", {"population.sweep": (("model.init_scale", _SCALES), _RATE_SWEEP)}
        ),
    ),
    read=_read,
    claims=(
        *_claims(COMMON, "Networks"),
        *_claims(BEST, "Each at its best learning rate: networks"),
    ),
    figures=_figures,
    tables=_tables,
    primary={
        f"{rung}{SUFFIXES[BEST]}": FASTER
        for rung in ("closed_form", "covariance", "pretrained_random")
    },
    tuning=Tuning(
        seeds=(*range(4), *range(1000, 1004)),
        note="The grid of rates and the best rate of each start, and of scratch, were chosen on "
        "these seeds, the latter of five from .003 to .3.",
    ),
)
