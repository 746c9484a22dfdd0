"""The ladder of initialisations: from nothing, from the data, from random labels, from real ones.

Only the first layer of simple_cnn differs; all filters that are made get the output variance, those
that are taken from a run the weight norm, of the fresh ones. He's and LeCun's scale concern all
layers of a network, so they have a run of their own. Whitening needs large kernels for the same
output variance, so it is there with the norm of fresh kernels, too.

Each rung is compared with scratch twice: both at the recipe's learning rate, and each at the best
of four for itself, by mean train accuracy over all steps and seeds.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import gain_bars
from randlabels.runs import Run
from randlabels.studies import gains
from randlabels.studies.network_groups import LAYER
from randlabels.studies.questions import QUESTIONS, UPSTREAM_AT, downstream
from randlabels.studies.study import Claim, Results, Stage, Study

LEVEL = 0.6  # train accuracy of real labels; chance is .1
PLACE = "Sections 2.4 and 2.5, beside other initialisations"
RATE, RATES = 0.01, (0.003, 0.01, 0.03, 0.1)  # the recipe's learning rate, and all of them

# {name: (words, stage, columns of the network table)}, from the bottom of the ladder to its top.
RUNGS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "lecun": ("LeCun's scale in all layers", "scales", {"arm": "scratch", "init_scale": 1.0}),
    "he": ("He's scale in all layers", "scales", {"arm": "scratch", "init_scale": 2**0.5}),
    "orthogonal": ("orthogonal", "ladder", {"arm": "orthogonal"}),
    "smooth": ("smooth filters", "ladder", {"arm": "smooth"}),
    "patch_whitening": ("patch whitening", "ladder", {"arm": "patch_whitening"}),
    "whitening_norm": (
        "patch whitening, norm of fresh kernels",
        "by_norm",
        {"arm": "patch_whitening"},
    ),
    "closed_form": (
        "aligned, closed form with peak 1",
        "ladder",
        {"arm": "aligned", "curve": "closed_form:1"},
    ),
    "fitted": ("aligned, fitted closed form", "ladder", {"arm": "aligned", "curve": "fitted"}),
    "measured": ("aligned, measured f", "ladder", {"arm": "aligned", "curve": "measured"}),
    "covariance": ("covariance of pre-trained filters", "ladder", {"arm": "covariance"}),
    "pretrained_random": ("pre-trained on random labels", "ladder", {"arm": "pretrained"}),
    "pretrained_real": ("pre-trained on real labels", "from_real", {"arm": "pretrained"}),
}

# The network table holds float32 scales as Python floats; scratch is the recipe's.
_SCALES = (0.526, 1.0, 2**0.5)
_RATE_SWEEP = ("optimizer.learning_rate", RATES)

Pair = tuple[Run, dict[str, Any], dict[str, Any]]  # a run, a start in it, and its scratch


def _scratch(stage: str) -> dict[str, Any]:
    return {"arm": "scratch"} | ({"init_scale": _SCALES[0]} if stage == "scales" else {})


def _at(start: dict[str, Any], rate: float) -> dict[str, Any]:
    return start | {"learning_rate": rate}


def best_rate(run: Run, start: dict[str, Any], scratch: dict[str, Any]) -> float:
    """The learning rate with which a start learns fastest; one at which networks diverge is none.

    Args:
        run: with all rates.
        start: columns of the network table but the rate.
        scratch: those of scratch, from which distances are measured at the recipe's rate.
    """
    speeds = [gains.gain(run, _at(start, rate), _at(scratch, RATE)).mean() for rate in RATES]
    return RATES[int(np.argmax(np.nan_to_num(speeds, nan=-np.inf)))]


def _pairs(results: Results, stage: str, start: dict[str, Any]) -> tuple[Pair, Pair]:
    """A start and scratch: both at the recipe's rate, each at its best."""
    run, scratch = results.runs[stage], _scratch(stage)
    best, scratch_best = best_rate(run, start, scratch), best_rate(run, scratch, scratch)
    return (
        (run, _at(start, RATE), _at(scratch, RATE)),
        (run, _at(start, best), _at(scratch, scratch_best)),
    )


