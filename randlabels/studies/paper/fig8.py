"""Figure 8: wider last layers against negative transfer, in the negative setting of Figure 1.

conv11 to conv13 have 1, 2 and 4 times their channels. The gap is the mean difference of train
accuracy between the pre-trained networks and those from scratch of the same width.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import gap_curves, training_curves
from randlabels.studies import measures
from randlabels.studies.fig1 import ARMS, DOWNSTREAM_AT, FINE_TUNING, LEVELS, UPSTREAM_AT
from randlabels.studies.study import Claim, Results, Stage, Study

WIDTHS = (1, 2, 4)
PLACE = "Figure 8"
LEVEL = LEVELS["real"]

CLAIMS = (
    Claim(
        name="negative_at_standard_width",
        statement="With the standard width, pre-training hurts on real labels.",
        place=PLACE,
        measure="negative_at_standard_width",
        threshold=0.0,
        unit="mean train accuracy, loss against scratch",
    ),
    Claim(
        name="wider_is_better",
        statement="With last layers four times as wide, the gap to scratch is better than with the "
        "standard width.",
        place=PLACE,
        measure="wider_is_better",
        threshold=0.0,
        unit="gap in mean train accuracy at width 4 minus at width 1",
    ),
    Claim(
        name="positive_at_width_4",
        statement="With last layers four times as wide, pre-training helps.",
        place=PLACE,
        measure="positive_at_width_4",
        threshold=0.0,
        unit="mean train accuracy, gain over scratch",
    ),
)


def _stages() -> tuple[Stage, ...]:
    found = []
    for width in WIDTHS:
        name, changes = f"width_{width}", {"model.last_width": float(width)}
        found.append(Stage(name, "vgg16", changes=changes, at=UPSTREAM_AT["negative"]))
        found.append(
            Stage(
                f"{name}_real",
                "vgg16",
                reads=name,
                changes=FINE_TUNING | {"labels.kind": "real"} | changes,
                at=DOWNSTREAM_AT["negative"],
            )
        )
    return tuple(found)


def gaps(results: Results, arm: str) -> np.ndarray:
    """Area between the curves of an arm and scratch, [width, seed]."""
    runs = [results.runs[f"width_{width}_real"] for width in WIDTHS]
    return np.stack([measures.area_between(run, arm) for run in runs])


def measure(results: Results) -> dict[str, np.ndarray]:
    """The measures that the claims name, [seed]."""
    found = gaps(results, "pretrained")
    return {
        "negative_at_standard_width": -found[0],
        "wider_is_better": found[-1] - found[0],
        "positive_at_width_4": found[-1],
    }


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """The gap against the width, and the curves of every width."""
    panels = {"real labels": (np.array(WIDTHS), {a: gaps(results, a) for a in ARMS[1:]})}
    curves = {
        f"last layers {width}x": {
            arm: measures.curve(results.runs[f"width_{width}_real"], arm) for arm in ARMS
        }
        for width in WIDTHS
    }
    return {
        "gap": (
            gap_curves.plot(panels, "width of the last layers, relative", scale="log"),
            "Mean train accuracy above scratch of the same width. Points are seeds.",
        ),
        "curves": (
            training_curves.plot(curves),
            "Fine-tuning on real labels in the negative setting. Lines are means over seeds, bands "
            "go from the lowest to the highest seed.",
        ),
    }


def summary(results: Results) -> list[dict[str, Any]]:
    """One row for each width and arm."""
    rows = []
    for width in WIDTHS:
        run = results.runs[f"width_{width}_real"]
        for row in measures.table(run, ARMS, LEVEL):
            area = measures.area_between(run, row["arm"]).mean()
            gap = "" if row["arm"] == "scratch" else f"{area:+.3f}"
            rows.append({"last layers": f"{width}x"} | row | {"area": gap})
    return rows


STUDY = Study(
    name="fig8",
    title="Wider last layers against negative transfer, vgg16 on CIFAR-10",
    paper_item="Figure 8",
    stages=_stages(),
    claims=CLAIMS,
    measures=measure,
    figures=figures,
    summary=summary,
)
