"""Figure 8: wider last layers against negative transfer, in the negative setting of Figure 1.

conv11 to conv13 have 1, 2 and 4 times their channels. The gap is the mean difference of train
accuracy between the pre-trained networks and those from scratch of the same width.
"""

from functools import partial

import numpy as np

from randlabels.figures import gap_curves, training_curves
from randlabels.studies.declare import Claim, Drawings, Primary, Stage, Study, Tables
from randlabels.studies.families import whole_networks
from randlabels.studies.families.whole_networks import BANDS, COPIED, LEVELS, Cases, gain
from randlabels.studies.readouts.curves import train_lines

WIDTHS = {f"width_{width}_real": width for width in (1, 2, 4)}  # by stage
STANDARD, *_, WIDEST = WIDTHS
PLACE = "Figure 8"


def _stages(width: int) -> tuple[Stage, Stage]:
    name, changes = f"width_{width}", {"model.last_width": float(width)}
    return (
        Stage(name, "vgg16", changes=changes, at=whole_networks.UPSTREAM_AT["negative"]),
        Stage(
            f"{name}_real",
            "vgg16",
            reads=name,
            changes=whole_networks.ALL_ARMS | {"labels.kind": "real"} | changes,
            at=whole_networks.DOWNSTREAM_AT["negative"],
        ),
    )


_CLAIMS = (
    Claim[Cases](
        name="negative_at_standard_width",
        statement="With the standard width, pre-training hurts on real labels.",
        place=PLACE,
        unit="mean train accuracy, loss against scratch",
        of=lambda found: -gain(found[STANDARD]),
    ),
    Claim[Cases](
        name="wider_is_better",
        statement="With last layers four times as wide, the gap to scratch is better than with the "
        "standard width.",
        place=PLACE,
        unit="gap in mean train accuracy at width 4 minus at width 1",
        of=lambda found: gain(found[WIDEST]) - gain(found[STANDARD]),
    ),
    Claim[Cases](
        name="positive_at_width_4",
        statement="With last layers four times as wide, pre-training helps.",
        place=PLACE,
        unit="mean train accuracy, gain over scratch",
        of=lambda found: gain(found[WIDEST]),
    ),
)


def _figures(found: Cases) -> Drawings:
    """The gap against the width, and the curves of every width."""
    gaps = {arm: np.stack([gain(found[stage], arm) for stage in WIDTHS]) for arm in COPIED}
    panels = {"real labels": (np.array(list(WIDTHS.values())), gaps)}
    curves = {f"last layers {width}x": train_lines(found[stage]) for stage, width in WIDTHS.items()}
    return {
        "gap": (
            gap_curves.plot(panels, "width of the last layers, relative", scale="log"),
            "Mean train accuracy above scratch of the same width. Points are seeds.",
        ),
        "curves": (
            training_curves.plot(curves),
            f"Fine-tuning on real labels in the negative setting. {BANDS}",
        ),
    }


def _tables(found: Cases) -> Tables:
    """One row for each width and arm."""
    rows = [
        {"last layers": f"{width}x", **row}
        for stage, width in WIDTHS.items()
        for row in whole_networks.area_rows(found[stage], LEVELS["real"])
    ]
    return {"widths": rows}


STUDY = Study(
    name="fig8",
    title="Wider last layers against negative transfer, vgg16 on CIFAR-10",
    paper_item="Figure 8",
    stages=tuple(stage for width in WIDTHS.values() for stage in _stages(width)),
    read=partial(whole_networks.read_cases, stages=WIDTHS),
    claims=_CLAIMS,
    figures=_figures,
    tables=_tables,
    primary={name: Primary(0.01, "X") for name in ("wider_is_better", "positive_at_width_4")},
    tuning=whole_networks.SIGNS_TUNING,
)
