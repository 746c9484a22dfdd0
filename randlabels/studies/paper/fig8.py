"""Figure 8: wider last layers against negative transfer, in the negative setting of Figure 1.

conv11 to conv13 have 1 and 4 times their channels. The gap is the mean difference of train accuracy
between networks that are pre-trained and those from scratch of the same width. Width can only cure
what is there: the claims about it ask that pre-training hurts at the standard width.
"""

import dataclasses
from functools import partial

import numpy as np

from randlabels.figures import gap_curves, training_curves
from randlabels.studies.declare import Claim, Drawings, Stage, Study, Tables
from randlabels.studies.families import two_settings, whole_networks
from randlabels.studies.families.two_settings import LEVELS
from randlabels.studies.families.whole_networks import BANDS, COPIED, HOW, Cases
from randlabels.studies.readouts.curves import train_lines
from randlabels.studies.readouts.gains import FASTER, SLOWER
from randlabels.studies.readouts.rates import BEST, COMMON, gain_cells, rate_rows

STANDARD, WIDE = "negative_real", "wide_real"
WIDTHS = {STANDARD: 1, WIDE: 4}  # by stage
# Those of the wide networks were chosen like Figure 1's, of .001 to .03, by benchmarks.best_rates.
BEST_RATES = {
    STANDARD: two_settings.BEST[STANDARD],
    WIDE: {"scratch": 0.001, "pretrained": 0.01, "pretrained_unscaled": 0.01},
}
PLACE = "Figure 8"
_GAP = "mean train accuracy, {} scratch, each at its best rate"
_WIDER = {"model.last_width": float(WIDTHS[WIDE])}


def _stages() -> tuple[Stage, ...]:
    """Those of Figure 1, by their names there, and wide ones."""
    upstream = two_settings.UPSTREAM["negative"]
    standard = two_settings.downstream("negative", "real")
    wide = dataclasses.replace(upstream, name="wide", changes=_WIDER)
    wide_real = dataclasses.replace(
        standard, name=WIDE, reads=wide.name, changes={**standard.changes, **_WIDER}
    )
    return upstream, standard, wide, wide_real


def _claims(arm: str) -> tuple[Claim[Cases], ...]:
    """That an arm hurts at the standard width, and what width does about it."""
    words = f"networks that take over pre-trained layers {HOW[arm]}"
    return (
        Claim(
            name=f"{arm}_hurts_at_standard_width",
            statement=f"With the standard width, {words} learn real labels more slowly than from "
            "scratch.",
            place=PLACE,
            unit=_GAP.format("loss against"),
            of=lambda found: -found[STANDARD].gain(arm),
        ),
        Claim(
            name=f"{arm}_better_when_wide",
            statement="With last layers four times as wide, the gap to scratch of "
            f"{words} is better than with the standard width.",
            place=PLACE,
            unit=_GAP.format("gain over") + ", at width 4 minus at width 1",
            of=lambda found: found[WIDE].gain(arm) - found[STANDARD].gain(arm),
        ),
        Claim(
            name=f"{arm}_helps_when_wide",
            statement=f"With last layers four times as wide, {words} learn real labels faster than "
            "from scratch.",
            place=PLACE,
            unit=_GAP.format("gain over"),
            of=lambda found: found[WIDE].gain(arm),
        ),
    )


def _figures(found: Cases) -> Drawings:
    """The gap against the width at both choices of rates, and the curves of every width."""
    widths = np.array(list(WIDTHS.values()))
    panels = {
        rates: (
            widths,
            {arm: np.stack([found[stage].gain(arm, rates) for stage in WIDTHS]) for arm in COPIED},
        )
        for rates in (COMMON, BEST)
    }
    curves = {
        f"last layers {width}x, {BEST}": train_lines(found[stage].at_best)
        for stage, width in WIDTHS.items()
    }
    return {
        "gap": (
            gap_curves.plot(
                panels, "width of the last layers (over the standard width)", scale="log"
            ),
            "Mean train accuracy above scratch of the same width. Points are seeds.",
        ),
        "curves": (
            training_curves.plot(curves),
            f"Fine-tuning on real labels in the negative setting. {BANDS}",
        ),
    }


def _tables(found: Cases) -> Tables:
    """Gains of each width and arm at both choices of rates; a row for each width, arm and rate."""
    gains = [
        {"last layers": f"{width}x", "arm": arm, **gain_cells(found[stage], arm)}
        for stage, width in WIDTHS.items()
        for arm in COPIED
    ]
    rates = [
        {"last layers": f"{width}x", **row}
        for stage, width in WIDTHS.items()
        for row in rate_rows(found[stage], LEVELS["real"])
    ]
    return {"gains": gains, "rates": rates}


_PREMISE = "pretrained_unscaled_hurts_at_standard_width"

STUDY = Study(
    name="fig8",
    title="Wider last layers against negative transfer, vgg16 on CIFAR-10",
    paper_item="Figure 8",
    stages=_stages(),
    read=partial(whole_networks.read_cases, best=BEST_RATES),
    claims=tuple(claim for arm in reversed(COPIED) for claim in _claims(arm)),
    figures=_figures,
    tables=_tables,
    # Width can only cure what is there.
    primary={
        _PREMISE: SLOWER,
        **{
            f"pretrained_unscaled_{what}_when_wide": dataclasses.replace(FASTER, premise=_PREMISE)
            for what in ("better", "helps")
        },
    },
    tuning=two_settings.TUNING,
)
