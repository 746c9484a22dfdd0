"""Sizes, names and behaviour of the models that a config can name."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from randlabels.models import MODELS, build
from randlabels.models.layers import ACTIVATIONS, Conv, Dense
from randlabels.models.naming import get_layer, layer_paths

pytestmark = pytest.mark.usefixtures("quick_programs")


def make(tiny_config, name="simple_cnn", **changes):
    widths = (7, 5) if name == "mlp" else (5,)
    settings = {"model.name": name, "model.widths": widths} | changes
    return build(tiny_config(settings))


INPUTS = {"mlp": (3, 4), "simple_cnn": (3, 6, 6, 3)}


def count_parameters(model, shape):
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(shape))
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))


def test_parameter_counts(tiny_config):
    """By hand: kernel and bias of each layer, in the settings of the paper's Figures 4, 5, 20."""
    settings = {
        "model.filters": 256,
        "model.kernel_size": 3,
        "model.widths": (64,),
        "labels.num_classes": 10,
    }
    by_hand = (3 * 3 * 3 + 1) * 256 + (30 * 30 * 256 + 1) * 64 + (64 + 1) * 10
    assert by_hand == 14_753_482
    assert count_parameters(make(tiny_config, **settings), (1, 32, 32, 3)) == by_hand
    settings = {"model.widths": (2048, 256), "labels.num_classes": 10}
    by_hand = (30 + 1) * 2048 + (2048 + 1) * 256 + (256 + 1) * 10
    assert by_hand == 590_602
    assert count_parameters(make(tiny_config, "mlp", **settings), (1, 30)) == by_hand


def residual_parameters(stem, groups, classes):
    """By hand, from (blocks, channels) of each group: 3x3 kernels without biases, 1x1 shortcuts
    where the shape changes, two numbers a channel for each batch norm, and the head."""
    total, width = stem, groups[0][0]
    for count, channels in groups[1:]:
        for _ in range(count):
            total += 9 * width * channels + 9 * channels**2 + 2 * width + 2 * channels
            total += width * channels if width != channels else 0
            width = channels
    return total + 2 * width + (width + 1) * classes


def test_parameter_counts_of_deep_models(tiny_config):
    stages = [(3, 64, 64), (64, 128, 128), (128, 256, 256, 256), (256, 512, 512, 512)]
    stages.append((512, 512, 512, 512))
    pairs = [pair for stage in stages for pair in itertools.pairwise(stage)]
    vgg = sum((9 * a + 1) * b for a, b in pairs) + (512 + 1) * 10
    assert vgg == 14_719_818
    x = (1, 32, 32, 3)
    ten = {"labels.num_classes": 10}
    assert count_parameters(make(tiny_config, "vgg16", **ten), x) == vgg

    wide = [(16, 16), (4, 64), (4, 128), (4, 256)]
    expected = residual_parameters(27 * 16, [(16,), *wide[1:]], 10)
    assert round(expected / 1e6, 1) == 5.8  # arXiv:1605.07146, Table 4, has WRN-28-4 near 5.9 M
    changes = ten | {"model.depth": 28, "model.width": 4.0, "model.filters": 16}
    assert count_parameters(make(tiny_config, "wide_resnet", **changes), x) == expected
    changes |= {"model.kernel_size": 5, "model.filters": 70}
    expected = residual_parameters(75 * 70, [(70,), *wide[1:]], 10)
    assert count_parameters(make(tiny_config, "wide_resnet", **changes), x) == expected

    groups = [(64,), (2, 64), (2, 128), (2, 256), (2, 512)]
    expected = residual_parameters(27 * 64, groups, 10)
    assert round(expected / 1e6, 2) == 11.17
    assert count_parameters(make(tiny_config, "resnet18", **ten), x) == expected
    changes = {"labels.num_classes": 1000, "model.stem": "imagenet"}
    expected = residual_parameters(147 * 64, groups, 1000)
    assert round(expected / 1e6, 2) == 11.69
    model = make(tiny_config, "resnet18", **changes)
    assert count_parameters(model, (1, 64, 64, 3)) == expected


