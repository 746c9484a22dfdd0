"""Figure 7: do late units specialise and fall silent where transfer is negative (Figure 1)?

A unit is specialised if its responses tell the random label that it learned, on the images it was
trained on and not on new ones, or tell trained from new images (see `analysis.selectivity`); how
often it fires is another thing. Activity is the share of images and positions on which a unit is
active (see `analysis.activity`). Both are of the arm that is not rescaled, whose networks are at
the switch those after pre-training; rescaling would change no relu unit's activity.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from randlabels.analysis.activity import DORMANT, UnitActivity, activity_of_run
from randlabels.analysis.selectivity import UnitSelectivity, selectivity_of_run
from randlabels.figures import activity_curves
from randlabels.runs import Run
from randlabels.studies.declare import Claim, Drawings, Primary, Results, Study, Tables
from randlabels.studies.families import two_settings, whole_networks
from randlabels.studies.families.two_settings import SETTINGS
from randlabels.studies.families.whole_networks import HOW
from randlabels.studies.readouts.cells import signed_interval
from randlabels.studies.readouts.curves import networks_of
from randlabels.studies.readouts.gains import SLOWER
from randlabels.studies.readouts.rates import AtRates

ARM = "pretrained_unscaled"
START, LEARNED = "at initialisation", "after pre-training"
SWITCH, END = "at the switch", "after fine-tuning"
LATE = ("conv11", "conv12", "conv13")  # those that Figure 8 makes wider
TABLED = 5  # layers in the tables, the last ones
PLACE = "Section 4, Figure 7"
_BEST = {f"{setting}_real": two_settings.BEST[f"{setting}_real"] for setting in SETTINGS}

Layers = Mapping[str, UnitActivity]  # {layer: activity, arrays [seed, units]}, in forward order


@dataclasses.dataclass(frozen=True)
class Units:
    """The units of the pre-trained networks of one setting, arrays [seed, units].

    Attributes:
        activity: {moment: {layer: activity}}, START and LEARNED on upstream images, SWITCH and
            END, after fine-tuning at the arm's best rate, on downstream ones.
        selectivity: {START, LEARNED: {layer: selectivity}}.
        tuning: how the networks and those from scratch learned real labels.
    """

    activity: Mapping[str, Layers]
    selectivity: Mapping[str, Mapping[str, UnitSelectivity]]
    tuning: AtRates


Reading = Mapping[str, Units]  # by setting


def _read(results: Results) -> Reading:
    cases = whole_networks.read_cases(results, _BEST)
    return {
        setting: _read_units(
            results.runs[setting], results.runs[f"{setting}_real"], cases[f"{setting}_real"]
        )
        for setting in SETTINGS
    }


def _read_units(before: Run, after: Run, tuning: AtRates) -> Units:
    chosen = networks_of(after, {"arm": ARM, "learning_rate": tuning.best[ARM]})
    sources = [after.networks[network].taken_over[0] for network in chosen]
    first, last = before.steps[0], before.steps[-1]
    return Units(
        activity={
            START: activity_of_run(before, first, networks=sources),
            LEARNED: activity_of_run(before, last, networks=sources),
            SWITCH: activity_of_run(after, after.steps[0], networks=chosen),
            END: activity_of_run(after, after.steps[-1], networks=chosen),
        },
        selectivity={
            START: selectivity_of_run(before, first, networks=sources),
            LEARNED: selectivity_of_run(before, last, networks=sources),
        },
        tuning=tuning,
    )


def late(values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Mean over all units of the last three convolutions, [seed].

    Args:
        values: {layer: [seed, units]}.
    """
    return np.concatenate([values[layer] for layer in LATE], axis=-1).mean(axis=-1)


def active(found: Reading, setting: str, moment: str) -> np.ndarray:
    """Mean activity of late units, [seed]."""
    return late({layer: of.share for layer, of in found[setting].activity[moment].items()})


def selective(found: Reading, setting: str, moment: str, field: str) -> np.ndarray:
    """Mean selectivity of late units, a field of `UnitSelectivity`, [seed]."""
    layers = found[setting].selectivity[moment]
    return late({layer: getattr(of, field) for layer, of in layers.items()})


