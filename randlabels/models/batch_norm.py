"""Batch norm of images: flax's `nn.BatchNorm` in names, shapes and numbers, and fast on a CPU."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from randlabels.models import channels_first

EPSILON = 1e-5


class BatchNorm(nn.Module):
    """Normalises each channel of [batch, h, w, channels] by mean and variance, 1 / n, of a batch.

    `scale` and `bias` are parameters, the running `mean` and `var` are in `batch_stats`. Statistics
    are float32 whatever `dtype` is, and averages over `axis_name` where that is given, or over each
    of the groups `axis_index_groups` of its indices.
    """

    use_running_average: bool
    momentum: float
    axis_name: str | None = None
    axis_index_groups: tuple[tuple[int, ...], ...] | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Apply the layer; in training, update the running statistics where they are mutable."""
        channels = (x.shape[-1],)
        running = [
            self.variable("batch_stats", "mean", jnp.zeros, channels),
            self.variable("batch_stats", "var", jnp.ones, channels),
        ]
        scale = self.param("scale", nn.initializers.ones, channels)
        bias = self.param("bias", nn.initializers.zeros, channels)
        if self.use_running_average:
            mean, var = (statistic.value for statistic in running)
        else:
            mean, var = self._statistics(x)
            if not self.is_initializing():
                for statistic, new in zip(running, (mean, var), strict=True):
                    old = statistic.value
                    statistic.value = self.momentum * old + (1 - self.momentum) * new
        factor = jax.lax.rsqrt(var + EPSILON) * scale
        return _normalise(x, mean, factor, bias).astype(self.dtype)

    def _statistics(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and variance of each channel, [channels]."""
        x = x.astype(jnp.float32)
        moments = jnp.stack([_mean_of_channels(x), _mean_of_channels(x * x)])
        if self.axis_name is not None and not self.is_initializing():
            groups = self.axis_index_groups
            moments = jax.lax.pmean(moments, self.axis_name, axis_index_groups=groups)
        mean, square = moments
        return mean, jnp.maximum(0.0, square - mean**2)


def _mean_of_channels(x: jax.Array) -> jax.Array:
    if jax.default_backend() == "cpu":
        return channels_first.mean_of_channels(x)
    return jnp.mean(x, axis=(0, 1, 2))


def _normalise(x: jax.Array, mean: jax.Array, factor: jax.Array, shift: jax.Array) -> jax.Array:
    if jax.default_backend() == "cpu":
        return channels_first.normalise(x, mean, factor, shift)
    return (x - mean) * factor + shift
