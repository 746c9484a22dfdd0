"""Studies of first-layer transfer, at one learning rate and at several, on planted curves."""

import numpy as np
import pytest
from planted import planted_rates

from randlabels.studies.families import first_layer
from randlabels.studies.paper import fig5, quickstart
from randlabels.studies.readouts.curves import read_curves

STARTS = {arm: {"arm": arm} for arm in first_layer.ARMS}
GAINS = {"scratch": 0.0, "pretrained": 0.06, "covariance": 0.04, "pretrained_unscaled": 0.08}
RATES = (0.003, 0.01, 0.03)
LEVELS = {"real": 0.3, "random": 0.25}


def planted(rates, best):
    return {task: planted_rates(STARTS, best, rates, GAINS) for task in first_layer.TASKS}


def reading(runs, best):
    """What the claims of transfer look at."""
    rates = {task: first_layer._at_rates(run, best) for task, run in runs.items()}
    return first_layer.Transfer(rates, *[None] * 5, levels=LEVELS)


def claims_of(study):
    return {c.name: c for c in study.claims if c.name not in ("alignment", "specific")}


def test_with_several_rates_arms_are_compared_at_their_best_and_at_the_common_one():
    best = dict(zip(first_layer.ARMS, (0.003, 0.01, 0.03, 0.01), strict=True))
    runs = planted(RATES, best)
    found = reading(runs, best)
    claims = first_layer._claims(LEVELS, (first_layer.BEST, first_layer.COMMON))
    values = {c.name: c.of(found) for c in claims if c.name.partition("_")[0] in STARTS}
    assert len(values) == 8
    for name, of in values.items():
        arm, task, *common = name.split("_")
        ours, scratch = (
            read_curves(runs[task], {"arm": a, "learning_rate": 0.01 if common else best[a]})
            for a in (arm, "scratch")
        )
        np.testing.assert_array_equal(of, ours.speed_up(scratch, LEVELS[task]), err_msg=name)
    assert np.abs(values["covariance_real"] - values["covariance_real_common"]).max() > 0.01
    tables = first_layer._arm_tables(found)
    assert len(tables["rates"]) == 2 * len(STARTS) * len(RATES)
    assert len(tables["arms"]) == 2 * len(STARTS)


def test_with_one_rate_there_is_one_claim_for_each_arm_and_task():
    runs = planted_rates(STARTS, dict.fromkeys(STARTS, 0.01), (0.01,), GAINS)
    found = reading(dict.fromkeys(first_layer.TASKS, runs), None)
    assert not found.rates["real"].several
    assert list(first_layer._arm_tables(found)) == ["arms"]


@pytest.mark.parametrize(("study", "count"), [(fig5.STUDY, 8), (quickstart.STUDY, 4)])
def test_statements_say_at_which_rates(study, count):
    claims = claims_of(study)
    assert len(claims) == count
    for name, claim in claims.items():
        rates = [words in claim.statement for words in (first_layer.BEST, first_layer.COMMON)]
        assert rates == [count == 8 and "_common" not in name, "_common" in name]