@pytest.mark.parametrize("name", ["vgg16", "resnet18", "wide_resnet"])
def test_width_factors_multiply_channels(tiny_config, name):
    """`width` those of all layers, `last_width` those of the last layers alone."""
    x = jnp.zeros((1, 32, 32, 3))

    def channels(**changes):
        model = make(tiny_config, name, **changes)
        params = jax.eval_shape(model.init, jax.random.key(0), x)["params"]
        paths = layer_paths(params)[:-1]
        return {path: get_layer(params, path)["kernel"].shape[-1] for path in paths}

    plain = channels(**{"model.width": 1.0})
    double = channels(**{"model.width": 2.0})
    last = channels(**{"model.last_width": 3.0})
    stem = {"conv1"} if name == "wide_resnet" else set()  # has its own number of filters
    assert all(double[p] == (1 if p in stem else 2) * plain[p] for p in plain)
    prefixes = {
        "vgg16": ("conv11", "conv12", "conv13"),
        "resnet18": ("group4",),
        "wide_resnet": ("group3",),
    }[name]
    assert any(p.startswith(prefixes) for p in plain)
    assert all(last[p] == (3 if p.startswith(prefixes) else 1) * plain[p] for p in plain)


@pytest.mark.parametrize("name", MODELS)
def test_natural_order_of_names_is_forward_order(tiny_config, name):
    """The layers are called in the order in which `layer_paths` lists them.

    A shortcut lies beside the convolutions of its block, not before or after them.
    """
    widths = (4,) * 11  # dense10 and dense11 come after dense9
    changes = {"model.widths": widths, "model.depth": 64}  # ten blocks in a group
    model = make(tiny_config, name, **changes)
    x = jnp.zeros(INPUTS.get(name, (1, 32, 32, 3)))
    called = []

    def record(next_function, arguments, keywords, context):
        if isinstance(context.module, Dense | Conv) and context.method_name == "__call__":
            called.append("/".join(context.module.path))
        return next_function(*arguments, **keywords)

    with nn.intercept_methods(record):
        params = jax.eval_shape(model.init, jax.random.key(0), x)["params"]
    paths = layer_paths(params)
    assert sorted(called) == sorted(paths)
    assert [p for p in called if "shortcut" not in p] == [p for p in paths if "shortcut" not in p]
    counts = {"mlp": 12, "simple_cnn": 13, "conv_net": 16, "vgg16": 14, "resnet18": 21,
              "wide_resnet": 65}  # fmt: skip
    assert len(called) == counts[name]
    assert called[-1] == "head"


