"""Numbers that claims are about, one for each seed, from the records of a run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from randlabels.analysis.records import Alignment
from randlabels.runs import Run
from randlabels.studies.verdicts import bootstrap_ratio

# How networks start: the arm, or values of several columns of the network table.
Start = str | Mapping[str, Any]


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


def curve(run: Run, start: Start, metric: str = "train_accuracy") -> tuple[np.ndarray, np.ndarray]:
    """(steps [evaluation], values [seed, evaluation]) of the networks of one start, by seed."""
    steps, values = all_curves(run, metric)
    return steps, values[networks_of(run, start)]


def steps_to(steps: np.ndarray, values: np.ndarray, level: float) -> np.ndarray:
    """Steps until each curve first reaches a level, by linear interpolation.

    Args:
        steps: [evaluation], ascending.
        values: [seed, evaluation].
        level: to reach.

    Returns:
        [seed]; infinite where the level is never reached (a censored observation).
    """
    result = np.full(len(values), np.inf)
    for i, row in enumerate(values):
        above = np.flatnonzero(row >= level)
        if not len(above):
            continue
        k = above[0]
        if k == 0:
            result[i] = steps[0]
            continue
        share = (level - row[k - 1]) / (row[k] - row[k - 1])
        result[i] = steps[k - 1] + share * (steps[k] - steps[k - 1])
    return result


def speed_up(run: Run, arm: Start, level: float, baseline: Start = "scratch") -> np.ndarray:
    """Steps of the baseline over steps of the arm to reach a train accuracy, [seed].

    Above 1 the arm is faster. Where one of the two never gets there, the end of training stands in
    for its steps, so the ratio is a bound that understates the difference; NaN where neither does,
    or the arm is there before its first step.
    """
    steps, ours = curve(run, arm)
    _, theirs = curve(run, baseline)
    ours, theirs = steps_to(steps, ours, level), steps_to(steps, theirs, level)
    both_missing = np.isinf(ours) & np.isinf(theirs)
    undefined = both_missing | (ours == steps[0])
    ours = np.where(undefined, np.nan, np.minimum(ours, steps[-1]))
    return np.minimum(theirs, steps[-1]) / ours


def area_between(run: Run, arm: Start, baseline: Start = "scratch") -> np.ndarray:
    """Mean train accuracy over all steps of an arm minus that of the baseline, [seed]."""
    steps, ours = curve(run, arm)
    _, theirs = curve(run, baseline)
    return np.trapezoid(ours - theirs, steps, axis=1) / (steps[-1] - steps[0])


def share_kept(
    run: Run, arm: str = "covariance", whole: str = "pretrained"
) -> tuple[float, float, float]:
    """Share of one arm's gain over scratch that another keeps, by area: (share, low, high).

    The ratio of means over seeds with its bootstrap interval; a single seed's gain can be close to
    zero, so ratios are not averaged. NaN and an unbounded interval where the whole gain is zero.
    """
    ours, theirs = area_between(run, arm), area_between(run, whole)
    share = ours.mean() / theirs.mean() if theirs.mean() else np.nan
    return (float(share), *bootstrap_ratio(ours, theirs))


def final(run: Run, arm: Start, metric: str) -> np.ndarray:
    """The last value of a metric, [seed]."""
    return curve(run, arm, metric)[1][:, -1]


def misalignment_margin(alignment: Alignment, layer: str, step: int) -> np.ndarray:
    """Smallest misalignment to any random basis minus misalignment to the data basis, [network].

    Above 0 the network's weights are closer to the data's eigenvectors than to any random basis.
    NaN where a network has too few filters for a covariance that can be inverted.
    """
    return np.array(
        [
            np.nan
            if record.singular
            else record.misalignments.random.min() - record.misalignments.data
            for record in alignment.single(layer, step)
        ]
    )


def table(run: Run, arms: Sequence[str], level: float) -> list[dict[str, Any]]:
    """One row for each arm: steps to a train accuracy, end accuracies, over seeds."""
    rows = []
    for arm in arms:
        steps, values = curve(run, arm)
        reached = steps_to(steps, values, level)
        # Random labels have no test accuracy.
        tested = "test_accuracy" in run.metrics[-1]
        rows.append(
            {
                "arm": arm,
                "seeds": len(values),
                "train accuracy level": f"{level:g}",
                "steps to the level": mean_std(reached, 0),
                "train accuracy at the end": mean_std(final(run, arm, "train_accuracy"), 3),
                "test accuracy at the end": mean_std(final(run, arm, "test_accuracy"), 3)
                if tested
                else "",
            }
        )
    return rows


def mean_std(values: np.ndarray, digits: int) -> str:
    """For tables: mean ± standard deviation (n - 1), or how many values are missing."""
    missing = int(np.sum(~np.isfinite(values)))
    if missing:
        return f"not reached by {missing} of {len(values)}"
    return f"{values.mean():.{digits}f} ± {values.std(ddof=1) if len(values) > 1 else 0:.{digits}f}"
