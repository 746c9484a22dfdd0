"""Critical stages: how the benefit of pre-training depends on its length.

Two settings: the positive one of Figure 1, and `hot`, of which Figure 1's negative setting is the
first stage. One upstream run for each keeps several checkpoints; fine-tuning on real labels starts
from three of them, of which the last have learned their labels. The benefit is the mean difference
of train accuracy to networks from scratch, each at the learning rate that is best for this start.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from randlabels.configs.base import Columns
from randlabels.figures import gap_curves
from randlabels.runs import Run
from randlabels.studies.declare import Claim, Drawings, Results, Stage, Study, Tables
from randlabels.studies.families import two_settings
from randlabels.studies.families.two_settings import LEVELS, SWEEP
from randlabels.studies.families.whole_networks import COPIED
from randlabels.studies.readouts.alignment import accuracy_at
from randlabels.studies.readouts.cells import mean_std
from randlabels.studies.readouts.gains import AHEAD, SLOWER
from randlabels.studies.readouts.rates import BEST, COMMON, AtRates, gain_cells, read_rates

LEVEL = LEVELS["real"]
PLACE = "A question asked of the paper: the link to critical stages"
UNIT = (
    "gain over scratch in mean train accuracy, each at its best rate, the former minus the latter"
)

# {setting: (Figure 1's setting of the same fine-tuning, steps at full and at short of three of the
# checkpoints that pre-training keeps)}: before labels are learned, in the middle, and the end
SETTINGS = {
    "positive": ("positive", (234, 3120, 9360), (100, 750, 1500)),
    "hot": ("negative", (468, 7800, 19500), (100, 1000, 3000)),
}
EARLY, MIDDLE, FINAL = range(3)

UPSTREAM = (
    two_settings.UPSTREAM["positive"],
    Stage(
        "hot",
        "vgg16",
        at={
            **two_settings.HOT,
            **two_settings.decay_at(0.7),
            **two_settings.kept_epochs((0, 6, 100, 250), (0, 4, 40, 120)),
        },
    ),
)

# {setting: {arm: its best rate from each checkpoint}} at short, on tuning seeds, as
# `python -m benchmarks.best_rates` shows them.
BEST_RATES: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "positive": {
        "scratch": (0.001,) * 3,
        "pretrained": (0.003, 0.003, 0.001),
        "pretrained_unscaled": (0.003, 0.001, 0.001),
    },
    "hot": {
        "scratch": (0.001,) * 3,
        "pretrained": (0.01, 0.01, 0.01),
        "pretrained_unscaled": (0.01, 0.003, 0.001),
    },
}


def _downstream(setting: str) -> Stage:
    """Figure 1's fine-tuning, shorter, from several checkpoints."""
    like, *steps = SETTINGS[setting]
    full, short, smoke = ((SWEEP, ("init.step", kept)) for kept in (*steps, (0, 2, 4)))
    at: Columns = {
        **two_settings.every_two(24, 10, smoke=1),
        "population.sweep": (full, short, smoke),
    }
    stage = two_settings.downstream(like, "real")
    changes = {k: v for k, v in stage.changes.items() if k != "population.sweep"}
    return dataclasses.replace(
        stage, name=f"{setting}_real", reads=setting, changes=changes, at={**stage.at, **at}
    )


@dataclasses.dataclass(frozen=True)
class Lengths:
    """Fine-tuning from several checkpoints of one upstream run.

    Attributes:
        epochs: of pre-training at each checkpoint [length], ascending.
        learned: train accuracy upstream at each, for tables.
        starts: from each, and the same networks from scratch.
    """

    epochs: np.ndarray
    learned: tuple[str, ...]
    starts: tuple[AtRates, ...]

    def benefits(self, arm: str, rates: str = BEST) -> np.ndarray:
        """Gain of an arm over scratch, see `AtRates.gain`, [length, seed]."""
        return np.stack([at.gain(arm, rates) for at in self.starts])


Reading = Mapping[str, Lengths]  # {setting: lengths}


def _read(results: Results) -> Reading:
    runs = results.runs
    return {
        setting: _read_lengths(runs[setting], runs[f"{setting}_real"], BEST_RATES[setting])
        for setting in SETTINGS
    }