def random_variables(model, x, seed=0):
    """Variables as the model would start with, drawn by NumPy, which compiles nothing."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)

    def draw(path, leaf):
        kind = path[-1].key
        if kind == "kernel":
            scale = 1.4 / np.sqrt(np.prod(leaf.shape[:-1]))
            return jnp.asarray(scale * rng.standard_normal(leaf.shape), jnp.float32)
        return jnp.full(leaf.shape, float(kind in ("scale", "var")))

    return jax.tree_util.tree_map_with_path(draw, shapes)


DEEP = ("vgg16", "resnet18")  # compile for long


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in DEEP)) for name in MODELS]
)
def test_a_few_steps_reduce_the_loss(tiny_config, name):
    narrow = {"model.width": 0.25 if name == "vgg16" else 0.05, "model.depth": 10}
    if name not in INPUTS:
        narrow["model.conv"] = "lax"  # compiles faster; both agree in test_layers.py
    model = make(tiny_config, name, **narrow)
    rng = np.random.default_rng(1)
    shape = {"vgg16": (32, 32, 3), "conv_net": (16, 16, 3)}.get(
        name, INPUTS.get(name, (1, 8, 8, 3))[1:]
    )
    x = jnp.asarray(rng.standard_normal((12, *shape)), jnp.float32)
    labels = jnp.arange(12) % 3
    variables = random_variables(model, x)
    params, stats = variables["params"], variables.get("batch_stats", {})
    optimizer = optax.adam({"mlp": 0.03, "simple_cnn": 0.01, "vgg16": 3e-4}.get(name, 0.003))

    def loss(params, stats):
        logits, updates = model.apply(
            {"params": params, "batch_stats": stats}, x, train=True, mutable=["batch_stats"]
        )
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(), updates.get("batch_stats", {})

    @jax.jit
    def step(params, stats, state):
        gradient = jax.value_and_grad(loss, has_aux=True)
        (value, stats), gradients = gradient(params, stats)
        updates, state = optimizer.update(gradients, state)
        return value, optax.apply_updates(params, updates), stats, state

    values, state = [], jax.jit(optimizer.init)(params)  # not leaf by leaf
    for _ in range(60):
        value, params, stats, state = step(params, stats, state)
        values.append(float(value))
    assert values[-1] < 0.5 * values[0], values
    if name in ("resnet18", "wide_resnet"):
        moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), stats, variables["batch_stats"])
        assert min(jax.tree.leaves(moved)) > 1e-3  # every norm follows its batches


REFERENCE = {
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    # The approximation by tanh, as in arXiv:1606.08415, section 2.
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
}


def forward(name, params, x, activation):
    """The models in NumPy, for inputs whose convolution is done by hand."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    outputs = {}
    for path in layer_paths(params):
        layer = get_layer(params, path)
        kernel = layer["kernel"].reshape(-1, layer["kernel"].shape[-1])
        if path == "conv1":
            windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
            rows = windows.transpose(0, 1, 2, 4, 5, 3)
            x = rows.reshape(*rows.shape[:3], -1) @ kernel + layer["bias"]
        else:
            x = x.reshape(len(x), -1) @ kernel + layer["bias"]
        if path != "head":
            x = REFERENCE[activation](x)
            outputs[f"{path}_out"] = x
    return x, outputs


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", INPUTS)
def test_models_equal_numpy(tiny_config, name, activation):
    """Logits, and what is sown; asking for what is sown does not change the logits."""
    model = make(tiny_config, name, **{"model.activation": activation})
    x = np.asarray(jax.random.normal(jax.random.key(0), INPUTS[name]))
    params = model.init(jax.random.key(1), x)["params"]
    noise = iter(jax.random.split(jax.random.key(2), 20))
    params = jax.tree.map(lambda p: p + 0.3 * jax.random.normal(next(noise), p.shape), params)
    logits, outputs = forward(name, params, x.astype(np.float64), activation)
    plain = model.apply({"params": params}, x)
    np.testing.assert_allclose(plain, logits, atol=1e-5)
    again, sown = model.apply({"params": params}, x, mutable=["inputs", "activations"])
    np.testing.assert_array_equal(again, plain)
    assert set(sown["activations"]) == set(outputs)
    for layer, expected in outputs.items():
        np.testing.assert_allclose(sown["activations"][layer], expected, atol=1e-5)
    received = [x, *outputs.values()]
    for path, expected in zip(layer_paths(params), received, strict=True):
        shape = (len(x), -1) if path != "conv1" else x.shape
        found = get_layer(sown["inputs"], path)["x"]
        np.testing.assert_allclose(found, expected.reshape(shape), atol=1e-5)
    # Nothing is sown into the variables of a network.
    assert set(model.init(jax.random.key(1), x)) == {"params"}


@pytest.mark.parametrize("name", INPUTS)
def test_bfloat16_keeps_parameters_and_logits_in_float32(tiny_config, name):
    coarse = make(tiny_config, name, **{"train.precision": "bfloat16"})
    x = jax.random.normal(jax.random.key(0), INPUTS[name])
    variables = coarse.init(jax.random.key(1), x)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    logits, sown = coarse.apply(variables, x, mutable=["activations"])
    assert logits.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(sown)} == {jnp.dtype(jnp.bfloat16)}
    fine = make(tiny_config, name).apply(variables, x)
    assert 1e-5 < np.abs(logits - fine).max() < 0.1


def test_both_convolutions_of_a_config_are_used(tiny_config):
    x = jax.random.normal(jax.random.key(0), INPUTS["simple_cnn"])
    programs = {}
    for implementation in ("lax", "patches", "auto"):
        model = make(tiny_config, **{"model.conv": implementation})
        variables = model.init(jax.random.key(1), x)
        programs[implementation] = "conv_general" in str(jax.make_jaxpr(model.apply)(variables, x))
    assert programs == {"lax": True, "patches": False, "auto": False}  # the tests run on CPU
