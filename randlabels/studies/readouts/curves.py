"""Training curves of the networks that start in one way, and how far ahead of others they are."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from randlabels.runs import Run
from randlabels.studies.inference import fieller_interval

# How networks start: the arm, or values of several columns of the network table.
Start = str | Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Curves:
    """Accuracies of the networks that start in one way, by seed.

    Attributes:
        steps: [evaluation], ascending, in updates.
        train: train accuracy [seed, evaluation]; chance from where a network has diverged.
        test: test accuracy likewise; None where test labels mean nothing.
    """

    steps: np.ndarray
    train: np.ndarray
    test: np.ndarray | None = None

    def gain_over(self, other: "Curves") -> np.ndarray:
        """Mean train accuracy over all steps minus that of the other, of the same seed, [seed].

        Unlike steps to a level it exists for every pair of curves.
        """
        return self.mean_train() - other.mean_train()

    def mean_train(self) -> np.ndarray:
        """Mean train accuracy over all steps, by the trapezoidal rule, [seed]."""
        area = np.trapezoid(self.train, self.steps, axis=1)
        return area / (self.steps[-1] - self.steps[0])

    def steps_to(self, level: float) -> np.ndarray:
        """Steps until each curve first reaches a train accuracy, [seed], by linear interpolation.

        Infinite where the level is never reached (a censored observation).
        """
        reached = np.full(len(self.train), np.inf)
        for i, row in enumerate(self.train):
            above = np.flatnonzero(row >= level)
            if not len(above):
                continue
            k = above[0]
            share = (level - row[k - 1]) / (row[k] - row[k - 1]) if k else 0.0
            before = self.steps[max(k - 1, 0)]
            reached[i] = before + share * (self.steps[k] - before)
        return reached

    def speed_up(self, slower: "Curves", level: float) -> np.ndarray:
        """Bounds [seed, 2] of the steps of the other over the steps of this to a train accuracy.

        Above 1 this one is faster. The bounds are equal where both get there. Who does not has a
        censored time, the end of training or later: the ratio is that or more if the other is late,
        that or less if this one is, and anything if both are. A network that has diverged does not
        get there any more. NaN where one of the two is there before its first step.
        """
        ours, theirs = self.steps_to(level), slower.steps_to(level)
        end = self.steps[-1]
        with np.errstate(divide="ignore"):
            low = np.where(np.isinf(ours), 0.0, np.minimum(theirs, end) / ours)
            high = np.where(np.isinf(theirs), np.inf, theirs / np.minimum(ours, end))
        bounds = np.stack([low, high], axis=1)
        unknown = (ours == self.steps[0]) | (theirs == self.steps[0])
        return np.where(unknown[:, None], np.nan, bounds)


def networks_of(run: Run, start: Start) -> list[int]:
    """The networks that start in one way, by seed.

    Raises:
        ValueError: if there is none, or two of one seed, so that the start is ambiguous.
    """
    wanted = {"arm": start} if isinstance(start, str) else dict(start)
    rows = [r for r in run.networks if all(getattr(r, k) == v for k, v in wanted.items())]
    seeds = [row.seed for row in rows]
    if not rows or len(set(seeds)) < len(seeds):
        raise ValueError(f"{run.workdir} has {len(rows)} networks of seeds {seeds} with {wanted}.")
    return [row.network for row in sorted(rows, key=lambda row: row.seed)]


def all_curves(run: Run, metric: str = "train_accuracy") -> tuple[np.ndarray, np.ndarray]:
    """(steps [evaluation], values [network, evaluation]); NaN where a network has diverged."""
    records = [record for record in run.metrics if metric in record]
    values = np.array([[np.nan if v is None else v for v in r[metric]] for r in records], float)
    return np.array([record["step"] for record in records]), values.T


def read_curves(run: Run, start: Start) -> Curves:
    """The curves of the networks of one start, by seed.

    A network that diverged is at chance from then on: left out, it would flatter its arm.

    Raises:
        ValueError: as `networks_of`.
    """
    chosen = networks_of(run, start)
    chance = 1 / run.config["labels"]["num_classes"]
    steps, train = all_curves(run)
    tested = "test_accuracy" in run.metrics[-1]
    test = all_curves(run, "test_accuracy")[1][chosen] if tested else None
    test = None if test is None else np.nan_to_num(test, nan=chance)
    return Curves(steps, np.nan_to_num(train[chosen], nan=chance), test)


def arm_curves(run: Run, arms: tuple[str, ...]) -> dict[str, Curves]:
    """{arm: curves} of a run in which an arm has one network for each seed."""
    return {arm: read_curves(run, arm) for arm in arms}


def train_lines(curves: Mapping[str, Curves]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{label: (steps [evaluation], train accuracy [seed, evaluation])}, for figures."""
    return {label: (of.steps, of.train) for label, of in curves.items()}


def tested_lines(curves: Mapping[str, Curves]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The same of test accuracy, without the curves that have none."""
    return {label: (of.steps, of.test) for label, of in curves.items() if of.test is not None}


def share_kept(part: np.ndarray, whole: np.ndarray) -> tuple[float, float, float]:
    """Share of a gain [seed] that another keeps: (share, low, high).

    The ratio of means over seeds with Fieller's interval; a single seed's gain can be close to
    zero, so ratios are not averaged. The interval is unbounded where the whole gain may be zero.
    """
    share = part.mean() / whole.mean() if whole.mean() else np.nan
    return (float(share), *fieller_interval(part, whole))
