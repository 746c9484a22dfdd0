"""What choose_layout picks, and how arrays are laid out and fetched back."""

import jax
import numpy as np
import pytest

from randlabels.errors import InputError
from randlabels.training.devices import Splits, choose_layout


class Device:
    """All that a layout asks of a device when it is chosen."""

    def __init__(self, platform, process_index=0):
        self.platform, self.process_index = platform, process_index


GPUS = (Device("gpu"),) * 8


@pytest.mark.parametrize(
    ("platform", "mode", "networks", "batch", "grid"),
    [
        ("cpu", "auto", 16, 30, (8, 1)),
        ("gpu", "auto", 16, 30, (8, 1)),
        ("gpu", "auto", 4, 32, (4, 2)),
        ("gpu", "auto", 3, 32, (3, 2)),
        ("gpu", "auto", 9, 32, (3, 2)),  # three and a half batches each, instead of two whole ones
        ("gpu", "auto", 6, 32, (6, 1)),
        ("tpu", "auto", 1, 32, (1, 8)),
        ("tpu", "auto", 1, 30, (1, 6)),
        ("gpu", "auto", 1, 31, (1, 1)),
        ("cpu", "auto", 3, 32, (3, 1)),
        ("cpu", "auto", 1, 32, (1, 1)),  # a batch of one network has all cores anyway
        ("cpu", "auto", 15, 32, (8, 1)),  # the last device holds one network
        ("cpu", "auto", 12, 32, (6, 1)),  # a seventh device would save nothing
        ("gpu", "networks", 12, 32, (6, 1)),
        ("cpu", "networks", 8, 30, (8, 1)),
        ("cpu", "batch", 3, 16, (1, 8)),
        ("gpu", "both", 5, 16, (3, 2)),
        ("cpu", "both", 2, 48, (2, 2)),
    ],
)
def test_choice(platform, mode, networks, batch, grid):
    layout = choose_layout(mode, networks, batch, (Device(platform),) * 8)
    assert (layout.rows, layout.parts) == grid
    assert len(layout.devices) == layout.rows * layout.parts
    assert (layout.axis_name is None) == (layout.parts == 1)
    assert (layout.groups is None) == (1 in grid)
    assert layout.rows * layout.per_device >= networks > (layout.rows - 1) * layout.per_device


@pytest.mark.parametrize(
    ("networks", "batch", "devices", "grid"),
    [
        (1, 64, 2, (1, 2)),
        (1, 64, 8, (1, 2)),  # 16 examples a part were not measured
        (1, 128, 8, (1, 4)),
        (1, 32, 2, (1, 1)),
        (6, 64, 2, (2, 1)),
        (3, 64, 2, (1, 2)),
        (3, 64, 8, (3, 2)),
    ],
)
def test_on_a_cpu_batches_are_split_where_the_model_gains(networks, batch, devices, grid):
    cpus = (Device("cpu"),) * devices
    layout = choose_layout("auto", networks, batch, cpus, Splits(fixed_on_cpu=0.15))
    assert (layout.rows, layout.parts) == grid
    assert choose_layout("auto", networks, batch, cpus).parts == 1


def test_batches_are_not_split_of_a_model_that_does_not_allow_it():
    never, alone = Splits(False, False), Splits(True, False)
    assert choose_layout("auto", 3, 32, GPUS, never).parts == 1
    assert choose_layout("auto", 1, 32, GPUS, alone).parts == 8
    assert choose_layout("auto", 4, 32, GPUS, alone).parts == 1
    for mode, splits in (("batch", never), ("both", never), ("both", alone)):
        with pytest.raises(
            InputError, match="depend on the number of devices: it draws .*set it to 'networks'"
        ):
            choose_layout(mode, 3, 32, GPUS, splits)


def test_what_cannot_be_done_is_refused():
    devices = tuple(jax.local_devices())
    with pytest.raises(InputError, match="batch_size 30 does not divide over 8 devices"):
        choose_layout("batch", 8, 30, devices)
    for networks, batch, count in ((1, 32, 8), (4, 32, 3), (4, 31, 8)):
        with pytest.raises(InputError, match=f"cannot be spread and split over {count} devices"):
            choose_layout("both", networks, batch, devices[:count])


