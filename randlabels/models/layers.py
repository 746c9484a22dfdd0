"""The two parametrised layers every model is made of, and the activations by name.

Patches and kernels are flattened in the order (row, column, channel). Both layers sow what they
receive into the collection `inputs`, so the covariance of any layer's input can be measured with
`model.apply(variables, x, mutable=["inputs"])`; it costs nothing when the collection is not asked
for.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from randlabels.models import channels_first
from randlabels.models.convolution import NHWC, chosen, convolve

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": nn.relu,
    "leaky_relu": nn.leaky_relu,
    "tanh": nn.tanh,
    "sigmoid": nn.sigmoid,
    "gelu": nn.gelu,
    "elu": nn.elu,
}


def scaled_normal(init_scale: float | jax.Array) -> Callable[..., jax.Array]:
    """Initialiser N(0, (init_scale / sqrt(fan_in))^2) for kernels [..., inputs, outputs].

    fan_in is the product of all axes but the last; init_scale sqrt(2) is He, 1 is LeCun. It may be
    a traced scalar, so that a population sweeps over it.
    """

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        fan_in = 1
        for size in shape[:-1]:
            fan_in *= size
        # The scale must not change the parameters' dtype.
        scale = jnp.asarray(init_scale / fan_in**0.5, dtype)
        return scale * jax.random.normal(key, shape, dtype)

    return init


class Dense(nn.Module):
    """A linear layer on [..., inputs] -> [..., features]; computes in `dtype`, stores float32."""

    features: int
    init_scale: float | jax.Array
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer."""
        sow_one(self, "inputs", "x", x)
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", scaled_normal(self.init_scale), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        y = jnp.dot(x.astype(self.dtype), kernel.astype(self.dtype))
        return y + bias.astype(self.dtype)


class Conv(nn.Module):
    """A square convolution on [batch, h, w, channels]; computes in `dtype`, stores float32."""

    features: int
    kernel_size: int
    init_scale: float | jax.Array
    stride: int = 1
    padding: str = "VALID"
    use_bias: bool = True
    implementation: str = "auto"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer."""
        sow_one(self, "inputs", "x", x)
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", scaled_normal(self.init_scale), shape).astype(self.dtype)
        x, bias = x.astype(self.dtype), None
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, (self.features,)).astype(self.dtype)
        if chosen(self.implementation) == "patches":
            return channels_first.convolve(x, kernel, bias, self.stride, self.padding)
        strides = (self.stride, self.stride)
        y = convolve(x, kernel, strides, self.padding, dimension_numbers=NHWC, implementation="lax")
        return y if bias is None else y + bias


def max_pool(x: jax.Array) -> jax.Array:
    """2x2 max-pooling of stride 2 of [batch, h, w, c]; an odd last row or column is dropped.

    By reshaping, which is faster than XLA's reduce_window and its gradient (select_and_scatter).
    """
    if jax.default_backend() == "cpu":
        return channels_first.max_pool(x)
    batch, h, w, c = x.shape
    x = x[:, : h // 2 * 2, : w // 2 * 2]
    return x.reshape(batch, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


def flatten(x: jax.Array) -> jax.Array:
    """[batch, h, w, c] to [batch, h * w * c], in the order (row, column, channel)."""
    flat = x.reshape(x.shape[0], -1)
    if jax.default_backend() != "cpu":
        return flat
    # The channels come first in memory (`channels_first`), so this moves the images. A barrier is
    # how the estimate of memory (`training.liveness`) knows.
    return jax.lax.optimization_barrier(flat)


def activate(module: nn.Module, layer: str, activation: str, x: jax.Array) -> jax.Array:
    """Apply an activation by name and sow the result as `activations/<layer>_out`."""
    x = ACTIVATIONS[activation](x)
    sow_one(module, "activations", f"{layer}_out", x)
    return x


def sow_one(module: nn.Module, collection: str, name: str, value: jax.Array) -> None:
    """Put one array (not flax's tuple of arrays) into a collection, where it is asked for."""
    if not module.is_initializing():
        module.sow(collection, name, value, reduce_fn=lambda _, new: new, init_fn=lambda: None)
