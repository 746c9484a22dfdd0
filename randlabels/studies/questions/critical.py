"""Critical stages: how the benefit of pre-training depends on its length, in Figure 1's settings.

One upstream run for each setting keeps several checkpoints; fine-tuning on real labels starts from
each of them. The benefit is the mean difference of train accuracy to networks from scratch. The
checkpoint of step 0 is a control: random weights of other seeds, whose benefit is 0 on average.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from randlabels.configs.base import Columns
from randlabels.figures import gap_curves
from randlabels.runs import Run
from randlabels.studies.declare import Claim, Drawings, Primary, Results, Stage, Study, Tables
from randlabels.studies.families import whole_networks
from randlabels.studies.families.whole_networks import COPIED, LEVELS, SETTINGS, Arms, gain
from randlabels.studies.readouts.alignment import accuracy_at
from randlabels.studies.readouts.cells import mean_std
from randlabels.studies.readouts.curves import read_curves

LEVEL = LEVELS["real"]
PLACE = "A question asked of the paper: the link to critical stages"
UNIT = "gain over scratch in mean train accuracy, the former minus the latter"


# {setting: (steps of all checkpoints of UPSTREAM at full and at short, epochs at short)}
_LENGTHS = {
    "positive": ((0, 234, 936, 3120, 9360), (0, 100, 300, 750, 1500), 12),
    "negative": ((0, 468, 1950, 7800, 19500), (0, 100, 300, 1000, 3000), 14),
}


def _downstream(setting: str) -> Stage:
    """Figure 1's fine-tuning, from all checkpoints."""
    *steps, epochs = _LENGTHS[setting]
    full, short, smoke = ((("init.step", kept),) for kept in (*steps, (0, 2, 4)))
    at: Columns = {
        **whole_networks.every_two(24, epochs, smoke=1),
        "population.sweep": (full, short, smoke),
    }
    stage = whole_networks.downstream(setting, "real")
    return dataclasses.replace(stage, at={**stage.at, **at})


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
    starts: tuple[Arms, ...]

    def benefits(self, arm: str = "pretrained") -> np.ndarray:
        """Mean train accuracy of an arm over all steps above scratch, [length, seed]."""
        return np.stack([gain(arms, arm) for arms in self.starts])


Reading = Mapping[str, Lengths]  # {setting: lengths}


def _read(results: Results) -> Reading:
    runs = results.runs
    return {setting: _read_lengths(runs[setting], runs[f"{setting}_real"]) for setting in SETTINGS}


def _read_lengths(upstream: Run, run: Run) -> Lengths:
    steps = sorted({row.source_step for row in run.networks if row.source_step is not None})
    scratch = {"scratch": read_curves(run, "scratch")}
    return Lengths(
        epochs=np.array(steps) / upstream.steps_per_epoch,
        learned=tuple(accuracy_at(upstream, step) for step in steps),
        starts=tuple(
            scratch | {a: read_curves(run, {"arm": a, "source_step": step}) for a in COPIED}
            for step in steps
        ),
    )


def _middle_minus_end(found: Reading) -> np.ndarray:
    benefits = found["negative"].benefits()
    return benefits[len(benefits) // 2] - benefits[-1]


def _not_rescaled_minus_rescaled(found: Reading) -> np.ndarray:
    rescaled, unscaled = (gain(found["negative"].starts[-1], arm) for arm in COPIED)
    return unscaled - rescaled


_CLAIMS = (
    Claim[Reading](
        name="positive_grows",
        statement="In the positive setting, the whole of pre-training helps more than its first "
        "stage (the first checkpoint after initialisation).",
        place=PLACE,
        unit=UNIT,
        of=lambda found: found["positive"].benefits()[-1] - found["positive"].benefits()[1],
    ),
    Claim(
        name="negative_best_before_the_end",
        statement="In the negative setting, the checkpoint in the middle helps more, or hurts "
        "less, than the end of pre-training.",
        place=PLACE,
        unit=UNIT,
        of=_middle_minus_end,
    ),
    Claim(
        name="negative_comes_from_rescaling",
        statement="In the negative setting, the pre-trained network at the end of pre-training "
        "does worse rescaled than not.",
        place="A reading of Figure 1, not in the paper",
        unit="mean train accuracy, not rescaled minus rescaled",
        of=_not_rescaled_minus_rescaled,
    ),
)


def _figures(found: Reading) -> Drawings:
    """Benefit against the length of pre-training, a panel for each setting."""
    panels = {
        f"{setting} setting": (lengths.epochs, {arm: lengths.benefits(arm) for arm in COPIED})
        for setting, lengths in found.items()
    }
    caption = (
        "Mean train accuracy of fine-tuning on real labels above scratch, against the epochs of "
        "pre-training. Points are seeds; epoch 0 is a control."
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
            f"steps to {LEVEL:g}": mean_std(arms[arm].steps_to(LEVEL), 0),
            "train accuracy at the end": mean_std(arms[arm].train[:, -1], 3),
            "area": mean_std(gain(arms, arm), 3),
        }
        for setting, lengths in found.items()
        for epochs, learned, arms in zip(
            lengths.epochs, lengths.learned, lengths.starts, strict=True
        )
        for arm in COPIED
    ]
    return {"lengths": rows}


STUDY = Study(
    name="critical",
    title="Benefit against the length of pre-training, vgg16 on CIFAR-10",
    paper_item="Critical stages (a question asked of the paper)",
    stages=(*whole_networks.UPSTREAM, *(_downstream(setting) for setting in SETTINGS)),
    read=_read,
    claims=_CLAIMS,
    figures=_figures,
    tables=_tables,
    primary={claim.name: Primary(0.01, "X") for claim in _CLAIMS},
    tuning=whole_networks.SIGNS_TUNING,
)
