"""Judging claims: a bootstrap interval over seeds against a threshold, one rule for all claims."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from scipy import stats

from randlabels.studies.declare import Claim

Reading = TypeVar("Reading")

LEVEL = 0.95
MAX_EXACT = 100_000  # resamples that are enumerated rather than drawn
NUM_DRAWN = 20_000


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What was claimed, and what the numbers say.

    Attributes:
        name: of the claim, as are statement, place, unit and threshold.
        values: over seeds, NaN for a seed without one.
        seeds: how many values are finite.
        value: their mean; None without any.
        interval: of the mean, 95%; None with too few values.
        p: of sign flips, see `sign_flip_p`; None with too few values.
        outcome: supported, contradicted, undecided.
        reason: in words.
    """

    name: str
    statement: str
    place: str
    unit: str
    threshold: float
    values: tuple[float, ...]
    seeds: int
    value: float | None
    interval: tuple[float, float] | None
    p: float | None
    outcome: str
    reason: str


def judge(claims: Sequence[Claim[Reading]], reading: Reading) -> list[Verdict]:
    """One verdict for each claim.

    The outcome is `supported` if the whole interval of the mean lies above the threshold,
    `contradicted` if it lies below, otherwise `undecided`; also undecided with fewer finite values
    than the claim needs.
    """
    return [_judge_one(claim, np.asarray(claim.of(reading), np.float64)) for claim in claims]


def _judge_one(claim: Claim[Reading], values: np.ndarray) -> Verdict:
    if values.ndim != 1:
        raise ValueError(f"claim {claim.name!r} gives an array {values.shape}, not one [seed].")
    finite = values[np.isfinite(values)]
    few = len(finite) < max(claim.seeds_needed, 2)
    interval = None if few else bootstrap_mean(finite)
    outcome = "undecided" if interval is None else _outcome(interval, claim.threshold)
    place = {"supported": "above", "contradicted": "below", "undecided": "on both sides of"}
    reason = f"the interval lies {place[outcome]} {claim.threshold:g}"
    if few:
        reason = f"{len(finite)} of {len(values)} seeds have a value, {claim.seeds_needed} needed"
    return Verdict(
        name=claim.name,
        statement=claim.statement,
        place=claim.place,
        unit=claim.unit,
        threshold=claim.threshold,
        values=tuple(values.tolist()),
        seeds=len(finite),
        value=float(finite.mean()) if len(finite) else None,
        interval=interval,
        p=None if few else sign_flip_p(finite - claim.threshold),
        outcome=outcome,
        reason=reason,
    )


def _outcome(interval: tuple[float, float], threshold: float) -> str:
    low, high = interval
    if low > threshold:
        return "supported"
    return "contradicted" if high < threshold else "undecided"


def sign_flip_p(differences: np.ndarray) -> float:
    """One-sided p-value of a mean above 0: the share of sign flips with a mean at least as large.

    Exact for values that are symmetric about 0 under the null; 2^n flips are enumerated where they
    are few, otherwise drawn with a fixed seed (and then the observed signs count as one of them).
    """
    n = len(differences)
    sizes = np.abs(differences)
    if 2**n <= MAX_EXACT:
        signs = np.array(list(itertools.product((-1, 1), repeat=n)))
        extra = 0
    else:
        signs = np.random.default_rng(0).choice((-1, 1), (NUM_DRAWN, n))
        extra = 1
    # To rounding: the observed flip itself has to count.
    reached = signs @ sizes >= differences.sum() - 1e-12 * sizes.sum()
    return float((reached.sum() + extra) / (len(signs) + extra))


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
