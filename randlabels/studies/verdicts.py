"""Judging claims: a bootstrap interval over seeds against a threshold, one rule for all claims."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from randlabels.studies.study import Claim

LEVEL = 0.95
MAX_EXACT = 100_000  # resamples that are enumerated rather than drawn
NUM_DRAWN = 20_000


def judge(claims: Sequence[Claim], measures: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """One verdict for each claim.

    The outcome is `supported` if the whole interval of the mean lies above the threshold,
    `contradicted` if it lies below, otherwise `undecided`; also undecided with fewer finite values
    than the claim needs.

    Args:
        claims: what is claimed.
        measures: {measure: values over seeds}; NaN marks a seed without a value.

    Returns:
        Records with the claim's fields and value, interval, values, seeds, outcome, reason.
    """
    return [_judge_one(claim, measures[claim.measure]) for claim in claims]


def _judge_one(claim: Claim, values: np.ndarray) -> dict[str, Any]:
    values = np.asarray(values, np.float64)
    finite = values[np.isfinite(values)]
    verdict = dataclasses.asdict(claim) | {"values": values, "seeds": len(finite)}
    if len(finite) < max(claim.seeds_needed, 2):
        reason = f"{len(finite)} of {len(values)} seeds have a value, {claim.seeds_needed} needed"
        return verdict | {
            "value": finite.mean() if len(finite) else None,
            "interval": None,
            "outcome": "undecided",
            "reason": reason,
        }
    low, high = bootstrap_mean(finite)
    if low > claim.threshold:
        outcome = "supported"
    elif high < claim.threshold:
        outcome = "contradicted"
    else:
        outcome = "undecided"
    place = {"supported": "above", "contradicted": "below", "undecided": "on both sides of"}
    reason = f"the interval lies {place[outcome]} {claim.threshold:g}"
    return verdict | {
        "value": finite.mean(),
        "interval": [low, high],
        "outcome": outcome,
        "reason": reason,
    }


def bootstrap_mean(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Expanded percentile bootstrap interval of the mean of n >= 2 values.

    The plain percentile interval is too short for few seeds. Its tail probability is widened as
    Hesterberg (2015, arXiv:1411.5279, section 4) does, so that for normal data it is as long as
    Student's t interval: alpha'/2 = Phi(-sqrt(n / (n - 1)) t_{alpha/2, n-1}). With four seeds this
    means the smallest and largest resampled mean: all seeds have to agree.

    All n^n resamples are enumerated where they are few, otherwise drawn with a fixed seed.
    """
    values = np.asarray(values, np.float64)
    return _interval(values[_resamples(len(values))].mean(axis=1), len(values), level)


def bootstrap_ratio(
    numerator: np.ndarray, denominator: np.ndarray, level: float = LEVEL
) -> tuple[float, float]:
    """The same interval of the ratio of two means over the same n seeds, resampled in pairs.

    It is (-inf, inf) where the sign of the denominator is not determined: where it is not that of
    the mean in more resamples than the interval leaves out. Fewer of them are left out.
    """
    index = _resamples(len(numerator))
    above, below = numerator[index].mean(axis=1), denominator[index].mean(axis=1)
    same_sign = below * denominator.mean() > 0
    if (~same_sign).mean() > 2 * _tail(len(numerator), level):
        return -np.inf, np.inf
    return _interval(above[same_sign] / below[same_sign], len(numerator), level)


def _resamples(n: int) -> np.ndarray:
    """Indices [resample, n]."""
    if n**n <= MAX_EXACT:
        return np.array(list(itertools.product(range(n), repeat=n)))
    return np.random.default_rng(0).integers(0, n, (NUM_DRAWN, n))


def _tail(n: int, level: float) -> float:
    """Probability that an interval from n seeds leaves out on each side, see `bootstrap_mean`."""
    return float(stats.norm.cdf(np.sqrt(n / (n - 1)) * stats.t.ppf((1 - level) / 2, n - 1)))


def _interval(resampled: np.ndarray, n: int, level: float) -> tuple[float, float]:
    tail = _tail(n, level)
    low, high = np.quantile(resampled, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)
