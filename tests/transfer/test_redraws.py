"""Arms that redraw deeper layers of an earlier run, on planted networks: nothing is trained.

The new networks are the old ones up to the order of the channels of conv1, so that the map from
old channels to new ones is known exactly.
"""

import jax
import numpy as np
import pytest

from randlabels.analysis.layers import LayerInputs, _compile_inputs
from randlabels.errors import InputError
from randlabels.models import build
from randlabels.networks import Network
from randlabels.runs import Run
from randlabels.training.check import check
from randlabels.training.population import network_table
from randlabels.transfer.earlier_run import Checkpoint, EarlierRun
from randlabels.transfer.start import start_networks

ARMS = ("procrustes_covariance", "by_rank", "shuffled")
MODEL = {
    "model.name": "conv_net",
    "model.filters": 48,
    "model.channels": (4, 30),
    "model.widths": (5,),
}
D = 9 * 4  # weights of a filter of conv2
ORDERS = np.array([[2, 0, 3, 1], [1, 3, 0, 2]])  # old channel j is new channel ORDERS[old][j]


def plant(shape, rng):
    """Kernels with a strong covariance between their inputs, or biases."""
    if len(shape) == 1:
        return np.float32(0.1 * rng.normal(size=shape))
    dim = int(np.prod(shape[:-1]))
    root = np.random.default_rng(dim).normal(size=(dim, dim)) * np.geomspace(1, 0.05, dim)
    return np.float32(root @ rng.normal(size=(dim, shape[-1])) / dim**0.5).reshape(shape)


class Planted:
    """An earlier run of two networks, and one to start whose conv1 has the same filters."""

    def __init__(self, config, tmp_path, monkeypatch):
        rng = np.random.default_rng(0)
        self.images = rng.normal(size=(70, 8, 8, 3)).astype(np.float32)
        self.config = config
        model = build(config)
        self.inputs = LayerInputs(model, self.images)
        shapes = jax.eval_shape(model.init, jax.random.key(0), self.images[:1])["params"]
        old = [jax.tree.map(lambda s: plant(s.shape, rng), shapes) for _ in ORDERS]
        new = jax.tree.map(lambda s: plant(s.shape, rng), shapes)
        for network, order in zip(old, ORDERS, strict=True):
            for name in ("kernel", "bias"):
                network["conv1"][name] = new["conv1"][name][..., order]
        self.old, self.new = old, new
        self.stacked = jax.tree.map(lambda *x: np.stack(x), *old)
        table = [Network(k, "scratch", k) for k in range(2)]
        self.earlier = EarlierRun(Run(tmp_path, {}, table, [], {}, ()))
        monkeypatch.setattr(EarlierRun, "inputs", self.inputs)
        monkeypatch.setattr(
            EarlierRun, "checkpoint", lambda run, step: Checkpoint(run, {"params": self.stacked})
        )

    def start(self, arm, count=2, network=False, **columns):
        """Parameters of networks of seeds 0, 1, ..., leaves [network, ...]."""
        config = self.config.copy_and_resolve_references().unlock()
        config.init.covariance = "network" if network else "pooled"
        source = {"source": 1, "source_step": -1, "layers": ("conv2",), "match": "weight_norm"}
        rows = [Network(k, arm, k, **(source | columns)) for k in range(count)]
        fresh = jax.tree.map(lambda x: np.repeat(x[None], count, axis=0), self.new)
        return start_networks(config, rows, {"params": fresh}, self.earlier, self.inputs)

    def filters(self, kernels):
        """[d, network x m] of kernels [network, ...], float64."""
        return np.concatenate([k.reshape(-1, k.shape[-1]) for k in kernels], 1).astype(np.float64)


@pytest.fixture
def planted(tiny_config, tmp_path, monkeypatch):
    changes = MODEL | {"init.arms": ("scratch", *ARMS), "init.run": "x", "init.layers": ("conv2",)}
    return Planted(check(tiny_config(changes)), tmp_path, monkeypatch)


def covariance(filters):
    """E[w w^T] with trace 1."""
    found = filters @ filters.T
    return found / np.trace(found)


