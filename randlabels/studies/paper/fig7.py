"""Figure 7: which units are active before and after transfer, in both settings of Figure 1.

Four moments of the pre-trained arm: the upstream networks at initialisation and after pre-training,
shown their own images, and the same networks at the switch (after rescaling) and after fine-tuning
on real labels, shown the downstream images. The activity of a unit is the share of images and
positions on which it is active (see `analysis.activity`). Rescaling changes no unit's activity:
at the switch it is that of the pre-trained networks on new images.
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.analysis.activity import DORMANT, UnitActivity, activity_of_run
from randlabels.figures import activity_curves
from randlabels.runs import load_run
from randlabels.studies import measures
from randlabels.studies.fig1 import SETTINGS, UPSTREAM, downstream
from randlabels.studies.study import Claim, Results, Study

MOMENTS = ("at initialisation", "after pre-training", "at the switch", "after fine-tuning")
LATE = ("conv11", "conv12", "conv13")  # those that Figure 8 makes wider
PLACE = "Section 4, Figure 7"

CLAIMS = (
    Claim(
        name="late_units_silent_on_new_task",
        statement="In the negative setting, the units of the last three convolutions are active "
        "on less of the downstream task at the switch than at initialisation.",
        place=PLACE,
        measure="late_units_silent_on_new_task",
        threshold=0.0,
        unit="mean activity at initialisation minus at the switch",
    ),
    Claim(
        name="more_silent_than_positive",
        statement="At the switch, the units of the last three convolutions are active on less of "
        "the downstream task in the negative setting than in the positive one.",
        place=PLACE,
        measure="more_silent_than_positive",
        threshold=0.0,
        unit="mean activity in the positive minus in the negative setting",
    ),
    Claim(
        name="specialised",
        statement="In the negative setting, after pre-training, the units of the last three "
        "convolutions are active on less of the downstream images than of those they learned.",
        place=PLACE,
        measure="specialised",
        threshold=0.0,
        unit="mean activity on upstream minus on downstream images",
    ),
)

Activities = dict[str, dict[str, UnitActivity]]


@functools.cache
def activities(workdir: Path, setting: str) -> Activities:
    """{moment: {layer: activity, arrays [seed, units]}} of the pre-trained arm of a setting."""
    before, after = load_run(workdir / setting), load_run(workdir / f"{setting}_real")
    chosen = measures.networks_of(after, "pretrained")
    sources = [after.networks[network].taken_over[0] for network in chosen]
    return {
        MOMENTS[0]: activity_of_run(before, before.steps[0], networks=sources),
        MOMENTS[1]: activity_of_run(before, before.steps[-1], networks=sources),
        MOMENTS[2]: activity_of_run(after, after.steps[0], networks=chosen),
        MOMENTS[3]: activity_of_run(after, after.steps[-1], networks=chosen),
    }


def late_activity(found: Activities, moment: str) -> np.ndarray:
    """Mean activity of the units of the last three convolutions at a moment, [seed]."""
    layers = [found[moment][layer].share for layer in LATE]
    return np.concatenate(layers, axis=-1).mean(axis=-1)


def measure(results: Results) -> dict[str, np.ndarray]:
    """The measures that the claims name, [seed]."""
    positive, negative = (activities(results.workdir, setting) for setting in SETTINGS)
    start, learned, switch, _ = (late_activity(negative, moment) for moment in MOMENTS)
    return {
        "late_units_silent_on_new_task": start - switch,
        "more_silent_than_positive": late_activity(positive, MOMENTS[2]) - switch,
        "specialised": learned - switch,
    }


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """Sorted activity of every layer, one figure for each setting."""
    found = {}
    for setting in SETTINGS:
        shares = {
            moment: {layer: activity.share for layer, activity in layers.items()}
            for moment, layers in activities(results.workdir, setting).items()
        }
        caption = (
            f"Activity of the units of each layer of vgg16, {setting} setting: on the upstream "
            "images at initialisation and after pre-training, on the downstream images at the "
            "switch and after fine-tuning on real labels. Means over seeds of the sorted shares."
        )
        plotted = activity_curves.plot(shares, "share of images and positions on which active")
        found[setting] = plotted, caption
    return found


def summary(results: Results) -> list[dict[str, Any]]:
    """One row for each setting, layer from conv9 on, and moment."""
    rows = []
    for setting in SETTINGS:
        found = activities(results.workdir, setting)
        for layer in list(found[MOMENTS[0]])[-5:]:
            for moment in MOMENTS:
                one = found[moment][layer]
                rows.append(
                    {
                        "setting": setting,
                        "layer": layer,
                        "moment": moment,
                        "mean activity": f"{one.share.mean():.3f}",
                        "dead units": f"{one.dead.mean():.3f}",
                        f"dormant units (score at most {DORMANT:g})": f"{one.dormant().mean():.3f}",
                        "mean activation": f"{one.mean_absolute.mean():.4f}",
                    }
                )
    return rows


STUDY = Study(
    name="fig7",
    title="Units fall silent where transfer is negative, vgg16 on CIFAR-10",
    paper_item="Figure 7",
    stages=(*UPSTREAM, *(downstream(setting, "real") for setting in SETTINGS)),
    claims=CLAIMS,
    measures=measure,
    figures=figures,
    summary=summary,
)
