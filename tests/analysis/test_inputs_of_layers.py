"""Layers of each model, found without computing anything."""

import math
from functools import partial

import flax.linen as nn
import jax
import numpy as np
import pytest

from randlabels.analysis.layers import LayerInputs, find_layers
from randlabels.errors import InputError
from randlabels.models import build
from randlabels.models.layers import Conv, Dense
from randlabels.models.naming import get_layer, layer_paths
from randlabels.training.check import check


@pytest.mark.parametrize(
    ("model", "pixels"),
    [("simple_cnn", 8), ("mlp", 8), ("vgg16", 32), ("resnet18", 16), ("wide_resnet", 16)],
)
def test_layers_are_found_with_their_geometry(tiny_config, model, pixels):
    changes = {"model.name": model, "data.image_size": pixels}
    defaults = {"model.filters": 48, "model.widths": (32,)}
    if model in ("vgg16", "resnet18", "wide_resnet"):
        changes |= {"model.width": 0.1} | defaults
    elif model == "mlp":
        changes |= {"model.filters": 48}
    if model == "wide_resnet":
        changes |= {"model.depth": 10}
    module = build(check(tiny_config(changes)))
    example = jax.ShapeDtypeStruct((2, pixels, pixels, 3), np.float32)
    variables = jax.eval_shape(module.init, jax.random.key(0), example)
    _, sown = jax.eval_shape(partial(module.apply, mutable=["inputs"]), variables, example)
    found = find_layers(module, (pixels, pixels, 3))
    assert sorted(layer.path for layer in found) == sorted(layer_paths(variables["params"]))
    assert math.prod(found[0].input_shape) == 3 * pixels**2
    assert found[-1].path == "head"
    for layer in found:
        inputs = np.zeros(get_layer(sown["inputs"], layer.path)["x"].shape, np.float32)
        assert layer.kernel_shape == get_layer(variables["params"], layer.path)["kernel"].shape
        assert layer.input_shape == inputs.shape[1:]
        assert layer.statistics(inputs).count == 2 * layer.patches_per_image


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # The map that dense1 receives is 2 x 2 pixels, flattened.
        (
            {"model.name": "conv_net", "model.channels": (4, 6), "model.filters": 48},
            {"conv1": 3, "conv2": 4, "dense1": 6, "head": 5},
        ),
        (
            {"model.name": "mlp", "model.widths": (7, 4), "model.filters": 48},
            {"dense1": 192, "dense2": 7, "head": 4},
        ),
    ],
)
def test_channels_of_what_layers_receive(tiny_config, changes, expected):
    inputs = LayerInputs(build(check(tiny_config(changes))), np.zeros((1, 8, 8, 3), np.float32))
    assert {layer.path: inputs.channels(layer.path) for layer in inputs.layers} == expected


class Behind(nn.Module):
    """A layer of this package behind something that changes what it sees; or none at all."""

    before: str
    num_classes: int = 3

    @nn.compact
    def __call__(self, x, train=False):
        if self.before == "conv":
            x = nn.Conv(3, (3, 3))(x)
        if self.before == "transposed":
            x = nn.ConvTranspose(3, (3, 3))(x)
        if self.before == "scaled":
            x = 3 * nn.relu(x)
        if self.before == "learned":  # the identity in fresh networks
            x = nn.BatchNorm(use_running_average=not train, epsilon=0.0)(x)
        if self.before == "only":
            return nn.Dense(self.num_classes)(x.reshape(len(x), -1))
        x = Conv(4, 3, 1.0, name="ours")(x)
        return Dense(self.num_classes, 1.0, name="head")(x.reshape(len(x), -1))


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        ("transposed", "layer ours .* does not receive the images as they are"),
        ("scaled", "layer ours .* does not receive the images as they are"),
        ("learned", "layer ours .* does not receive the images as they are"),
    ],
)
def test_a_first_layer_that_does_not_see_the_data_is_refused(before, sentence):
    images = np.random.default_rng(0).standard_normal((5, 6, 6, 3)).astype(np.float32)
    with pytest.raises(InputError, match=sentence):
        _ = LayerInputs(Behind(before), images).layers


def test_layers_of_flax_before_those_of_this_package_are_analysed():
    images = np.random.default_rng(0).standard_normal((5, 6, 6, 3)).astype(np.float32)
    for before, paths in (("conv", ["Conv_0", "ours", "head"]), ("only", ["Dense_0"])):
        assert [layer.path for layer in LayerInputs(Behind(before), images).layers] == paths


def test_a_first_layer_of_another_model_that_sees_the_data_is_analysed():
    images = np.random.default_rng(0).standard_normal((5, 6, 6, 3)).astype(np.float32)
    inputs = LayerInputs(Behind("nothing"), images)
    assert [layer.path for layer in inputs.layers] == ["ours", "head"]
    windows = np.lib.stride_tricks.sliding_window_view(images, (3, 3), axis=(1, 2))
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 27)
    np.testing.assert_allclose(inputs.of_data.covariance, np.cov(patches.T, bias=True), atol=1e-6)
