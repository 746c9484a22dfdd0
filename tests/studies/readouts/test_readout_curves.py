"""Curves of one start, and how far ahead of others they are, on planted runs."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from randlabels.networks import Network
from randlabels.runs import Run
from randlabels.studies.readouts.cells import arm_rows
from randlabels.studies.readouts.curves import (
    Curves,
    arm_curves,
    networks_of,
    read_curves,
    share_kept,
)

STEPS = [0, 10, 20, 30]


def make_run(curves, metric="train_accuracy"):
    """A run whose networks have the given (arm, seed, accuracy at STEPS)."""
    networks = [Network(network=i, arm=arm, seed=seed) for i, (arm, seed, _) in enumerate(curves)]
    metrics = [
        {"step": step, "epoch": k, metric: [values[k] for _, _, values in curves]}
        for k, step in enumerate(STEPS)
    ]
    return Run(Path("x"), {"labels": {"num_classes": 10}}, tuple(networks), metrics, {}, ())


# Seeds are out of order on purpose: arms are compared seed by seed.
RUN = make_run(
    [
        ("scratch", 2, [0.1, 0.2, 0.4, 0.6]),
        ("scratch", 1, [0.1, 0.1, 0.3, 0.5]),
        ("pretrained", 1, [0.1, 0.5, 0.7, 0.9]),
        ("pretrained", 2, [0.1, 0.3, 0.6, 0.8]),
        ("covariance", 1, [0.1, 0.3, 0.5, 0.7]),
        ("covariance", 2, [0.1, 0.25, 0.5, 0.7]),
    ]
)
ARMS = arm_curves(RUN, ("scratch", "pretrained", "covariance"))


def test_curves_come_by_seed():
    curves = read_curves(RUN, "scratch")
    np.testing.assert_array_equal(curves.steps, STEPS)
    np.testing.assert_array_equal(curves.train[:, -1], [0.5, 0.6])
    assert curves.test is None  # random labels have none


def test_a_network_that_diverged_is_at_chance_from_then_on():
    run = make_run([("scratch", 0, [0.2, 0.4, None, None])])
    np.testing.assert_array_equal(read_curves(run, "scratch").train, [[0.2, 0.4, 0.1, 0.1]])


def test_steps_to_interpolates_and_marks_what_is_never_reached():
    values = np.array([[0.1, 0.2, 0.4, 0.6], [0.5, 0.6, 0.7, 0.8], [0.1, 0.2, 0.3, 0.35]])
    np.testing.assert_allclose(Curves(np.array(STEPS), values).steps_to(0.5), [25.0, 0.0, np.inf])


def test_steps_to_takes_the_first_crossing():
    curves = Curves(np.array(STEPS), np.array([[0.0, 0.6, 0.4, 0.8]]))
    np.testing.assert_allclose(curves.steps_to(0.5), [10 * 0.5 / 0.6])


def test_speed_up_by_seed():
    # to 0.5: scratch 30 (seed 1), 25 (seed 2); pretrained 10 and 16.67
    found = ARMS["pretrained"].speed_up(ARMS["scratch"], 0.5)
    np.testing.assert_allclose(found, [[3.0, 3.0], [1.5, 1.5]])


def test_a_speed_up_to_what_one_never_reaches_has_one_bound():
    # to 0.65: scratch never, so its time is the end of training (30) or later
    ours, theirs = ARMS["pretrained"], ARMS["scratch"]
    ratios = 30 / np.array([17.5, 22.5])
    np.testing.assert_allclose(ours.speed_up(theirs, 0.65), [[r, np.inf] for r in ratios])
    np.testing.assert_allclose(theirs.speed_up(ours, 0.65), [[0, 1 / r] for r in ratios])
    np.testing.assert_allclose(ours.speed_up(theirs, 0.95), [[0, np.inf], [0, np.inf]])


def test_a_network_that_diverged_does_not_get_there_any_more():
    lost = Curves(np.array(STEPS), np.array([[0.1, 0.3, np.nan, np.nan]]))
    behind = Curves(np.array(STEPS), np.array([[0.1, 0.2, 0.6, 0.9]]))  # at .5 after 17.5 steps
    np.testing.assert_allclose(lost.speed_up(behind, 0.5), [[0, 17.5 / 30]])
    np.testing.assert_allclose(behind.speed_up(lost, 0.5), [[30 / 17.5, np.inf]])


def test_speed_up_of_what_is_there_at_the_start_is_undefined():
    ahead = Curves(np.array(STEPS), np.array([[0.6, 0.7, 0.8, 0.9]]))
    behind = Curves(np.array(STEPS), np.array([[0.1, 0.2, 0.6, 0.9]]))
    assert np.isnan(ahead.speed_up(behind, 0.5)).all()
    assert np.isnan(behind.speed_up(ahead, 0.5)).all()


def test_gain_is_the_mean_difference_over_steps():
    # seed 1: differences 0, .4, .4, .4; seed 2: 0, .1, .2, .2
    expected = [(0.2 + 0.4 + 0.4) / 3, (0.05 + 0.15 + 0.2) / 3]
    np.testing.assert_allclose(ARMS["pretrained"].gain_over(ARMS["scratch"]), expected)


def test_share_kept():
    whole = np.array([0.2, 0.25, 0.22, 0.24])
    part = np.array([0.1, 0.13, 0.1, 0.13])
    share, low, high = share_kept(part, whole)
    assert share == pytest.approx(part.sum() / whole.sum())
    assert 0.4 < low < share < high < 0.6
    # Of two seeds whose gains differ by a factor of three, the whole may be nothing.
    assert share_kept(part[:2], np.array([0.1, 0.3]))[1:] == (-np.inf, np.inf)


def test_rows_say_what_was_not_reached():
    (row,) = arm_rows({"scratch": ARMS["scratch"]}, 0.55)
    assert row["steps to the level"] == "not reached by 1 of 2"
    assert row["train accuracy at the end"] == "0.550 ± 0.071"
    assert row["test accuracy at the end"] == ""  # random labels have none


def test_networks_are_chosen_by_columns_of_the_table():
    curves = [("aligned", seed, [0.1, 0.2, 0.3, 0.4]) for seed in (1, 0, 1, 0)]
    run = make_run([*curves, ("scratch", 0, [0] * 4)])
    of_row = (("first:1",), ("first:1",), ("first:2",), ("first:2",), None)
    rows = [
        dataclasses.replace(row, layers=layers)
        for row, layers in zip(run.networks, of_row, strict=True)
    ]
    run = dataclasses.replace(run, networks=tuple(rows))
    assert networks_of(run, {"arm": "aligned", "layers": ("first:2",)}) == [3, 2]
    with pytest.raises(ValueError, match="has 4 networks of seeds"):
        networks_of(run, "aligned")  # two of each seed
    with pytest.raises(ValueError, match="has 0 networks"):
        networks_of(run, {"arm": "aligned", "layers": ("first:3",)})
