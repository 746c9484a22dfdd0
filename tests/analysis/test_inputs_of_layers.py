"""Layers of each model, found without computing anything."""

import math
from functools import partial

import jax
import numpy as np
import pytest

from randlabels.analysis.layers import find_layers
from randlabels.models import build
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
