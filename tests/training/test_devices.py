"""What choose_layout picks, and how arrays are laid out and fetched back."""

import jax
import numpy as np
import pytest

from randlabels.errors import InputError
from randlabels.training.devices import choose_layout


class Device:
    """All that a layout asks of a device when it is chosen."""

    def __init__(self, platform):
        self.platform = platform


GPUS = (Device("gpu"),) * 8


@pytest.mark.parametrize(
    ("platform", "mode", "networks", "batch", "expected"),
    [
        ("cpu", "auto", 16, 30, ("networks", 8)),
        ("gpu", "auto", 16, 30, ("networks", 8)),
        ("gpu", "auto", 3, 32, ("batch", 8)),
        ("tpu", "auto", 1, 32, ("batch", 8)),
        ("cpu", "auto", 3, 32, ("networks", 3)),  # a batch of one network has all cores anyway
        ("cpu", "auto", 1, 32, ("networks", 1)),
        ("gpu", "auto", 6, 30, ("networks", 6)),
        ("gpu", "auto", 9, 30, ("networks", 3)),
        ("gpu", "auto", 1, 30, ("networks", 1)),
        ("cpu", "networks", 8, 30, ("networks", 8)),
        ("cpu", "batch", 3, 16, ("batch", 8)),
    ],
)
def test_choice(platform, mode, networks, batch, expected):
    layout = choose_layout(mode, networks, batch, (Device(platform),) * 8)
    assert (layout.mode, len(layout.devices)) == expected
    assert (layout.axis_name is None) == (layout.mode == "networks")


def test_batches_are_not_split_of_a_model_that_does_not_allow_it():
    assert choose_layout("auto", 3, 32, GPUS).mode == "batch"
    layout = choose_layout("auto", 3, 32, GPUS, splits=False)
    assert (layout.mode, len(layout.devices)) == ("networks", 3)
    with pytest.raises(
        InputError, match="depend on the number of devices: it draws .*set it to 'networks'"
    ):
        choose_layout("batch", 3, 32, GPUS, splits=False)


def test_what_does_not_divide_is_refused():
    devices = tuple(jax.local_devices())
    with pytest.raises(InputError, match="12 networks do not divide over 8 devices; change"):
        choose_layout("networks", 12, 32, devices)
    with pytest.raises(InputError, match="batch_size 30 does not divide over 8 devices"):
        choose_layout("batch", 8, 30, devices)


@pytest.mark.parametrize("mode", ["networks", "batch"])
def test_gather_inverts_spread(mode):
    layout = choose_layout(mode, 8, 16, tuple(jax.local_devices()[:4]))
    tree = {"a": np.arange(24).reshape(8, 3), "b": np.arange(8.0)}
    spread = layout.spread(tree)
    assert spread["a"].shape == ((4, 2, 3) if mode == "networks" else (4, 8, 3))
    assert len(spread["a"].sharding.device_set) == 4
    jax.tree.map(np.testing.assert_array_equal, layout.gather(spread), tree)


def test_batches_are_split_over_devices():
    """Each device holds a part of every batch, of the same network and step."""
    layout = choose_layout("batch", 3, 8, tuple(jax.local_devices()[:4]))
    shared = np.arange(5 * 8).reshape(5, 8)
    parts = np.asarray(layout.split_batches(shared, shared=True))
    assert parts.shape == (4, 5, 2)
    np.testing.assert_array_equal(np.concatenate(list(parts), axis=-1), shared)
    own = np.arange(3 * 5 * 8).reshape(3, 5, 8)
    parts = np.asarray(layout.split_batches(own, shared=False))
    assert parts.shape == (4, 3, 5, 2)
    np.testing.assert_array_equal(np.concatenate(list(parts), axis=-1), own)


def test_batches_follow_their_networks():
    layout = choose_layout("networks", 8, 8, tuple(jax.local_devices()[:4]))
    own = np.arange(8 * 5 * 3).reshape(8, 5, 3)
    parts = np.asarray(layout.split_batches(own, shared=False))
    np.testing.assert_array_equal(parts, own.reshape(4, 2, 5, 3))
    shared = np.arange(15).reshape(5, 3)
    parts = np.asarray(layout.split_batches(shared, shared=True))
    np.testing.assert_array_equal(parts, np.broadcast_to(shared, (4, 5, 3)))


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