def measure(results: Results) -> dict[str, np.ndarray]:
    """Gain of each rung over scratch at the recipe's scale, at both choices of rates, [seed]."""
    return {
        name + suffix: gains.gain(*pair)
        for name, (_, stage, start) in RUNGS.items()
        for suffix, pair in zip(("", "_tuned"), _pairs(results, stage, start), strict=True)
    }


def _claims() -> tuple[Claim, ...]:
    words = {
        name: f"Networks with a first layer that is {words}"
        for name, (words, _, _) in RUNGS.items()
    }
    words["lecun"] = "Networks with LeCun's scale in all layers"
    words["he"] = "Networks with He's scale in all layers"
    words["smooth"] = "Networks with smooth filters in the first layer"
    words["covariance"] = "Networks with a first layer drawn from the covariance of trained filters"
    words["patch_whitening"] = "Networks whose first layer whitens patches"
    words["whitening_norm"] = "Networks whose first layer whitens patches, with the usual norm,"
    at_best = {
        f"{name}_tuned": f"Each at its best learning rate: {text[0].lower()}{text[1:]}"
        for name, text in words.items()
    }
    return gains.faster_claims(words | at_best, "real labels", PLACE)


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """The ladder: gains over scratch at both choices of rates."""
    measured = measure(results)
    panels = {
        title: {
            words: (measured[name + suffix], gains.interval(measured[name + suffix]))
            for name, (words, _, _) in RUNGS.items()
        }
        for title, suffix in ((f"learning rate {RATE}", ""), ("each at its best rate", "_tuned"))
    }
    caption = (
        "Gain in training speed on real labels over scratch at the recipe's scale, for each way to "
        "initialise the first layer; on the left all have the same learning rate, on the right "
        f"each and scratch the best of {len(RATES)} for itself. Large points are means, lines 95% "
        "intervals, small points seeds."
    )
    return {"init_ladder": (gain_bars.plot(panels), caption)}


def summary(results: Results) -> list[dict[str, Any]]:
    """Two rows for each rung: rate, gain, steps to a level, accuracies at the end."""
    found = []
    for words, stage, start in (("scratch", "ladder", _scratch("ladder")), *RUNGS.values()):
        for run, chosen, scratch in _pairs(results, stage, start):
            (row,) = gains.rows(run, {words: chosen}, LEVEL, scratch)
            found.append({"start": words, "learning rate": f"{chosen['learning_rate']:g}"} | row)
    return found


STUDY = Study(
    name="init_ladder",
    title="A ladder of initialisations for the first layer",
    paper_item="Figures 5 and 6, beside initialisations of other work",
    stages=(
        Stage("upstream", QUESTIONS, at=UPSTREAM_AT[QUESTIONS]),
        Stage(
            "upstream_real",
            QUESTIONS,
            changes={"labels.kind": "real"},
            at=UPSTREAM_AT[QUESTIONS]
            | {"smoke": {"labels.num_classes": 5, "train.checkpoint_epochs": (0, 2)}},
        ),
        downstream(
            "ladder",
            "upstream",
            {
                "init.arms": (
                    "scratch",
                    "orthogonal",
                    "smooth",
                    "patch_whitening",
                    "aligned",
                    "covariance",
                    "pretrained",
                ),
                "init.layers": (LAYER,),
                "population.sweep": (
                    ("init.curve", ("closed_form:1", "fitted", "measured")),
                    _RATE_SWEEP,
                ),
            },
        ),
        downstream(
            "by_norm",
            "",
            {
                "init.arms": ("scratch", "patch_whitening"),
                "init.layers": (LAYER,),
                "init.match": "weight_norm",
                "population.sweep": (_RATE_SWEEP,),
            },
        ),
        downstream(
            "from_real",
            "upstream_real",
            {
                "init.arms": ("scratch", "pretrained"),
                "init.layers": (LAYER,),
                "population.sweep": (_RATE_SWEEP,),
            },
        ),
        downstream(
            "scales", "", {"population.sweep": (("model.init_scale", _SCALES), _RATE_SWEEP)}
        ),
    ),
    claims=_claims(),
    measures=measure,
    figures=figures,
    summary=summary,
)
