"""Figure 7: which units are active before and after transfer, in both settings of Figure 1.

Four moments of the pre-trained arm: the upstream networks at initialisation and after pre-training,
shown their own images, and the same networks at the switch (after rescaling) and after fine-tuning
on real labels, shown the downstream images. The activity of a unit is the share of images and
positions on which it is active (see `analysis.activity`). Rescaling changes no unit's activity:
at the switch it is that of the pre-trained networks on new images.
"""

from collections.abc import Mapping

import numpy as np

from randlabels.analysis.activity import DORMANT, UnitActivity, activity_of_run
from randlabels.figures import activity_curves
from randlabels.runs import Run
from randlabels.studies.declare import Claim, Drawings, Primary, Results, Study, Tables
from randlabels.studies.families import whole_networks
from randlabels.studies.families.whole_networks import SETTINGS
from randlabels.studies.readouts.curves import networks_of

START, LEARNED = "at initialisation", "after pre-training"
SWITCH, END = "at the switch", "after fine-tuning"
LATE = ("conv11", "conv12", "conv13")  # those that Figure 8 makes wider
TABLED = 5  # layers in the table, the last ones

Layers = Mapping[str, UnitActivity]  # {layer: activity, arrays [seed, units]}, in forward order
Activities = Mapping[str, Mapping[str, Layers]]  # {setting: {moment: of the pre-trained arm}}


def _read(results: Results) -> Activities:
    runs = results.runs
    return {setting: _read_moments(runs[setting], runs[f"{setting}_real"]) for setting in SETTINGS}


def _read_moments(before: Run, after: Run) -> dict[str, Layers]:
    chosen = networks_of(after, "pretrained")
    sources = [after.networks[network].taken_over[0] for network in chosen]
    return {
        START: activity_of_run(before, before.steps[0], networks=sources),
        LEARNED: activity_of_run(before, before.steps[-1], networks=sources),
        SWITCH: activity_of_run(after, after.steps[0], networks=chosen),
        END: activity_of_run(after, after.steps[-1], networks=chosen),
    }


def late(layers: Layers) -> np.ndarray:
    """Mean activity of the units of the last three convolutions, [seed]."""
    return np.concatenate([layers[layer].share for layer in LATE], axis=-1).mean(axis=-1)


# {name: (statement, unit, where the units are more active than at the negative switch)}.
_CLAIMED = {
    "late_units_silent_on_new_task": (
        "In the negative setting, the units of the last three convolutions are active on less of "
        "the downstream task at the switch than at initialisation.",
        "mean activity at initialisation minus at the switch",
        ("negative", START),
    ),
    "more_silent_than_positive": (
        "At the switch, the units of the last three convolutions are active on less of the "
        "downstream task in the negative setting than in the positive one.",
        "mean activity in the positive minus in the negative setting",
        ("positive", SWITCH),
    ),
    "specialised": (
        "In the negative setting, after pre-training, the units of the last three convolutions "
        "are active on less of the downstream images than of those they learned.",
        "mean activity on upstream minus on downstream images",
        ("negative", LEARNED),
    ),
}


def _claim(name: str) -> Claim[Activities]:
    statement, unit, (setting, moment) = _CLAIMED[name]
    return Claim(
        name=name,
        statement=statement,
        place="Section 4, Figure 7",
        unit=unit,
        of=lambda found: late(found[setting][moment]) - late(found["negative"][SWITCH]),
    )


def _figures(found: Activities) -> Drawings:
    """Sorted activity of every layer, one figure for each setting."""
    drawings = {}
    for setting, moments in found.items():
        shares = {
            moment: {layer: activity.share for layer, activity in layers.items()}
            for moment, layers in moments.items()
        }
        drawings[setting] = (
            activity_curves.plot(shares, "share of images and positions on which active"),
            f"Activity of the units of each layer of vgg16, {setting} setting: on the upstream "
            "images at initialisation and after pre-training, on the downstream images at the "
            "switch and after fine-tuning on real labels. Means over seeds of the sorted shares.",
        )
    return drawings


def _tables(found: Activities) -> Tables:
    """One row for each setting, layer from conv9 on, and moment."""
    rows = [
        {
            "setting": setting,
            "layer": layer,
            "moment": moment,
            "mean activity": f"{layers[layer].share.mean():.3f}",
            "dead units": f"{layers[layer].dead.mean():.3f}",
            f"dormant units (score at most {DORMANT:g})": f"{layers[layer].dormant().mean():.3f}",
            "mean activation": f"{layers[layer].mean_absolute.mean():.4f}",
        }
        for setting, moments in found.items()
        for layer in list(moments[START])[-TABLED:]
        for moment, layers in moments.items()
    ]
    return {"activity": rows}


STUDY = Study(
    name="fig7",
    title="Units fall silent where transfer is negative, vgg16 on CIFAR-10",
    paper_item="Figure 7",
    stages=whole_networks.stages("real"),
    read=_read,
    claims=tuple(_claim(name) for name in _CLAIMED),
    figures=_figures,
    tables=_tables,
    primary={name: Primary(0.01, "X") for name in _CLAIMED},
    tuning=whole_networks.SIGNS_TUNING,
)
