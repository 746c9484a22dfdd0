"""Intervals and tests over seeds, beside SciPy's, beside definitions, and in simulation."""

import numpy as np
import pytest
from scipy import stats

from randlabels.studies.inference import (
    benjamini_hochberg,
    fieller_interval,
    holm,
    median_interval,
    sign_flip_p,
    sign_test_p,
    t_interval,
    t_p,
)

REPETITIONS = 1500  # the standard error of a coverage of .95 is .0056


def covered(intervals, truth):
    return np.mean([low <= truth <= high for low, high in intervals])


def test_t_is_scipys():
    values = np.random.default_rng(0).normal(1.0, 2.0, 7)
    test = stats.ttest_1samp(values, 0.0)
    assert t_interval(values) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert t_p(values) == pytest.approx(test.pvalue)


def test_t_p_of_equal_values_is_that_of_sign_flips():
    assert t_p(np.full(6, 0.3)) == 2 / 64
    assert t_p(np.zeros(6)) == 1.0


def test_sign_flips_that_are_as_far_from_zero_are_counted():
    assert sign_flip_p(np.array([1.0, 2.0, 3.0])) == 2 / 8
    assert sign_flip_p(np.array([-1.0, 2.0, 3.0])) == 4 / 8  # and all positive, and their opposites
    assert sign_flip_p(np.array([-0.1, -0.1, -0.1, -0.1])) == 2 / 16
    values = np.random.default_rng(3).normal(0.3, 1.0, 9)
    reference = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_p(values) == pytest.approx(reference.pvalue)


def test_sign_flips_of_many_seeds_are_drawn_and_near_the_t_test():
    values = np.random.default_rng(3).normal(0.3, 1.0, 60)
    assert sign_flip_p(values) == pytest.approx(t_p(values), rel=0.25)
    assert sign_flip_p(np.abs(values)) == 1 / 20_001


def test_fieller_holds_the_ratios_that_a_t_test_does_not_reject():
    rng = np.random.default_rng(5)
    whole = rng.normal(2.0, 0.7, 8)
    part = 0.6 * whole + rng.normal(0, 0.3, 8)
    low, high = fieller_interval(part, whole)
    assert low < part.mean() / whole.mean() < high
    for end in (low, high):
        assert t_p(part - end * whole) == pytest.approx(0.05)


@pytest.mark.parametrize("denominator", [[0.0, 0.02], [-0.1, 0.4], [0.0, 0.0]])
def test_fieller_is_unbounded_where_the_denominator_may_be_zero(denominator):
    assert fieller_interval(np.array([0.1, 0.2]), np.array(denominator)) == (-np.inf, np.inf)


def test_fieller_of_a_constant_denominator_is_the_interval_of_the_mean():
    part = np.array([2.0, 4.0, 3.0, 5.0])
    assert fieller_interval(part, np.full(4, 2.0)) == pytest.approx(t_interval(part / 2))


def test_median_is_between_order_statistics():
    values = np.array([5.0, 1.0, 4.0, 2.0, 6.0, 3.0])
    exact = 1 - 2 / 2**6  # of the range
    assert median_interval(values, values, exact) == (1.0, 6.0)
    low, high = median_interval(values, values)
    assert 1.0 < low < 1.5
    assert low + high == pytest.approx(7.0)
    assert median_interval(values[:5], values[:5]) is None


def test_median_of_many_values_is_between_the_order_statistics_of_the_binomial():
    values = np.arange(1.0, 201.0)
    low, high = median_interval(values, values)
    depth = stats.binom.ppf(0.025, 200, 0.5)
    assert depth <= low <= depth + 1
    assert low + high == pytest.approx(201)


def test_median_of_censored_values_takes_their_bounds():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
    low, high = median_interval(values, values)
    late = np.where(values > 6, np.inf, values)  # known to be above 6.5 only
    assert median_interval(np.minimum(values, 6.5), late) == (low, np.inf)
    assert median_interval(np.where(values < 5, -np.inf, values), values)[0] == -np.inf
    assert median_interval(values, np.where(values > 7, np.inf, values))[1] == np.inf
    assert median_interval(values, values)[1] == high


def test_sign_test_counts_seeds_beyond_the_threshold():
    low, high = (
        np.array([1.1, 1.2, 1.3, 1.1, 1.5, 1.2]),
        np.array([1.1, 1.2, np.inf, 1.1, 1.5, 1.2]),
    )
    assert sign_test_p(low, high, 1.0) == pytest.approx(stats.binomtest(6, 6).pvalue)
    assert sign_test_p(1 / high, 1 / low, 1.0) == pytest.approx(2 / 64)
    unknown = np.array([0.0, 1.2, 1.3, 1.1, 1.5, 1.2])  # one may be on either side
    assert sign_test_p(unknown, high, 1.0) == pytest.approx(stats.binomtest(5, 6).pvalue)
    assert sign_test_p(np.zeros(6), np.full(6, np.inf), 1.0) == 1.0


def test_corrections():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    p_values = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.2, "e": 0.04}
    reference = stats.false_discovery_control(list(p_values.values()))
    found = benjamini_hochberg(p_values)
    np.testing.assert_allclose([found[name] for name in p_values], reference)
    assert benjamini_hochberg({}) == {}


@pytest.mark.parametrize("seeds", [6, 8, 16])
def test_coverage_for_normal_values(seeds):
    """Of every kind of interval. A bootstrap of percentiles covers .90 to .93 with 6 to 8 seeds."""
    rng = np.random.default_rng(seeds)
    values = rng.normal(1.0, 1.0, (REPETITIONS, seeds))
    assert 0.93 <= covered(map(t_interval, values), 1.0) <= 0.97
    assert 0.93 <= covered((median_interval(v, v) for v in values), 1.0) <= 0.97
    whole = rng.normal(2.0, 1.0, (REPETITIONS, seeds))
    part = 0.5 * whole + rng.normal(0.0, 0.5, whole.shape)
    assert 0.93 <= covered(map(fieller_interval, part, whole), 0.5) <= 0.97


def test_coverage_of_the_median_of_skewed_and_censored_values():
    """Mean and t cover .83 here, and a censored mean does not exist."""
    values = np.random.default_rng(1).lognormal(0.0, 1.5, (REPETITIONS, 8))
    ends = ((np.minimum(v, 3.0), np.where(v > 3.0, np.inf, v)) for v in values)
    assert covered((median_interval(*bounds) for bounds in ends), 1.0) >= 0.93
    assert covered(map(t_interval, values), np.exp(1.5**2 / 2)) < 0.9