def _read_lengths(upstream: Run, run: Run, best: Mapping[str, tuple[float, ...]]) -> Lengths:
    steps = sorted({row.source_step for row in run.networks if row.source_step is not None})
    starts = []
    for number, step in enumerate(steps):
        columns = {arm: {"arm": arm, "source_step": step} for arm in COPIED}
        rates = {arm: of[number] for arm, of in best.items()}
        starts.append(read_rates(run, {"scratch": {"arm": "scratch"}, **columns}, rates))
    return Lengths(
        epochs=np.array(steps) / upstream.steps_per_epoch,
        learned=tuple(accuracy_at(upstream, step) for step in steps),
        starts=tuple(starts),
    )


def _difference(found: Reading, setting: str, one: int, other: int) -> np.ndarray:
    """Benefit of not rescaled networks at one length minus that at another, [seed]."""
    benefits = found[setting].benefits("pretrained_unscaled")
    return benefits[one] - benefits[other]


def _not_rescaled_minus_rescaled(found: Reading) -> np.ndarray:
    rescaled, unscaled = (found["hot"].benefits(arm)[FINAL] for arm in COPIED)
    return unscaled - rescaled


_CLAIMS: tuple[Claim[Reading], ...] = (
    Claim(
        name="positive_grows",
        statement="In the positive setting, the whole of pre-training helps more than its first "
        "stage, layers taken over as they are.",
        place=PLACE,
        unit=UNIT,
        of=lambda found: _difference(found, "positive", FINAL, EARLY),
    ),
    Claim(
        name="early_stage_hurts",
        statement="In the hot setting, the first stage of pre-training, before random labels "
        "are learned, hurts, layers taken over as they are.",
        place=PLACE,
        unit="mean train accuracy, loss against scratch, each at its best rate",
        of=lambda found: -found["hot"].benefits("pretrained_unscaled")[EARLY],
    ),
    Claim(
        name="hot_recovers",
        statement="In the hot setting, the whole of pre-training helps more, or hurts less, "
        "than its first stage, layers taken over as they are.",
        place=PLACE,
        unit=UNIT,
        of=lambda found: _difference(found, "hot", FINAL, EARLY),
    ),
    Claim(
        name="rescaling_hurts_at_the_end",
        statement="In the hot setting, networks at the end of pre-training do worse rescaled "
        "than not.",
        place="A reading of Figure 1, not in the paper",
        unit="mean train accuracy, not rescaled minus rescaled, each at its best rate",
        of=_not_rescaled_minus_rescaled,
    ),
)


def _figures(found: Reading) -> Drawings:
    """Benefit against the length of pre-training, a panel for each setting and choice of rates."""
    panels = {
        f"{setting} setting, {rates}": (
            lengths.epochs,
            {arm: lengths.benefits(arm, rates) for arm in COPIED},
        )
        for setting, lengths in found.items()
        for rates in (COMMON, BEST)
    }
    caption = (
        "Mean train accuracy of fine-tuning on real labels above scratch, against the epochs of "
        "pre-training. Points are seeds."
    )
    return {"benefit": (gap_curves.plot(panels, "epochs of pre-training"), caption)}


def _tables(found: Reading) -> Tables:
    """One row for each setting, length and arm."""
    rows = [
        {
            "setting": setting,
            "epochs of pre-training": f"{epochs:g}",
            "train accuracy upstream": learned,
            "arm": arm,
            "best learning rate": f"{at.best[arm]:g}",
            f"steps to {LEVEL:.0%}": mean_std(at.at_best[arm].steps_to(LEVEL), 0),
            "train accuracy at the end": mean_std(at.at_best[arm].train[:, -1], 3),
            **gain_cells(at, arm),
        }
        for setting, lengths in found.items()
        for epochs, learned, at in zip(lengths.epochs, lengths.learned, lengths.starts, strict=True)
        for arm in COPIED
    ]
    return {"lengths": rows}


STUDY = Study(
    name="critical",
    title="Benefit against the length of pre-training, vgg16 on CIFAR-10",
    paper_item="Critical stages (a question asked of the paper)",
    stages=(*UPSTREAM, *(_downstream(setting) for setting in SETTINGS)),
    read=_read,
    claims=_CLAIMS,
    figures=_figures,
    tables=_tables,
    primary={
        "positive_grows": AHEAD,
        "early_stage_hurts": SLOWER,
        "hot_recovers": dataclasses.replace(AHEAD, premise="early_stage_hurts"),
        "rescaling_hurts_at_the_end": AHEAD,
    },
    tuning=dataclasses.replace(
        two_settings.TUNING,
        note=f"{two_settings.TUNING.note} The best rate of each start here was "
        "chosen, of four from .001 to .03, on seeds 0, 1, 1000 and 1001.",
    ),
)
