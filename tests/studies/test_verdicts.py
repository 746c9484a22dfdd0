import dataclasses

import numpy as np
import pytest
from scipy import stats

from randlabels.studies.declare import Claim, Primary
from randlabels.studies.verdicts import judge

CLAIM = Claim(
    name="c",
    statement="statement",
    place="Figure 1",
    unit="x",
    of=lambda found: found["c"],
    threshold=1.0,
)
RATIO = dataclasses.replace(CLAIM, scale="ratio")
PRIMARY = Primary(0.05, "the contrary")
ABOVE = [1.2, 1.3, 1.4, 1.25, 1.3, 1.22]


def verdict_on(values, claim=CLAIM, primary=PRIMARY):
    (verdict,) = judge([claim], {"c": primary}, {"c": np.asarray(values, float)})
    return verdict


def claims_called(*names):
    return [
        dataclasses.replace(CLAIM, name=name, of=lambda found, name=name: found[name])
        for name in names
    ]


def test_outcomes():
    assert verdict_on(ABOVE).outcome == "supported"
    assert verdict_on(2 - np.array(ABOVE)).outcome == "contradicted"
    assert verdict_on([0.9, 1.3, 1.4, 1.05, 0.95, 1.0]).outcome == "undecided"


def test_an_effect_smaller_than_what_is_of_interest_is_equivalence():
    """Also where it is significantly different from none."""
    tiny = [1.002, 1.003, 1.004, 1.003, 1.002, 1.003]
    verdict = verdict_on(tiny)
    assert verdict.p < 0.001
    assert verdict.outcome == "equivalent"
    assert "within the smallest effect of interest, 0.05" in verdict.reason
    assert verdict_on(tiny, primary=Primary(0.001, "")).outcome == "supported"
    # An interval that reaches beyond shows neither.
    assert verdict_on([0.9, 1.1, 0.95, 1.05, 0.9, 1.1]).outcome == "undecided"


def test_what_sign_flips_do_not_decide_is_not_decided():
    """Six values of which one lies slightly on the other side: 4 of 64 flips are as far."""
    verdict = verdict_on([2.2, 2.1, 2.3, 2.2, 2.4, 0.99])
    assert verdict.p_adjusted <= 0.05
    assert verdict.p_sign_flip == 4 / 64
    assert verdict.outcome == "undecided"
    assert "that of sign flips, 0.062" in verdict.reason
    assert verdict_on([2.2, 2.1, 2.3, 2.2, 2.4, 1.01]).outcome == "supported"


def test_with_fewer_than_six_seeds_nothing_is_decided_and_the_reason_says_so():
    verdict = verdict_on([2.0, 2.1, np.nan, 2.2, 2.1, 2.0])
    assert verdict.outcome == "undecided"
    assert verdict.reason == "5 of 6 seeds have a value, 6 needed"
    assert verdict.value == pytest.approx(2.08)
    assert verdict.interval[0] < 2.08 < verdict.interval[1]  # an estimate all the same


def test_no_value_at_all():
    verdict = verdict_on(np.full(6, np.nan))
    assert (verdict.outcome, verdict.value, verdict.interval) == ("undecided", None, None)
    assert (verdict.p, verdict.p_adjusted) == (None, 1.0)


def test_a_verdict_records_what_was_claimed_and_measured():
    verdict = verdict_on(ABOVE)
    test = stats.ttest_1samp(ABOVE, 1.0)
    assert (verdict.statement, verdict.against, verdict.smallest) == (
        "statement",
        "the contrary",
        0.05,
    )
    assert (verdict.seeds, verdict.method) == (6, "t")
    assert verdict.value == pytest.approx(np.mean(ABOVE))
    assert verdict.interval == pytest.approx(tuple(test.confidence_interval()))
    assert verdict.p == verdict.p_adjusted == pytest.approx(test.pvalue)
    assert verdict.p_sign_flip == 2 / 64


def test_ratios_are_averaged_as_logs():
    values = np.array([0.5, 2.0, 1.0, 4.0, 0.25, 1.0])
    verdict = verdict_on(values, RATIO)
    assert verdict.value == pytest.approx(1.0)
    assert verdict.method == "t of logs"
    assert verdict.interval[0] * verdict.interval[1] == pytest.approx(1.0)
    assert verdict.p == pytest.approx(1.0)
    assert verdict_on(ABOVE, RATIO, Primary(1.05, "")).outcome == "supported"
    near = [1.01, 0.99, 1.02, 1.0, 0.98, 1.0]
    assert verdict_on(near, RATIO, Primary(1.05, "")).outcome == "equivalent"
    with pytest.raises(
        ValueError, match="claim 'c' is about ratios, and one of its values is not positive"
    ):
        verdict_on([1.0, -1.0], RATIO)


