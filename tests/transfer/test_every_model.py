"""Transfer of each model, from planted "trained" parameters: nothing is trained."""

import jax
import numpy as np
import pytest

from randlabels.analysis.layers import LayerInputs
from randlabels.models import build
from randlabels.models.naming import get_layer, layer_paths
from randlabels.networks import Network
from randlabels.runs import Run
from randlabels.training.check import check
from randlabels.training.population import network_table
from randlabels.transfer import rescale_to_reference
from randlabels.transfer.earlier_run import Checkpoint, EarlierRun
from randlabels.transfer.registry import ARMS
from randlabels.transfer.start import start_networks

pytestmark = pytest.mark.usefixtures("quick_programs")

# {model: (changes, image size, layers that are taken over)}
MODELS = {
    "mlp": ({"model.widths": (12, 9)}, 4, ("dense2",)),
    "simple_cnn": ({"model.filters": 6, "model.widths": (5,)}, 8, ("conv1",)),
    "conv_net": ({"model.channels": (4, 5, 6), "model.widths": (5,)}, 8, ("conv2", "dense1")),
    "vgg16": ({"model.width": 0.05}, 32, ("first:12",)),
    "resnet18": ({"model.width": 0.05}, 8, ("conv1", "group2_block1/conv1", "group4_block2/conv2")),
    "wide_resnet": (
        {"model.depth": 10, "model.width": 0.3, "model.filters": 4},
        8,
        ("last:2",),
    ),
}
REDRAWS = ("procrustes_covariance", "by_rank", "shuffled")
FEWER = ("conv1", "conv3")  # of vgg16: what each redrawn layer receives is compiled
PLAIN = ("mlp", "simple_cnn", "conv_net", "vgg16")  # without batch norm


def planted(name, arm):
    """(config, table, fresh variables, "trained" parameters): kernels larger, biases not zero."""
    from randlabels.configs import base

    changes, size, layers = MODELS[name]
    if arm in REDRAWS and name == "vgg16":
        layers = FEWER
    config = base.get_config()
    config.model.filters, config.model.widths = 48, (32,)
    config.update_from_flattened_dict(
        {"model.name": name, "data.image_size": 32, "population.seeds": 2, "model.init_scale": 1.4,
         "init.arms": ("scratch", arm), "init.run": "planted", "init.layers": layers}
        | ({"init.match": "weight_norm"} if "match" in ARMS[arm].reads else {}) | changes
    )  # fmt: skip
    config = check(config)
    table = network_table(config, sources=(1, 0))
    model = build(config)
    example = jax.ShapeDtypeStruct((1, size, size, 3), np.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), example)
    rng = np.random.default_rng(0)

    def drawn(shape, count, scale):
        fan_in = max(1, int(np.prod(shape.shape[:-1])))
        return np.float32(scale / fan_in**0.5 * rng.normal(size=(count, *shape.shape)))

    # NumPy's numbers: compiling the initialisation of six models would take a minute.
    fresh = jax.tree.map(lambda shape: drawn(shape, len(table), 1.4), shapes)
    trained = jax.tree.map(lambda shape: drawn(shape, 2, 2.1), shapes["params"])
    return config, table, model, fresh, trained


def started(name, arm, monkeypatch, tmp_path):
    """Parameters of the population as it starts, and what went in."""
    config, table, model, fresh, trained = planted(name, arm)
    if "batch_stats" in fresh:
        fresh["batch_stats"] = jax.tree.map(lambda x: np.abs(x) + 0.5, fresh["batch_stats"])
    variables = {**jax.tree.map(lambda x: x[:2], fresh), "params": trained}
    monkeypatch.setattr(EarlierRun, "checkpoint", lambda run, step: Checkpoint(run, variables))
    size = MODELS[name][1]
    images = np.random.default_rng(2).standard_normal((9, size, size, 3)).astype(np.float32)
    inputs = LayerInputs(model, images)
    monkeypatch.setattr(EarlierRun, "inputs", inputs)
    run = EarlierRun(Run(tmp_path, {}, [Network(k, "scratch", k) for k in range(2)], [], {}, ()))
    return start_networks(config, table, fresh, run, inputs), table, fresh["params"], trained


def named_layers(name, paths):
    """The paths that init.layers of a model means."""
    wanted = MODELS[name][2]
    if wanted == ("first:12",):
        return tuple(f"conv{i}" for i in range(1, 13))
    return ("group3_block1/conv1", "group3_block1/conv2") if wanted == ("last:2",) else wanted


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("arm", ["pretrained", "pretrained_unscaled"])
def test_exactly_the_named_layers_are_copied(name, arm, monkeypatch, tmp_path):
    params, table, fresh, trained = started(name, arm, monkeypatch, tmp_path)
    paths = layer_paths(fresh)
    wanted = named_layers(name, paths)
    assert 0 < len(wanted) < len(paths) - 1
    for row in table:
        for path in paths:
            ours, before = (get_layer(p, path)["kernel"][row.network] for p in (params, fresh))
            if row.arm == "scratch" or path not in wanted:
                np.testing.assert_array_equal(ours, before)
                continue
            theirs = get_layer(trained, path)["kernel"][row.source]
            assert np.abs(theirs - before).max() > 0.05  # different before
            factor = np.linalg.norm(before) / np.linalg.norm(theirs) if arm == "pretrained" else 1.0
            np.testing.assert_allclose(ours, factor * theirs, rtol=1e-5, atol=1e-7)
            if arm == "pretrained":
                assert abs(factor - 1) > 0.1


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("arm", REDRAWS)
def test_exactly_the_named_layers_are_redrawn(name, arm, monkeypatch, tmp_path):
    params, table, fresh, trained = started(name, arm, monkeypatch, tmp_path)
    paths = layer_paths(fresh)
    wanted = FEWER if name == "vgg16" else named_layers(name, paths)
    for row in table:
        for path in paths:
            ours, before = (get_layer(p, path) for p in (params, fresh))
            kernel, old = (layer["kernel"][row.network] for layer in (ours, before))
            if row.arm == "scratch" or path not in wanted:
                np.testing.assert_array_equal(kernel, old)
                continue
            norm = np.linalg.norm(old)
            assert np.linalg.norm(kernel) == pytest.approx(norm, rel=1e-4)
            theirs = get_layer(trained, path)["kernel"]
            for other in (old, *theirs):  # neither the fresh layer nor a copy
                assert np.abs(kernel / norm - other / np.linalg.norm(other)).max() > 1e-3
            assert "bias" not in ours or not ours["bias"][row.network].any()


@pytest.mark.parametrize("name", PLAIN)
def test_rescaling_changes_the_logits_of_a_relu_network_by_one_factor(name):
    _, _, model, fresh, trained = planted(name, "pretrained")
    reference, theirs = (jax.tree.map(lambda x: x[0], p) for p in (fresh["params"], trained))
    size = MODELS[name][1]
    x = np.random.default_rng(1).standard_normal((30, size, size, 3)).astype(np.float32)
    apply = jax.jit(model.apply)
    before = np.asarray(apply({"params": theirs}, x), np.float64)
    after = np.asarray(apply({"params": rescale_to_reference(theirs, reference)}, x), np.float64)
    factor = np.sum(before * after) / np.sum(before**2)
    assert 0 < factor < 0.9
    np.testing.assert_allclose(after, factor * before, atol=2e-5 * np.abs(after).max())
    np.testing.assert_array_equal(after.argmax(1), before.argmax(1))
