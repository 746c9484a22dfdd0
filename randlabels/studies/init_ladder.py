"""The ladder of initialisations: from nothing, from the data, from random labels, from real ones.

Only the first layer of simple_cnn differs; all filters that are made get the output variance, those
that are taken from a run the weight norm, of the fresh ones. He's and LeCun's scale concern all
layers of a network, so they have a run of their own.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import gain_bars
from randlabels.studies import gains
from randlabels.studies.study import Claim, Results, Stage, Study

LEVEL = 0.6  # train accuracy of real labels; chance is .1
PLACE = "Sections 2.4 and 2.5, beside other initialisations"
TITLE = "real labels, CIFAR-10"

# {name: (words, stage, columns of the network table)}, from the bottom of the ladder to its top.
RUNGS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "lecun": ("LeCun's scale in all layers", "scales", {"arm": "scratch", "init_scale": 1.0}),
    "he": ("He's scale in all layers", "scales", {"arm": "scratch", "init_scale": 2**0.5}),
    "orthogonal": ("orthogonal", "ladder", {"arm": "orthogonal"}),
    "smooth": ("smooth filters", "ladder", {"arm": "smooth"}),
    "patch_whitening": ("patch whitening", "ladder", {"arm": "patch_whitening"}),
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


def _baseline(stage: str) -> dict[str, Any]:
    return {"arm": "scratch"} | ({"init_scale": _SCALES[0]} if stage == "scales" else {})


def measure(results: Results) -> dict[str, np.ndarray]:
    """Gain of each rung over scratch at the recipe's scale, [seed]."""
    return {
        name: gains.gain(results.runs[stage], start, _baseline(stage))
        for name, (_, stage, start) in RUNGS.items()
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
    return gains.faster_claims(words, "real labels", PLACE)


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """The ladder: gains over scratch."""
    measured = measure(results)
    rungs = {
        words: (measured[name], gains.interval(measured[name]))
        for name, (words, _, _) in RUNGS.items()
    }
    caption = (
        "Gain in training speed over scratch at the recipe's scale, for each way to initialise the "
        "first layer. Large points are means, lines 95% intervals, small points seeds."
    )
    return {"init_ladder": (gain_bars.plot({TITLE: rungs}), caption)}


def summary(results: Results) -> list[dict[str, Any]]:
    """One row for each rung: gain, steps to a level, accuracies at the end."""
    found = gains.rows(results.runs["ladder"], {"scratch": "scratch"}, LEVEL)
    for words, stage, start in RUNGS.values():
        found += gains.rows(results.runs[stage], {words: start}, LEVEL, _baseline(stage))
    return found


STUDY = Study(
    name="init_ladder",
    title="A ladder of initialisations for the first layer",
    paper_item="Figures 5 and 6, beside initialisations of other work",
    stages=(
        Stage("upstream", "question_upstream"),
        Stage("upstream_real", "question_upstream_real"),
        Stage(
            "ladder",
            "question_real",
            reads="upstream",
            changes={
                "init.arms": (
                    "scratch",
                    "orthogonal",
                    "smooth",
                    "patch_whitening",
                    "aligned",
                    "covariance",
                    "pretrained",
                ),
                "population.sweep": (("init.curve", ("closed_form:1", "fitted", "measured")),),
            },
        ),
        Stage(
            "from_real",
            "question_real",
            reads="upstream_real",
            changes={"init.arms": ("scratch", "pretrained")},
        ),
        Stage(
            "scales",
            "question_real",
            changes={
                "init.arms": ("scratch",),
                "init.layers": ("all",),
                "population.sweep": (("model.init_scale", _SCALES),),
            },
        ),
    ),
    claims=_claims(),
    measures=measure,
    figures=figures,
    summary=summary,
)