def test_censored_ratios_have_a_median_and_a_sign_test():
    """Where scratch never gets there the ratio has no upper end, and no mean."""
    bounds = np.array([[v, v] for v in ABOVE])
    bounds[2] = (1.4, np.inf)
    verdict = verdict_on(bounds, RATIO, Primary(1.05, ""))
    assert verdict.method == "median"
    assert verdict.values[2] == (1.4, np.inf)
    assert verdict.values[0] == 1.2
    assert verdict.value == pytest.approx(np.sqrt(1.25 * 1.3))  # on whichever side of 1.4 one is
    open_ended = np.array([[v, v] for v in ABOVE])
    open_ended[0] = (1.2, np.inf)  # the median may be sqrt(1.25 1.3), or 1.3
    assert verdict_on(open_ended, RATIO, Primary(1.05, "")).value is None
    assert verdict.interval[0] == pytest.approx(1.2, rel=0.01)
    assert verdict.interval[1] == np.inf
    assert verdict.p == 2 / 64
    assert verdict.outcome == "supported"
    bounds[3] = (0.0, np.inf)  # neither gets there: it counts against either direction
    assert verdict_on(bounds, RATIO, Primary(1.05, "")).outcome == "undecided"
    below = 1 / bounds[:, ::-1][[0, 1, 2, 4, 5, 0]]
    assert verdict_on(below, RATIO, Primary(1.05, "")).outcome == "contradicted"


def test_estimates_have_an_interval_and_no_word():
    (verdict,) = judge([CLAIM], {}, {"c": np.array(ABOVE)})
    assert verdict.outcome == "estimate"
    assert verdict.interval is not None
    assert (verdict.p_adjusted, verdict.reason) == (None, "")


def test_primary_claims_are_corrected_for_each_other():
    """One p of .03 is enough alone and not among four."""
    values = np.array([1.5, 1.1, 1.3, 1.05, 1.4, 1.02])
    alone = verdict_on(values)
    assert 0.02 < alone.p < 0.05
    assert alone.outcome == "supported"
    names = ("a", "b", "c", "d")
    found = dict.fromkeys(names, values) | {"b": values - 0.2}
    together = judge(claims_called(*names), dict.fromkeys(names, PRIMARY), found)
    assert together[0].p == alone.p
    assert together[0].p_adjusted == pytest.approx(min(1, 4 * alone.p))
    assert {v.outcome for v in together} == {"undecided"}


def test_a_claim_without_its_premise_is_not_tested():
    claims = claims_called("hurts", "wider")
    primary = {"hurts": PRIMARY, "wider": Primary(0.05, "", premise="hurts")}
    nothing = np.array([0.9, 1.3, 1.4, 1.05, 0.95, 1.0])
    first, second = judge(claims, primary, {"hurts": nothing, "wider": np.array(ABOVE)})
    assert (first.outcome, second.outcome) == ("undecided", "not tested")
    assert second.reason == "its premise, hurts, is not supported"
    first, second = judge(claims, primary, {"hurts": np.array(ABOVE), "wider": np.array(ABOVE)})
    assert second.outcome == "supported"


@pytest.mark.parametrize(
    "values",
    [[1, 2, 3, 4, 5, np.inf], [-np.inf] * 6, [[2.0, 1.0]] * 6, [1, 2, 3, 4, -np.inf, np.inf]],
)
def test_what_is_infinite_or_in_the_wrong_order_is_refused(values):
    with pytest.raises(ValueError, match="claim 'c' has infinite values, or bounds in the wrong"):
        verdict_on(values)


def test_values_that_are_equal_to_rounding_are_judged_by_their_signs():
    assert verdict_on([1.1 + 0.2, 1.3, 1.3, 1.3, 1.3, 1.3]).p == 2 / 64


def test_the_worst_of_many_is_corrected_where_it_speaks_against_the_claim():
    worst = dataclasses.replace(CLAIM, comparisons=10)
    assert verdict_on(ABOVE, worst).outcome == verdict_on(ABOVE).outcome == "supported"
    below = 2 - np.array([1.2, 1.3, 1.5, 1.05, 1.4, 1.1])
    assert 0.005 < verdict_on(below).p < 0.05
    assert verdict_on(below).outcome == "contradicted"
    assert verdict_on(below, worst).outcome == "undecided"
    near = [1.03, 0.98, 1.02, 0.97, 1.04, 1.01]
    assert verdict_on(near).outcome == "equivalent"
    assert verdict_on(near, worst).outcome == "undecided"


@pytest.mark.parametrize("values", [np.ones((6, 3)), np.ones((2, 6, 2)), np.float64(1.0)])
def test_values_are_one_a_seed_or_two_bounds(values):
    with pytest.raises(ValueError, match=r"one value \[seed\], or bounds \[seed, 2\]"):
        verdict_on(values)


def test_false_verdicts_of_a_study_under_the_global_null():
    """Four primary claims, 6 seeds: any verdict but undecided or equivalent is false."""
    names = ("a", "b", "c", "d")
    claims, primary = claims_called(*names), dict.fromkeys(names, PRIMARY)
    rng = np.random.default_rng(0)
    false = []
    for _ in range(800):
        found = {name: rng.normal(1.0, 0.2, 6) for name in names}
        outcomes = {verdict.outcome for verdict in judge(claims, primary, found)}
        false.append(bool(outcomes & {"supported", "contradicted"}))
    assert np.mean(false) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 800)
    assert np.mean(false) > 0.01  # the correction is not so strict that nothing is ever decided
