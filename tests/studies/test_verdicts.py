import numpy as np
import pytest
from scipy import stats

from randlabels.studies.declare import Claim
from randlabels.studies.verdicts import bootstrap_mean, bootstrap_ratio, judge, sign_flip_p

CLAIM = Claim(
    name="c",
    statement="statement",
    place="Figure 1",
    unit="x",
    of=lambda values: values,
    threshold=1.0,
    seeds_needed=4,
)


def verdict_on(values):
    (verdict,) = judge([CLAIM], np.asarray(values, float))
    return verdict


def test_outcomes():
    assert verdict_on([1.2, 1.3, 1.4, 1.25]).outcome == "supported"
    assert verdict_on([0.7, 0.6, 0.8, 0.75]).outcome == "contradicted"
    assert verdict_on([0.9, 1.3, 1.4, 1.25]).outcome == "undecided"  # one of four disagrees


def test_too_few_seeds_are_undecided_and_the_reason_says_so():
    verdict = verdict_on([2.0, 2.1, np.nan, 2.2])
    assert verdict.outcome == "undecided"
    assert verdict.reason == "3 of 4 seeds have a value, 4 needed"
    assert verdict.value == pytest.approx(2.1)
    assert (verdict.interval, verdict.p) == (None, None)


def test_no_value_at_all():
    verdict = verdict_on(np.full(4, np.nan))
    assert (verdict.outcome, verdict.value, verdict.interval) == ("undecided", None, None)


def test_sign_flip_p_counts_the_flips_that_reach_the_mean():
    assert sign_flip_p(np.array([1.0, 2.0, 3.0])) == 1 / 8
    assert sign_flip_p(np.array([-1.0, 2.0, 3.0])) == 2 / 8  # the observed signs, and all positive
    assert sign_flip_p(np.array([-1.0, -2.0])) == 1.0
    assert sign_flip_p(np.array([0.1, 0.1, 0.1, 0.1])) == 1 / 16


def test_sign_flip_p_of_many_seeds_is_drawn_and_near_the_t_test():
    values = np.random.default_rng(3).normal(0.3, 1.0, 60)
    exact = stats.ttest_1samp(values, 0, alternative="greater").pvalue
    assert sign_flip_p(values) == pytest.approx(exact, rel=0.25)
    assert sign_flip_p(np.abs(values)) == 1 / 20_001


def test_interval_of_four_seeds_is_their_range():
    assert bootstrap_mean(np.array([1.0, 5.0, 2.0, 3.0])) == (1.0, 5.0)


def test_interval_agrees_with_students_t_for_many_normal_values():
    values = np.random.default_rng(1).normal(3.0, 2.0, 200)
    low, high = bootstrap_mean(values)
    t_low, t_high = stats.t.interval(0.95, 199, values.mean(), stats.sem(values))
    width = t_high - t_low
    assert low == pytest.approx(t_low, abs=0.05 * width)
    assert high == pytest.approx(t_high, abs=0.05 * width)


def test_coverage_for_few_normal_seeds():
    """The plain percentile interval covers the mean about 84% of the time with six seeds."""
    rng = np.random.default_rng(0)
    covered = [low <= 0 <= high for low, high in map(bootstrap_mean, rng.normal(size=(150, 6)))]
    assert np.mean(covered) > 0.9


def test_verdict_records_what_was_claimed_and_measured():
    verdict = verdict_on([1.2, 1.3, 1.4, 1.25])
    assert verdict.statement == "statement"
    assert verdict.seeds == 4
    assert verdict.interval == (1.2, 1.4)
    assert verdict.p == 1 / 16
    assert verdict.value == pytest.approx(1.2875)


def test_interval_of_a_ratio():
    gains = np.array([2.0, 4.0, 3.0, 5.0])
    np.testing.assert_allclose(bootstrap_ratio(0.5 * gains, gains), (0.5, 0.5))
    low, high = bootstrap_ratio(gains, np.ones(4))
    assert (low, high) == pytest.approx(bootstrap_mean(gains))


@pytest.mark.parametrize("denominator", [[0.0, 0.02], [-0.1, 0.4], [0.0, 0.0]])
def test_interval_of_a_ratio_to_what_may_be_zero_is_unbounded(denominator):
    assert bootstrap_ratio(np.array([0.1, 0.2]), np.array(denominator)) == (-np.inf, np.inf)
