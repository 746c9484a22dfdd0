"""Cells and rows of the tables that studies show: one way to write a mean, a range, an interval."""

from collections.abc import Mapping

import numpy as np

from randlabels.studies.declare import Row
from randlabels.studies.inference import t_interval
from randlabels.studies.readouts.curves import Curves


def mean_std(values: np.ndarray, digits: int) -> str:
    """Mean ± standard deviation (n - 1; 0 for a single value), or how many are not finite.

    Networks without a value (NaN) are left out, and it is said of how many the others are.
    """
    known = values[~np.isnan(values)]
    missing = int(np.sum(np.isinf(known)))
    if missing:
        return f"not reached by {missing} of {len(known)}" + _of(known, values)
    if not len(known):
        return "none"
    spread = known.std(ddof=1) if len(known) > 1 else 0
    return f"{known.mean():.{digits}f} ± {spread:.{digits}f}" + _of(known, values)


def _of(known: np.ndarray, values: np.ndarray) -> str:
    left_out = len(values) - len(known)
    return f" ({left_out} left out)" if left_out else ""


def mean_range(values: np.ndarray, share: float = 1.0, digits: int = 3) -> str:
    """Mean (low to high) of the central `share` of values."""
    low, high = np.quantile(values, [(1 - share) / 2, (1 + share) / 2])
    return f"{values.mean():.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def interval(values: np.ndarray) -> tuple[float, float]:
    """95% interval of the mean over seeds that have a value; NaN with fewer than 2."""
    known = values[~np.isnan(values)]
    return t_interval(known) if len(known) > 1 else (np.nan, np.nan)


def signed_interval(values: np.ndarray) -> str:
    """A mean with its sign and its interval, of the seeds that have a value."""
    known = values[~np.isnan(values)]
    if not len(known):
        return "none"
    low, high = interval(known)
    return f"{known.mean():+.3f} [{low:+.3f}, {high:+.3f}]" + _of(known, values)


def last_accuracies(curves: Curves) -> dict[str, str]:
    """Train and test accuracy at the end; no test accuracy where labels are random."""
    return {
        "train accuracy at the end": mean_std(curves.train[:, -1], 3),
        "test accuracy at the end": "" if curves.test is None else mean_std(curves.test[:, -1], 3),
    }


def arm_rows(arms: Mapping[str, Curves], level: float) -> list[Row]:
    """One row for each arm: steps to a train accuracy and accuracies at the end, over seeds."""
    return [
        {
            "arm": arm,
            "seeds": len(curves.train),
            "train accuracy level": f"{level:g}",
            "steps to the level": mean_std(curves.steps_to(level), 0),
        }
        | last_accuracies(curves)
        for arm, curves in arms.items()
    ]


def gain_rows(starts: Mapping[str, Curves], scratch: Curves, level: float) -> list[Row]:
    """One row for each start: gain over scratch, steps to a train accuracy, accuracies."""
    return [
        {
            "start": label,
            "gain over scratch": signed_interval(curves.gain_over(scratch)),
            f"steps to {level:.0%}": mean_std(curves.steps_to(level), 0),
        }
        | last_accuracies(curves)
        for label, curves in starts.items()
    ]
