"""The choice of the best rate, and arms at one rate or each at its best, on planted curves."""

from pathlib import Path

import numpy as np
import pytest

from randlabels.networks import Network
from randlabels.runs import Run
from randlabels.studies.readouts.curves import Curves
from randlabels.studies.readouts.rates import (
    BEST,
    COMMON,
    best_rate,
    best_rates,
    gain_cells,
    read_rates,
)

STEPS = np.array([0, 10, 40])  # unequal: means over evaluations are no means over steps
STARTS = {arm: {"arm": arm} for arm in ("scratch", "pretrained")}
# {(arm, rate): train accuracies of seed 0 at STEPS}; seed 1 has .02 more. None: that of seed 0
# diverged.
CURVES = {
    ("scratch", 0.01): (0.1, 0.5, 0.7),
    ("scratch", 0.1): (0.1, 0.2, 0.2),
    ("pretrained", 0.01): (0.1, 0.1, 0.4),
    ("pretrained", 0.1): (0.1, 0.6, None),
}


def planted(rate=0.01, starts=((None, CURVES),)):
    """A run of two seeds, starts from checkpoints (step, curves), at a common rate."""
    rows, values = [], []
    for step, curves in starts:
        for (arm, learning_rate), curve in curves.items():
            for seed in range(2):
                lost = 1 if None in curve and seed == 0 else None
                columns = {"source_step": step, "learning_rate": learning_rate}
                columns |= {"diverged_epoch": lost}
                rows.append(Network(len(rows), arm, seed, **columns))
                curve = [0.7 if v is None and seed else v for v in curve]
                values.append([None if v is None else v + 0.02 * seed for v in curve])
    metrics = [
        {"step": int(step), "train_accuracy": [v[k] for v in values]}
        for k, step in enumerate(STEPS)
    ]
    config = {"optimizer": {"learning_rate": rate}, "labels": {"num_classes": 10}}
    return Run(Path("planted"), config, tuple(rows), metrics, {}, ())


def test_arms_at_the_common_rate_and_each_at_its_best():
    at = read_rates(planted(), STARTS, {"scratch": 0.01, "pretrained": 0.1})
    assert (at.common, at.best["pretrained"]) == (0.01, 0.1)
    np.testing.assert_allclose(at.at_common["pretrained"].train[0], [0.1, 0.1, 0.4])
    np.testing.assert_allclose(at.at_best["scratch"].train[1], [0.12, 0.52, 0.72])
    # The network that diverged is left out, and so is its pair with scratch.
    np.testing.assert_allclose(at.at_best["pretrained"].train, [[np.nan] * 3, [0.12, 0.62, 0.72]])
    scratch = (10 * 0.3 + 30 * 0.6) / 40
    np.testing.assert_allclose(at.gain("pretrained", COMMON), (10 * 0.1 + 30 * 0.25) / 40 - scratch)
    np.testing.assert_allclose(
        at.gain("pretrained", BEST), [np.nan, (10 * 0.35 + 30 * 0.65) / 40 - scratch]
    )
    cells = gain_cells(at, "pretrained")
    assert cells["gain at the common rate"].startswith("-0.312")
    assert cells["gain each at its best rate"] == "+0.050 [+nan, +nan] (1 left out)"


def test_the_best_rate_has_the_highest_mean_over_steps_not_the_highest_end():
    def curves(*train):
        return Curves(STEPS, np.array(train))

    late, early = curves([0.1, 0.1, 0.9]), curves([0.1, 0.7, 0.8])
    assert best_rate({0.1: late, 0.01: early}, 0.1) == 0.01
    assert best_rate({0.01: early, 0.1: late}, 0.1) == 0.01
    # Of all seeds together: one seed that is ahead does not make a rate the best.
    uneven = curves([0.1, 0.9, 0.9], [0.1, 0.1, 0.1])
    assert best_rate({0.1: uneven, 0.01: curves([0.1, 0.6, 0.6], [0.1, 0.6, 0.6])}, 0.1) == 0.01


def test_the_best_rates_of_a_run_count_diverged_networks_as_chance():
    """(.1 + .595) / 2 is less than .45 and .47; were the diverged left out, .595 would be more."""
    assert best_rates(planted()) == {("scratch", None): 0.01, ("pretrained", None): 0.1}
    curves = CURVES | {("pretrained", 0.01): (0.2, 0.4, 0.5)}
    assert best_rates(planted(starts=[(None, curves)]))["pretrained", None] == 0.01


def test_the_best_rates_of_a_run_are_of_each_checkpoint_alone():
    """A second checkpoint, whose networks learn at .01 what those of the first learn at .1."""
    other = {("pretrained", 0.01): (0.1, 0.9, 0.9), ("pretrained", 0.1): (0.1, 0.3, 0.3)}
    run = planted(starts=[(None, CURVES), (7, other)])
    assert best_rates(run) == {
        ("scratch", None): 0.01,
        ("pretrained", None): 0.1,
        ("pretrained", 7): 0.01,
    }


@pytest.mark.parametrize(
    ("common", "best", "missing"), [(0.01, 0.03, "0.03"), (0.05, 0.01, "0.05")]
)
def test_a_rate_that_was_not_trained_is_named(common, best, missing):
    with pytest.raises(ValueError, match=rf"learning rates \[0.01, 0.1\] of \w+, not {missing}"):
        read_rates(planted(common), STARTS, {"scratch": 0.01, "pretrained": best})
