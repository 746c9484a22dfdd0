"""Curves of one start, and how far ahead of others they are, on planted runs."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from randlabels.networks import Network
from randlabels.runs import Run
from randlabels.studies.readouts.cells import arm_rows, interval, mean_std, signed_interval
from randlabels.studies.readouts.curves import (
    Curves,
    arm_curves,
    networks_of,
    read_curves,
    share_kept,
    train_lines,
)

STEPS = [0, 10, 20, 30]


def make_run(curves, metric="train_accuracy"):
    """A run whose networks have the given (arm, seed, accuracy at STEPS)."""
    networks = [Network(network=i, arm=arm, seed=seed) for i, (arm, seed, _) in enumerate(curves)]
    metrics = [
        {"step": step, "epoch": k, metric: [values[k] for _, _, values in curves]}
        for k, step in enumerate(STEPS)
    ]
    return Run(Path("x"), {}, tuple(networks), metrics, {}, ())


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


@pytest.mark.parametrize(
    ("column", "left_out"),
    [("diverged_epoch", True), ("dead_epoch", True), ("untrained_epoch", False)],
)
def test_networks_that_diverged_or_died_have_no_values(column, left_out):
    """Not even those of before: their mean over training would be of a part of it."""
    run = make_run([("scratch", 0, [0.1, 0.2, 0.3, 0.4]), ("scratch", 1, [0.1, 0.1, 0.2, None])])
    lost = dataclasses.replace(run.networks[0], **{column: 2})
    curves = read_curves(dataclasses.replace(run, networks=(lost, run.networks[1])), "scratch")
    assert np.isnan(curves.train[0]).all() == left_out
    assert np.isnan(curves.train).sum() == 1 + 4 * left_out
    assert np.isnan(curves.steps_to(0.15)).tolist() == [left_out, False]
    ahead = Curves(curves.steps, np.array([[0.1, 0.3, 0.5, 0.7]] * 2))
    assert np.isnan(ahead.gain_over(curves)).tolist() == [left_out, True]
    for found in (ahead.speed_up(curves, 0.15), curves.speed_up(ahead, 0.15)):
        assert np.isnan(found).any(axis=1).tolist() == [left_out, False]
    (_, shown), *_ = train_lines({"scratch": curves}).values()
    assert len(shown) == 2 - left_out


def test_tables_say_how_many_networks_have_no_value():
    values = np.array([0.5, 0.7, np.nan])
    assert mean_std(values, 2) == "0.60 ± 0.14 (1 left out)"
    assert mean_std(np.array([np.inf, 4.0, np.nan]), 0) == "not reached by 1 of 2 (1 left out)"
    assert mean_std(values[2:], 2) == "none"
    assert signed_interval(values) == "+0.600 [-0.671, +1.871] (1 left out)"
    np.testing.assert_allclose(interval(values), (-0.671, 1.871), atol=1e-3)


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
    assert share_kept(np.append(part, np.nan), np.append(whole, 1.0)) == (share, low, high)
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