def distance(a, b):
    """Of two covariances, relative to the second."""
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def test_the_order_of_channels_is_recovered(planted):
    checkpoint = planted.earlier.checkpoint(-1)
    new = {"params": planted.new}
    found = checkpoint.rotations("conv2", (1, 0), planted.inputs, new)
    for rotation, order in zip(found, ORDERS[[1, 0]], strict=True):
        np.testing.assert_allclose(rotation, np.eye(4)[:, order], atol=1e-5)


@pytest.mark.parametrize("network", [False, True])
def test_drawn_filters_have_the_rotated_covariance(planted, network):
    """1,800 filters: up to the norm of each network, E[w w^T] is the reordered old one's."""
    kernels = planted.start("procrustes_covariance", 60, network)["conv2"]["kernel"]
    found = covariance(planted.filters(kernels))
    old = [network["conv2"]["kernel"] for network in planted.old]
    moved = []
    for kernel, order in zip(old, ORDERS, strict=True):
        moved.append(np.empty_like(kernel))
        for j, channel in enumerate(order):
            moved[-1][:, :, channel] = kernel[:, :, j]
    chosen = slice(1, 2) if network else slice(None)
    expected = covariance(planted.filters(moved[chosen]))
    unmoved = covariance(planted.filters(old[chosen]))
    assert distance(found, expected) < 0.1
    assert distance(found, unmoved) > 0.3
    if network:  # its 30 filters: the new ones lie in their span, to rounding
        values = np.linalg.eigvalsh(found)
        assert values[:6].max() < 1e-6 * values[6]


def test_the_first_layer_is_not_rotated(planted):
    kernels = planted.start("procrustes_covariance", 300, layers=("conv1",))["conv1"]["kernel"]
    old = planted.filters([network["conv1"]["kernel"] for network in planted.old])
    assert distance(covariance(planted.filters(kernels)), covariance(old)) < 0.1


def test_shuffled_filters_are_the_same_weights_without_their_covariance(planted):
    kernels = planted.start("shuffled", 60)["conv2"]["kernel"]
    old = planted.old[1]["conv2"]["kernel"]  # of the network that the row names
    for kernel in kernels[:3]:
        factor = np.linalg.norm(kernel) / np.linalg.norm(old)
        np.testing.assert_allclose(np.sort(kernel, None), factor * np.sort(old, None), rtol=1e-5)
        assert np.mean(np.isclose(kernel, factor * old)) < 0.1
    assert not np.isclose(kernels[0], kernels[1]).all()
    # Permuted, every two weights covary alike: E[w_i w_j] is the same for all i != j.
    total, squares = old.sum(dtype=np.float64) ** 2, np.sum(np.square(old), dtype=np.float64)
    between = (total - squares) / (squares * (old.size - 1))
    expected = (np.eye(D) + between * (1 - np.eye(D))) / D
    # 36 dimensions of 1,800 filters: sqrt(36 / 1800) = .14.
    assert distance(covariance(planted.filters(kernels)), expected) < 0.2
    assert distance(covariance(planted.filters([old])), expected) > 1


def test_by_rank_takes_over_no_direction(planted):
    """Its filters have the old tau along eigenvectors of the new inputs, the largest first."""
    kernels = planted.start("by_rank", 60)["conv2"]["kernel"]
    inputs = planted.inputs
    now = inputs.moments({"params": planted.new}, "conv2").covariance
    squares = []
    for network in planted.old:
        own = inputs.moments({"params": network}, "conv2").covariance
        vectors = np.linalg.eigh(own)[1][:, ::-1]
        filters = planted.filters([network["conv2"]["kernel"]])
        squares.append(np.mean((vectors.T @ filters) ** 2, axis=1))
    vectors = np.linalg.eigh(now)[1][:, ::-1]
    expected = (vectors * np.mean(squares, axis=0)) @ vectors.T
    found = covariance(planted.filters(kernels))
    assert distance(found, expected / np.trace(expected)) < 0.2
    unordered = (vectors[:, ::-1] * np.mean(squares, axis=0)) @ vectors[:, ::-1].T
    assert distance(found, unordered / np.trace(unordered)) > 0.3


