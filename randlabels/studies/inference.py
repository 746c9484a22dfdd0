"""Intervals and tests over few seeds: arrays of one value a seed in, numbers out.

Every interval covers what it is of in `LEVEL` of all repetitions with other seeds, given the split
of the data and the order of batches, at 6 seeds as at 60: of means of normal values (Student's t),
of ratios of means of normal pairs (Fieller), of medians of any continuous values, censored ones
among them. `benchmarks/coverage.py` measures it.
"""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

LEVEL = 0.95
MAX_EXACT = 100_000  # sign flips that are enumerated rather than drawn
NUM_DRAWN = 20_000

Interval = tuple[float, float]


def t_interval(values: np.ndarray, level: float = LEVEL) -> Interval:
    """Student's interval of the mean of n >= 2 values: mean -+ t_{n-1} s / sqrt(n), s by n - 1."""
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values)
    return float(values.mean() - half), float(values.mean() + half)


def t_p(differences: np.ndarray) -> float:
    """Two-sided p of a mean of 0, by Student's t; that of sign flips where all values are one."""
    if np.ptp(differences) <= 1e-12 * np.abs(differences).max():  # to rounding
        return sign_flip_p(differences)
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def sign_flip_p(differences: np.ndarray) -> float:
    """Two-sided p of a centre of 0: the share of sign flips whose mean is at least as far from 0.

    Exact for values that are symmetric about 0 under the null, normal or not, and never below
    2 / 2^n. The 2^n flips are enumerated where they are few, otherwise drawn with a fixed seed (and
    then the observed signs count as one of them). Fisher (1935), The Design of Experiments, 21.
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
    reached = np.abs(signs @ sizes) >= abs(differences.sum()) - 1e-12 * sizes.sum()
    return float((reached.sum() + extra) / (len(signs) + extra))


def fieller_interval(
    numerator: np.ndarray, denominator: np.ndarray, level: float = LEVEL
) -> Interval:
    """Interval of the ratio of two means over the same n >= 2 seeds (Fieller 1954).

    All ratios r for which the mean of `numerator - r denominator` is not rejected by Student's t: a
    quadratic inequality in r. It is (-inf, inf) where the mean of the denominator is not
    distinguished from 0, for then no ratio can be excluded on one side at least.
    """
    n = len(numerator)
    above, below = numerator.mean(), denominator.mean()
    covariance = np.cov(numerator, denominator) * stats.t.ppf((1 + level) / 2, n - 1) ** 2 / n
    square = below**2 - covariance[1, 1]
    if square <= 0:
        return -np.inf, np.inf
    middle = (above * below - covariance[0, 1]) / square
    # At r = above / below the inequality holds, so that the roots are real but for rounding.
    half = np.sqrt(max(middle**2 - (above**2 - covariance[0, 0]) / square, 0.0))
    return float(middle - half), float(middle + half)


def median_interval(low: np.ndarray, high: np.ndarray, level: float = LEVEL) -> Interval | None:
    """Interval of the median of n values that are known to lie between two bounds each.

    Between order statistics, whose coverage is binomial, interpolated for `level` as in
    Hettmansperger and Sheather (1986): its lower end from the lower bounds, its upper end from the
    upper ones. None with fewer than 6 values, whose range does not cover the median in 95% of
    cases. Ends are infinite where too many bounds are.
    """
    n = len(low)

    def coverage(depth: int) -> float:
        return 1 - 2 * float(stats.binom.cdf(depth - 1, n, 0.5))

    depths = [depth for depth in range(1, n // 2 + 1) if coverage(depth) >= level]
    if not depths:
        return None
    depth = depths[-1]
    here, next_ = coverage(depth), coverage(depth + 1)
    share = (here - level) / (here - next_)
    weight = (n - depth) * share / (depth + (n - 2 * depth) * share)
    ends = (np.sort(low)[depth - 1 : depth + 1], np.sort(-high)[depth - 1 : depth + 1])
    lower, upper = (float(outer + weight * (inner - outer)) if np.isfinite(outer) else float(outer)
                    for outer, inner in ends)  # fmt: skip
    return lower, -upper


def sign_test_p(low: np.ndarray, high: np.ndarray, threshold: float) -> float:
    """Two-sided p of a median at the threshold, of values between bounds: how many are beyond it.

    A value whose bounds hold the threshold counts against either direction.
    """
    most = int(max((low > threshold).sum(), (high < threshold).sum()))
    return min(1.0, 2 * float(stats.binom.sf(most - 1, len(low), 0.5)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p of each of some tests (Holm 1979): in 5% of families at most, a true null has one
    of .05 or less, however the tests depend on each other.
    """
    order = np.argsort(p_values)
    scaled = (len(p_values) - np.arange(len(p_values))) * np.asarray(p_values, float)[order]
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(p) for p in adjusted]


def benjamini_hochberg(p_values: Mapping[str, float]) -> dict[str, float]:
    """{test: q}: of the tests with q of .05 or less, 5% at most are false on average (1995)."""
    names = sorted(p_values, key=lambda name: p_values[name], reverse=True)
    least, found = 1.0, {}
    for rank, name in zip(range(len(names), 0, -1), names, strict=True):
        least = min(least, p_values[name] * len(names) / rank)
        found[name] = least
    return found
