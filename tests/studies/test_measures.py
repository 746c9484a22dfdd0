import dataclasses
from pathlib import Path

import numpy as np
import pytest

from randlabels.analysis.records import Alignment
from randlabels.networks import Network
from randlabels.runs import Run
from randlabels.studies import measures

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


def test_curves_come_by_seed():
    steps, values = measures.curve(RUN, "scratch")
    np.testing.assert_array_equal(steps, STEPS)
    np.testing.assert_array_equal(values[:, -1], [0.5, 0.6])


def test_diverged_values_become_nan():
    run = make_run([("scratch", 0, [0.1, None, None, None])])
    assert np.isnan(measures.curve(run, "scratch")[1][0, 1:]).all()


def test_steps_to_interpolates_and_marks_what_is_never_reached():
    steps = np.array(STEPS)
    values = np.array([[0.1, 0.2, 0.4, 0.6], [0.5, 0.6, 0.7, 0.8], [0.1, 0.2, 0.3, 0.35]])
    np.testing.assert_allclose(measures.steps_to(steps, values, 0.5), [25.0, 0.0, np.inf])


def test_steps_to_takes_the_first_crossing():
    values = np.array([[0.0, 0.6, 0.4, 0.8]])
    np.testing.assert_allclose(measures.steps_to(np.array(STEPS), values, 0.5), [10 * 0.5 / 0.6])


def test_speed_up_by_seed():
    # to 0.5: scratch 30 (seed 1), 25 (seed 2); pretrained 10 and 16.67
    np.testing.assert_allclose(measures.speed_up(RUN, "pretrained", 0.5), [3.0, 1.5])


def test_censored_speed_up_understates():
    # to 0.65: scratch never, so the end of training (30) stands in
    ours = [17.5, 22.5]
    np.testing.assert_allclose(measures.speed_up(RUN, "pretrained", 0.65), 30 / np.array(ours))
    assert np.isnan(measures.speed_up(RUN, "pretrained", 0.95)).all()


def test_area_between_is_the_mean_difference_over_steps():
    # seed 1: differences 0, .4, .4, .4; seed 2: 0, .1, .2, .2
    expected = [(0.2 + 0.4 + 0.4) / 3, (0.05 + 0.15 + 0.2) / 3]
    np.testing.assert_allclose(measures.area_between(RUN, "pretrained"), expected)


def test_share_kept():
    gains = {arm: measures.area_between(RUN, arm) for arm in ("covariance", "pretrained")}
    share, low, high = measures.share_kept(RUN)
    assert share == pytest.approx(gains["covariance"].sum() / gains["pretrained"].sum())
    by_seed = gains["covariance"] / gains["pretrained"]
    assert by_seed.min() - 1e-12 <= low <= share <= high <= by_seed.max() + 1e-12


@pytest.fixture
def analysed(alignment_record):
    """A function: (network, M(data), M(random bases), ...) of each record -> their Alignment."""

    def make(*rows):
        records = [
            alignment_record(
                network=network,
                misalignment_data=data,
                misalignment_random=None if random is None else np.array(random),
                floor=None if data is None else np.ones(3),
                **place,
            )
            for network, data, random, place in rows
        ]
        return Alignment((0, 1), (), (), {}, tuple(records))

    return make


def test_misalignment_margin_is_to_the_nearest_random_basis_of_each_network(analysed):
    alignment = analysed(
        (None, 1.0, [9.0], {}),
        (0, 2.0, [5.0, 4.0], {}),
        (1, 3.0, [2.5, 7.0], {}),
        (0, 0.0, [100.0], {"step": 0}),
        (0, 0.0, [100.0], {"layer": "dense1"}),
    )
    np.testing.assert_allclose(measures.misalignment_margin(alignment, "conv1", 5), [2.0, -0.5])


def test_table_says_what_was_not_reached():
    row = measures.table(RUN, ["scratch"], 0.55)[0]
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
    chosen = {"arm": "aligned", "layers": ("first:2",)}
    assert measures.networks_of(run, chosen) == [3, 2]
    with pytest.raises(ValueError, match="has 4 networks of seeds"):
        measures.networks_of(run, "aligned")  # two of each seed
    with pytest.raises(ValueError, match="has 0 networks"):
        measures.networks_of(run, {"arm": "aligned", "layers": ("first:3",)})


def test_margins_of_networks_with_too_few_filters_are_missing(analysed):
    alignment = analysed((0, 1.0, [4.0, 3.0], {}), (1, None, None, {}))
    found = measures.misalignment_margin(alignment, "conv1", 5)
    np.testing.assert_array_equal(found, [2.0, np.nan])