@pytest.mark.parametrize("match", ["weight_norm", "output_variance"])
@pytest.mark.parametrize("arm", ARMS)
def test_the_scale_is_that_of_the_fresh_layer(planted, arm, match):
    """Of weights, or of outputs over inputs and filters; here by explicit patches."""
    started = planted.start(arm, 1, match=match)["conv2"]
    kernel, fresh = started["kernel"][0], planted.new["conv2"]["kernel"]
    assert not started["bias"].any()
    batches = list(planted.inputs.received({"params": planted.new}, "conv2"))
    x = np.pad(np.concatenate(batches), ((0, 0), (1, 1), (1, 1), (0, 0))).astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, D)
    norms = [np.linalg.norm(k) for k in (kernel, fresh)]
    powers = [np.mean((patches @ k.reshape(D, -1)) ** 2) for k in (kernel, fresh)]
    same, other = (norms, powers) if match == "weight_norm" else (powers, norms)
    assert same[0] == pytest.approx(same[1], rel=1e-4)
    assert other[0] != pytest.approx(other[1], rel=1e-2)


@pytest.mark.parametrize("arm", ARMS)
def test_filters_depend_on_the_seed_alone(planted, arm):
    first, again = (planted.start(arm, count)["conv2"]["kernel"] for count in (1, 3))
    np.testing.assert_array_equal(first[0], again[0])
    assert not np.isclose(again[0], again[1]).all()


def test_networks_share_one_compiled_program(planted):
    _compile_inputs.cache_clear()
    planted.start("procrustes_covariance", 5)
    assert _compile_inputs.cache_info().misses == 1
    assert _compile_inputs(planted.inputs.model, "conv2")._cache_size() == 2  # 64 images, and 6


def test_dense_layers_behind_a_map_are_aligned_by_its_channels(planted):
    """dense1 receives 2 x 2 pixels of 30 channels; with conv2 reordered so is its input."""
    order = np.random.default_rng(1).permutation(30)
    planted.new["conv2"] = {
        "kernel": np.empty_like(planted.old[0]["conv2"]["kernel"]),
        "bias": np.empty_like(planted.old[0]["conv2"]["bias"]),
    }
    for j, channel in enumerate(ORDERS[0]):
        old = planted.old[0]["conv2"]["kernel"][:, :, j]
        planted.new["conv2"]["kernel"][:, :, channel, order] = old
    planted.new["conv2"]["bias"][order] = planted.old[0]["conv2"]["bias"]
    checkpoint = planted.earlier.checkpoint(-1)
    found = checkpoint.rotations("dense1", (0,), planted.inputs, {"params": planted.new})
    np.testing.assert_allclose(found[0], np.eye(30)[:, order], atol=1e-4)


def test_covariance_does_not_pretend_to_draw_a_deeper_layer(planted):
    message = "Arm covariance draws only the first layer, not conv2, .* procrustes_covariance or by"
    with pytest.raises(InputError, match=message):
        planted.start("covariance", 1, match=None)


def test_a_dead_layer_is_one_sentence(planted):
    planted.new["conv1"]["kernel"][...] = 0
    with pytest.raises(InputError, match="cannot set layer conv2: .* all units may be dead"):
        planted.start("procrustes_covariance", 1)


def test_which_fields_are_read(tiny_config):
    settings = MODEL | {"init.run": "x", "init.layers": ("conv1",)}
    other = {"match": "weight_norm", "covariance": "network", "images": 7, "biases": "centring"}
    for arm, read in {
        "covariance": ("covariance",),
        "procrustes_covariance": ("covariance", "match", "images"),
        "by_rank": ("covariance", "match", "images"),
        "shuffled": ("match", "images"),
    }.items():
        for name, value in other.items():
            config = tiny_config(settings | {"init.arms": (arm,), f"init.{name}": value})
            if name not in read:
                with pytest.raises(InputError, match=f"init.{name} is .* arm {arm} does not read"):
                    check(config)
            else:
                check(config)


def test_the_match_of_a_network_is_in_its_row(planted):
    planted.config.init.match = "weight_norm"
    rows = {row.arm: row for row in network_table(planted.config, sources=(0, 1))}
    assert {rows[arm].match for arm in ARMS} == {"weight_norm"}
    assert {rows[arm].source for arm in ARMS} == {1}  # of the last seed
    assert rows["scratch"].match is None
