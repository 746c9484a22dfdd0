"""Sizes, names and behaviour of the models that a config can name."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from randlabels.models import build
from randlabels.models.layers import ACTIVATIONS, Conv, Dense
from randlabels.models.naming import get_layer, layer_paths


def make(tiny_config, name="simple_cnn", **changes):
    widths = {"mlp": (7, 5), "simple_cnn": (5,)}[name]
    settings = {"model.name": name, "model.widths": widths} | changes
    return build(tiny_config(settings))


INPUTS = {"mlp": (3, 4), "simple_cnn": (3, 6, 6, 3)}


def count_parameters(model, shape):
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(shape))
    return sum(leaf.size for leaf in jax.tree.leaves(variables))


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


@pytest.mark.parametrize("name", INPUTS)
def test_natural_order_of_names_is_forward_order(tiny_config, name):
    """The layers are called in the order in which `layer_paths` lists them."""
    widths = (4,) * 11  # dense10 and dense11 come after dense9
    model = make(tiny_config, name, **{"model.widths": widths})
    x = jnp.zeros(INPUTS[name])
    called = []

    def record(next_function, arguments, keywords, context):
        if isinstance(context.module, Dense | Conv) and context.method_name == "__call__":
            called.append("/".join(context.module.path))
        return next_function(*arguments, **keywords)

    with nn.intercept_methods(record):
        params = model.init(jax.random.key(0), x)["params"]
    assert tuple(called) == layer_paths(params)
    assert len(called) == {"mlp": 12, "simple_cnn": 13}[name]
    assert called[-1] == "head"


@pytest.mark.parametrize("name", INPUTS)
def test_a_few_steps_reduce_the_loss(tiny_config, name):
    model = make(tiny_config, name)
    x = jax.random.normal(jax.random.key(0), (12, *INPUTS[name][1:]))
    labels = jnp.arange(12) % 3
    params = model.init(jax.random.key(1), x)
    optimizer = optax.sgd(0.05, momentum=0.9)

    def loss(params):
        logits = model.apply(params, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    @jax.jit
    def step(params, state):
        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return optax.apply_updates(params, updates), state

    before, state = loss(params), optimizer.init(params)
    for _ in range(30):
        params, state = step(params, state)
    assert loss(params) < 0.5 * before


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
