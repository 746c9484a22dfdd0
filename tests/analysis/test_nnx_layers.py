"""Layers of NNX are found, refused and receive what those of linen would."""

from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest
from flax import nnx
from flax.nnx import bridge

from randlabels.analysis.find_layers import survey
from randlabels.analysis.layers import LayerInputs
from randlabels.eigen.patches import patch_statistics
from randlabels.models.convolution import convolve

pytestmark = pytest.mark.usefixtures("quick_programs")

SHAPE = (12, 12, 3)


class Net(nnx.Module):
    """Layers that can be analysed, and of each kind that cannot be one."""

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.zeta = nnx.Conv(3, 8, (3, 3), strides=2, rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.alpha = nnx.Conv(8, 8, (3, 3), padding="VALID", rngs=rngs)
        self.groups = nnx.Conv(8, 8, (3, 3), feature_group_count=2, rngs=rngs)
        self.dilated = nnx.Conv(8, 8, (3, 3), kernel_dilation=2, rngs=rngs)
        self.masked = nnx.Conv(8, 8, (3, 3), mask=np.ones((3, 3, 8, 8)), rngs=rngs)
        self.dense = nnx.Linear(8, 5, rngs=rngs)
        self.twice = nnx.Linear(5, 5, rngs=rngs)
        self.compiled = nnx.Linear(5, 5, rngs=rngs)
        self.answer = nnx.Linear(5, 3, rngs=rngs)
        self.unused = nnx.Linear(5, 3, rngs=rngs)

    def __call__(self, x: Any, train: bool = False) -> Any:
        x = nnx.relu(self.norm(self.zeta(x), use_running_average=not train))
        x = self.masked(self.dilated(self.groups(nnx.relu(self.alpha(x)))))
        x = nnx.relu(self.dense(x.mean((1, 2))))
        x = nnx.jit(lambda layer, x: layer(x))(self.compiled, x)
        return self.answer(self.twice(self.twice(x)))


class ByProducts(Net):
    """The same network, whose first convolutions are products of patches on a CPU."""

    def __init__(self, *, rngs: nnx.Rngs) -> None:
        super().__init__(rngs=rngs)
        for layer in (self.zeta, self.alpha, self.groups):
            layer.conv_general_dilated = convolve


@pytest.mark.parametrize("kind", [Net, ByProducts])
def test_layers_are_found_in_order_and_others_named_with_the_reason(kind):
    found = survey(bridge.ToLinen(kind), SHAPE)
    described = [(layer.path, layer.input_shape, layer.kernel_shape) for layer in found.layers]
    assert described == [
        ("zeta", SHAPE, (3, 3, 3, 8)),
        ("alpha", (6, 6, 8), (3, 3, 8, 8)),
        ("dense", (8,), (8, 5)),
        ("answer", (5,), (5, 3)),
    ]
    applied = [(layer.stride, layer.padding) for layer in found.layers[:2]]
    assert applied == [(2, "SAME"), (1, "VALID")]
    assert {path: reason.split(",")[0] for path, reason in found.reasons.items()} == {
        "groups": "it is of 2 groups of channels",
        "dilated": "it is dilated",
        "masked": "its kernel is changed",
        "compiled": "its kernel is changed",
        "twice": "it is applied more than once",
        "unused": "it is not applied",
    }


@pytest.mark.parametrize("kind", [Net, ByProducts])
def test_moments_are_those_of_what_layers_of_linen_receive(kind):
    model = bridge.ToLinen(kind)
    images = np.random.default_rng(0).standard_normal((70, *SHAPE)).astype(np.float32)
    variables = model.init(jax.random.key(1), images[:1])
    params, statistics = (variables[kind] for kind in ("params", "batch_stats"))
    x = nn.Conv(8, (3, 3), strides=2).apply({"params": params["zeta"]}, images)
    norm = {"params": params["norm"], "batch_stats": statistics["norm"]}
    x = nn.relu(nn.BatchNorm(use_running_average=True).apply(norm, x))
    expected = patch_statistics(x, 3, 1, "VALID")
    inputs = LayerInputs(model, images)
    found = inputs.moments(variables, "alpha")
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-4, atol=1e-6)
    of_images = patch_statistics(images, 3, 2, "SAME")
    first = inputs.moments(variables, "zeta")
    np.testing.assert_allclose(first.covariance, of_images.covariance, rtol=1e-5, atol=1e-6)