@pytest.mark.parametrize(
    ("mode", "networks", "grid", "filled"),
    [
        ("networks", 8, (4, 1), (4, 2)),
        ("networks", 7, (4, 1), (4, 2)),
        ("batch", 3, (1, 4), (4, 3)),
        ("both", 5, (2, 2), (4, 3)),
    ],
)
def test_gather_inverts_spread(mode, networks, grid, filled):
    layout = choose_layout(mode, networks, 16, tuple(jax.local_devices()[:4]))
    assert (layout.rows, layout.parts) == grid
    tree = {"a": np.arange(networks * 3).reshape(networks, 3), "b": np.arange(1.0 * networks)}
    spread = layout.spread(tree)
    assert spread["a"].shape == (*filled, 3)
    assert len(spread["a"].sharding.device_set) == 4
    jax.tree.map(np.testing.assert_array_equal, layout.gather(spread), tree)


@pytest.mark.parametrize(("mode", "networks"), [("networks", 7), ("batch", 3), ("both", 5)])
def test_each_device_has_its_part_of_each_batch_of_its_networks(mode, networks):
    layout = choose_layout(mode, networks, 8, tuple(jax.local_devices()[:4]))
    numbers = layout.spread(np.arange(networks))
    shared = np.arange(5 * 8).reshape(5, 8)
    own = np.arange(networks * 5 * 8).reshape(networks, 5, 8)
    of_all = np.asarray(layout.split_batches(shared, shared=True))
    of_each = np.asarray(layout.split_batches(own, shared=False))
    size = 8 // layout.parts
    for device, held in enumerate(np.asarray(numbers)):
        part = device % layout.parts
        columns = slice(part * size, (part + 1) * size)
        np.testing.assert_array_equal(of_all[device], shared[:, columns])
        np.testing.assert_array_equal(of_each[device], own[held, :, columns])


def test_groups_hold_the_same_networks():
    layout = choose_layout("both", 6, 8, tuple(jax.local_devices()))
    numbers = np.asarray(layout.spread(np.arange(6)))
    assert layout.groups == ((0, 1), (2, 3), (4, 5))
    for group in layout.groups:
        assert (numbers[list(group)] == numbers[group[0]]).all()
    weights = layout.spread(np.arange(6.0))
    scale = np.arange(6.0)  # of each device
    mean = layout.pmap(lambda w, s: layout.mean(w * s))(weights, scale)
    np.testing.assert_allclose(layout.gather(mean), np.arange(6) * [0.5, 0.5, 2.5, 2.5, 4.5, 4.5])
    total = layout.pmap(lambda w, s: layout.sum(w * s))(weights, scale)
    np.testing.assert_allclose(layout.gather(total), np.arange(6) * [1, 1, 5, 5, 9, 9])


def test_means_keep_their_types():
    """A model of the user's own may count steps among its batch statistics."""
    layout = choose_layout("batch", 2, 8, tuple(jax.local_devices()[:4]))
    tree = {"steps": np.array([3, 5], np.int32), "mean": np.array([0.5, 2], np.float32)}
    found = layout.gather(layout.pmap(layout.mean)(layout.spread(tree)))
    for name, values in tree.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


def test_networks_spread_alone_communicate_nothing():
    """And grids of several columns do, which shows that it would be seen."""

    def text(mode):
        layout = choose_layout(mode, 4, 8, tuple(jax.local_devices()[:4]))
        program = layout.pmap(lambda x: layout.mean(2 * x))
        return program.lower(layout.spread(np.arange(4.0))).compile().as_text()

    assert "all-reduce" not in text("networks")
    for mode in ("batch", "both"):
        assert "all-reduce" in text(mode)


@pytest.mark.parametrize("num_devices", [1, 2])
def test_a_fetched_state_survives_the_donation_of_its_buffers(num_devices):
    """Checkpoints are written from fetched arrays while training goes on."""
    layout = choose_layout("networks", 2, 8, tuple(jax.local_devices()[:num_devices]))
    host = {"w": np.ones((2, 1000), np.float32)}
    device = layout.spread(host)
    step = layout.pmap(lambda tree: jax.tree.map(lambda x: 3 * x, tree), donate_argnums=(0,))
    fetched = layout.gather(device)
    for _ in range(3):
        device = step(device)
    np.testing.assert_array_equal(layout.gather(device)["w"], 27)
    np.testing.assert_array_equal(fetched["w"], 1)
    np.testing.assert_array_equal(host["w"], 1)