_EXPLAINED = "variance of a unit's responses that {} explain, {}"
# {name: (statement, unit, values [seed])}
_CLAIMED: dict[str, tuple[str, str, Callable[[Reading], np.ndarray]]] = {
    "late_units_tell_learned_labels": (
        "In the negative setting, after pre-training, the units of the last three convolutions "
        "tell the random labels of the images they learned, more than labels drawn in the same "
        "way of new images.",
        _EXPLAINED.format("labels", "trained minus new images"),
        lambda found: (
            selective(found, "negative", LEARNED, "learned")
            - selective(found, "negative", LEARNED, "control")
        ),
    ),
    "late_units_tell_trained_images": (
        "In the negative setting, the units of the last three convolutions tell trained from new "
        "images after pre-training more than at initialisation.",
        _EXPLAINED.format("trained against new images", "after pre-training minus before"),
        lambda found: (
            selective(found, "negative", LEARNED, "familiar")
            - selective(found, "negative", START, "familiar")
        ),
    ),
    "late_units_silent_on_new_task": (
        "In the negative setting, the units of the last three convolutions are active on less of "
        "the downstream task at the switch than of the upstream task at initialisation.",
        "mean activity at initialisation minus at the switch",
        lambda found: active(found, "negative", START) - active(found, "negative", SWITCH),
    ),
    "more_silent_than_positive": (
        "At the switch, the units of the last three convolutions are active on less of the "
        "downstream task in the negative setting than in the positive one.",
        "mean activity in the positive minus in the negative setting",
        lambda found: active(found, "positive", SWITCH) - active(found, "negative", SWITCH),
    ),
    "more_specialised_than_positive": (
        "After pre-training, the units of the last three convolutions tell trained from new images "
        "more in the negative setting than in the positive one.",
        _EXPLAINED.format("trained against new images", "negative minus positive setting"),
        lambda found: (
            selective(found, "negative", LEARNED, "familiar")
            - selective(found, "positive", LEARNED, "familiar")
        ),
    ),
    "negative_hurts": (
        f"In the negative setting, networks that take over pre-trained layers {HOW[ARM]} learn "
        "real labels more slowly than from scratch, each at its best rate.",
        "mean train accuracy, loss against scratch",
        lambda found: -found["negative"].tuning.gain(ARM),
    ),
}


def _claims() -> Iterator[Claim[Reading]]:
    for name, (statement, unit, of) in _CLAIMED.items():
        yield Claim(name=name, statement=statement, place=PLACE, unit=unit, of=of)


def _figures(found: Reading) -> Drawings:
    """Sorted activity and selectivity of every layer, one figure of each for each setting."""
    drawings = {}
    for setting, units in found.items():
        shares = {
            moment: {layer: activity.share for layer, activity in layers.items()}
            for moment, layers in units.activity.items()
        }
        drawings[setting] = (
            activity_curves.plot(shares, "share of images and positions on which active"),
            f"Activity of the units of each layer of vgg16, {setting} setting: on the upstream "
            "images at initialisation and after pre-training, on the downstream images at the "
            "switch and after fine-tuning on real labels. Means over seeds of the sorted shares.",
        )
        learned = units.selectivity[LEARNED]
        explained = {
            words: {layer: getattr(of, field) for layer, of in learned.items()}
            for field, words in FIELDS.items()
        }
        drawings[f"{setting}_selectivity"] = (
            activity_curves.plot(
                explained,
                "variance of responses explained (share)",
                "from the most to the least explained",
                null=0.0,
            ),
            f"Selectivity of the units of each layer of vgg16 after pre-training, {setting} "
            "setting. Means over seeds of the sorted shares of variance, 0 by chance.",
        )
    return drawings


FIELDS = {
    "learned": "labels of trained images",
    "control": "labels of new images",
    "familiar": "trained against new images",
}


def _tables(found: Reading) -> Tables:
    """One row for each setting, layer from conv9 on, and moment."""
    activity = [
        {
            "setting": setting,
            "layer": layer,
            "moment": moment,
            "mean activity": f"{layers[layer].share.mean():.3f}",
            "dead units": f"{layers[layer].dead.mean():.3f}",
            f"dormant units (score at most {DORMANT:g})": f"{layers[layer].dormant().mean():.3f}",
            "mean activation": f"{layers[layer].mean_absolute.mean():.4f}",
        }
        for setting, units in found.items()
        for layer in list(units.activity[START])[-TABLED:]
        for moment, layers in units.activity.items()
    ]
    selectivity = [
        {"setting": setting, "layer": layer, "moment": moment}
        | {
            words: signed_interval(getattr(layers[layer], field).mean(axis=-1))
            for field, words in FIELDS.items()
        }
        for setting, units in found.items()
        for layer in list(units.activity[START])[-TABLED:]
        for moment, layers in units.selectivity.items()
    ]
    return {"activity": activity, "selectivity": selectivity}


STUDY = Study(
    name="fig7",
    title="Specialised and silent units where transfer is negative, vgg16 on CIFAR-10",
    paper_item="Figure 7",
    stages=two_settings.stages("real"),
    read=_read,
    claims=tuple(_claims()),
    figures=_figures,
    tables=_tables,
    # What goes with negative transfer can be asked only where there is one.
    primary={
        "negative_hurts": SLOWER,
        **{name: Primary(0.01, "no difference", "negative_hurts") for name in list(_CLAIMED)[:3]},
    },
    tuning=two_settings.TUNING,
)
