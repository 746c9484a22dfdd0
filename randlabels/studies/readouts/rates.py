"""Curves at several learning rates: all arms at one rate, or each arm at its best.

Which rate is best is chosen on tuning seeds and declared; a study reads it and does not choose. The
best rate is that of the highest mean train accuracy over all steps and seeds.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from randlabels.runs import Run
from randlabels.studies.declare import Row
from randlabels.studies.readouts.cells import last_accuracies, mean_std, signed_interval
from randlabels.studies.readouts.curves import Curves, read_curves

COMMON, BEST = "at the common rate", "each at its best rate"
SCRATCH = "scratch"


@dataclasses.dataclass(frozen=True)
class AtRates:
    """Fine-tuning of several arms at several learning rates, the same for all.

    Attributes:
        curves: {arm: {rate: its curves}}; "scratch" is one of the arms.
        common: the rate at which arms are compared when all have the same.
        best: {arm: its best rate}, chosen on tuning seeds.
    """

    curves: Mapping[str, Mapping[float, Curves]]
    common: float
    best: Mapping[str, float]

    @property
    def at_common(self) -> dict[str, Curves]:
        """{arm: its curves at the common rate}."""
        return {arm: rates[self.common] for arm, rates in self.curves.items()}

    @property
    def at_best(self) -> dict[str, Curves]:
        """{arm: its curves at its best rate}."""
        return {arm: rates[self.best[arm]] for arm, rates in self.curves.items()}

    @property
    def several(self) -> bool:
        """Whether there is more than one rate."""
        return any(len(rates) > 1 for rates in self.curves.values())

    def of(self, rates: str) -> dict[str, Curves]:
        """{arm: its curves} at BEST or COMMON."""
        return self.at_best if rates == BEST else self.at_common

    def gain(self, arm: str, rates: str = BEST) -> np.ndarray:
        """Mean train accuracy of an arm over all steps above scratch, [seed].

        Args:
            arm: which one.
            rates: COMMON or BEST, which each of the two then has for itself.
        """
        arms = self.of(rates)
        return arms[arm].gain_over(arms[SCRATCH])


def read_rates(
    run: Run, starts: Mapping[str, Mapping[str, Any]], best: Mapping[str, float]
) -> AtRates:
    """The curves of a run that sweeps the learning rate.

    Args:
        run: of fine-tuning; the common rate is that of its config.
        starts: {arm: columns of the network table but the rate}.
        best: {arm: its best rate}.

    Raises:
        ValueError: if a best rate or the common one is not among those of the run, or a start is
            ambiguous.
    """
    curves = {arm: _by_rate(run, start) for arm, start in starts.items()}
    common = float(run.config["optimizer"]["learning_rate"])
    for arm, rates in curves.items():
        for rate in (common, best[arm]):
            if rate not in rates:
                raise ValueError(
                    f"{run.workdir} has learning rates {list(rates)} of {arm}, not {rate}."
                )
    return AtRates(curves, common, {arm: best[arm] for arm in starts})


def _by_rate(run: Run, start: Mapping[str, Any]) -> dict[float, Curves]:
    """{rate: curves of one start}, ascending."""
    return {
        rate: read_curves(run, {**start, "learning_rate": rate})
        for rate in sorted({row.learning_rate for row in run.networks})
    }


# Columns of the network table that say how a network starts.
_START = ("arm", "layers", "source_step", "curve", "init_scale")


def best_rates(run: Run) -> dict[str, float]:
    """{start: its best rate} of a run, which is one of tuning.

    A start is an arm with those of its layers, checkpoint, curve and initial scale that the run
    sweeps.
    """
    columns = {name: {getattr(row, name) for row in run.networks} - {None} for name in _START}
    swept = [name for name, values in columns.items() if len(values) > 1]
    starts = [{name: getattr(row, name) for name in ("arm", *swept)} for row in run.networks]
    found = {}
    for start in starts:
        more = [f"{name} {v}" for name, v in start.items() if name != "arm" and v is not None]
        found[", ".join([start["arm"], *more])] = best_rate(_by_rate(run, start))
    return found


def best_rate(rates: Mapping[float, Curves]) -> float:
    """The learning rate of the highest mean train accuracy over all steps and seeds.

    Args:
        rates: {rate: curves of one start}.
    """
    return max(rates, key=lambda rate: float(rates[rate].mean_train().mean()))


def rate_rows(at: AtRates, level: float) -> list[Row]:
    """One row for each arm and rate: its part in comparisons, speed and accuracies."""
    return [
        {
            "arm": arm,
            "learning rate": f"{rate:g}",
            "used as": ", ".join(
                word
                for word, used in (("common", at.common), ("best", at.best[arm]))
                if rate == used
            ),
            "mean train accuracy": mean_std(curves.mean_train(), 3),
            f"steps to {level:.0%}": mean_std(curves.steps_to(level), 0),
        }
        | last_accuracies(curves)
        for arm, rates in at.curves.items()
        for rate, curves in rates.items()
    ]


def gain_cells(at: AtRates, arm: str) -> dict[str, str]:
    """An arm's gain over scratch in mean train accuracy, both ways, for tables."""
    return {f"gain {rates}": signed_interval(at.gain(arm, rates)) for rates in (COMMON, BEST)}
