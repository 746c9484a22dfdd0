"""Networks stopped at a train accuracy: where, with which map, at which rate, how far off."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from randlabels.networks import Network
from randlabels.runs import Run
from randlabels.studies.readouts.stopped_maps import StoppedMaps, fastest, read_stopped_maps

EPOCHS = np.array([0, 2, 4, 8])
ENTRIES = np.array([0.5, 1.0, 2.0])


def planted(*train):
    """Networks whose f is 100 network + 10 checkpoint + number of the entry."""
    parts = np.meshgrid(*(np.arange(n) for n in (len(train), 4, 3)), indexing="ij")
    maps = (100.0 * parts[0]) + 10 * parts[1] + parts[2]
    return StoppedMaps(0.9, ENTRIES, EPOCHS, np.array(train), maps, np.zeros(len(train)))


def test_a_network_stops_at_the_first_checkpoint_that_has_reached_the_level():
    cell = planted([0.1, 0.5, 0.9, 1.0], [0.1, 0.95, 0.8, 1.0], [0.1, 0.2, 0.3, 0.89])
    np.testing.assert_array_equal(cell.reached, [True, True, False])
    np.testing.assert_array_equal(cell.stops, [4, 2, np.nan])
    np.testing.assert_array_equal(cell.at(1.1), [21, 111, np.nan])
    np.testing.assert_array_equal(cell.kept_at(1.9)[1], [102, 112, 122, 132])
    between = 2 * 0.8 / 0.85  # from .1 at epoch 0 to .95 at epoch 2
    np.testing.assert_allclose(cell.epochs_to_level, [4, between, np.inf])
    assert cell.lost == 0


def test_a_network_without_maps_has_diverged_and_never_stops():
    cell = planted([0.1, 0.5, 0.95, 1.0], [0.1, 0.95, np.nan, np.nan])
    cell.maps[1] = np.nan
    assert cell.lost == 1
    np.testing.assert_array_equal(cell.stops, [4, np.nan])
    assert np.isinf(cell.epochs_to_level[1])


def test_distance_is_the_root_mean_square_of_relative_differences():
    maps = np.array([[[0.2, 0.3, 0.1]] * 3 + [[0.22, 0.9, 0.07]]])
    cell = StoppedMaps(0.9, ENTRIES, EPOCHS, np.array([[0.1, 0.1, 0.1, 1.0]]), maps, np.zeros(1))
    points = {0.5: 0.2, 2.0: 0.1}
    np.testing.assert_allclose(cell.distance(points), np.sqrt((0.1**2 + 0.3**2) / 2))
    np.testing.assert_allclose(cell.distances(points)[0, :3], 0, atol=1e-15)
    np.testing.assert_allclose(cell.distances(points)[:, 3], cell.distance(points))


def test_the_fastest_rate_is_the_one_at_which_all_networks_get_there_soonest():
    slow = planted([0.1, 0.2, 0.3, 0.95], [0.1, 0.2, 0.3, 0.95])
    quick = planted([0.1, 0.2, 0.95, 1.0], [0.1, 0.2, 0.95, 1.0])
    partly = planted([0.1, 0.95, 1.0, 1.0], [0.1, 0.1, 0.1, 0.1])
    assert fastest({0.01: slow, 0.02: quick, 0.04: partly}) == 0.02
    assert fastest({0.01: slow, 0.04: partly}) == 0.01
    assert fastest({0.04: partly}) is None


def planted_run():
    """Two rates, two networks each, network 3 diverged; evaluated more often than kept."""
    rates = (0.02, 0.02, 0.01, 0.01)
    networks = tuple(
        Network(network=k, arm="scratch", seed=k % 2, learning_rate=rate)
        for k, rate in enumerate(rates)
    )
    metrics = [
        {
            "step": 5 * epoch,
            "train_accuracy": [epoch / 10, epoch / 8, epoch / 16, None],
            "dead": {"dense1": [0.0] * 4, "dense2": [0.1, 0.2, 0.3, None]},
        }
        for epoch in range(9)
    ]
    config = {
        "data": {"diagonal": list(ENTRIES), "upstream_size": 50},
        "train": {"task": "upstream", "batch_size": 10},
    }
    return Run(Path("x"), config, networks, metrics, {}, (0, 10, 20, 40))


def test_maps_are_read_by_rate_and_ascending_entry():
    run = planted_run()
    records = [
        SimpleNamespace(network=network, step=step, tau=np.array([3.0, 2.0, 1.0]) + network + step)
        for step in run.steps
        for network in (0, 1, 2)
    ]
    records += [SimpleNamespace(network=None, step=step, tau=np.zeros(3)) for step in run.steps]
    alignment = SimpleNamespace(of_layer=lambda layer: records if layer == "dense1" else [])
    found = read_stopped_maps(run, alignment, "dense1", "dense2", 0.5)
    assert list(found) == [0.01, 0.02]
    cell = found[0.02]
    np.testing.assert_array_equal(cell.epochs, EPOCHS)
    np.testing.assert_allclose(cell.train, np.outer([0.1, 0.125], EPOCHS))
    np.testing.assert_array_equal(cell.stops, [8, 4])
    np.testing.assert_array_equal(cell.stopped, [[41, 42, 43], [22, 23, 24]])
    np.testing.assert_array_equal(cell.dead, [0.1, 0.2])
    slower = found[0.01]
    assert slower.lost == 1
    np.testing.assert_array_equal(slower.stops, [8, np.nan])
    assert slower.at(0.5)[0] == pytest.approx(43)
