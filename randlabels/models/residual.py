"""Pre-activation residual networks: ResNet18-v2 and WideResNet (arXiv:2006.10455, section 3).

After He et al. (arXiv:1603.05027) and Zagoruyko & Komodakis (arXiv:1605.07146). Layers are named
`conv1` (the stem), `group1_block1/conv1`, ..., `head`; batch norms are `norm1`, ...
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from randlabels.errors import InputError
from randlabels.models.batch_norm import BatchNorm
from randlabels.models.facts import Facts
from randlabels.models.layers import Conv, Dense, activate

NORM_MOMENTUM = 0.9  # of the running statistics


class PreActivationBlock(nn.Module):
    """norm, activation, 3x3 convolution, twice; a 1x1 shortcut where the shape changes."""

    channels: int
    stride: int
    init_scale: float | jax.Array
    activation: str
    conv: str
    dtype: Any
    batch_axis: str | None
    batch_groups: tuple[tuple[int, ...], ...] | None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """[batch, h, w, c] to [batch, h / stride, w / stride, channels]."""
        y = batch_norm(self, "norm1", x, train)
        y = activate(self, "norm1", self.activation, y)
        if self.stride != 1 or x.shape[-1] != self.channels:
            x = self._convolve(y, "shortcut", 1, self.stride)
        y = self._convolve(y, "conv1", 3, self.stride)
        y = activate(self, "conv1", self.activation, batch_norm(self, "norm2", y, train))
        return x + self._convolve(y, "conv2", 3, 1)

    def _convolve(self, x: jax.Array, name: str, kernel_size: int, stride: int) -> jax.Array:
        return Conv(
            self.channels,
            kernel_size,
            self.init_scale,
            stride=stride,
            padding="SAME",
            use_bias=False,
            implementation=self.conv,
            dtype=self.dtype,
            name=name,
        )(x)


class ResNet18(nn.Module):
    """ResNet18-v2: four groups of two blocks of 64, 128, 256, 512 channels.

    stem `cifar` is a 3x3 convolution (11.17 M parameters with 10 classes), `imagenet` a 7x7
    convolution of stride 2 and a 3x3 max-pooling of stride 2 (11.69 M with 1,000 classes).
    """

    facts: ClassVar[Facts] = Facts("resnet18", fixed_on_cpu=0.4)

    num_classes: int
    init_scale: float | jax.Array
    width: float = 1.0
    last_width: float = 1.0
    stem: str = "cifar"
    activation: str = "relu"
    conv: str = "auto"
    dtype: Any = jnp.float32
    batch_axis: str | None = None
    batch_groups: tuple[tuple[int, ...], ...] | None = None

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits [batch, num_classes], float32, of images [batch, h, w, c]."""
        channels = [max(1, round(c * self.width)) for c in (64, 128, 256, 512)]
        x = Conv(
            channels[0],
            3 if self.stem == "cifar" else 7,
            self.init_scale,
            stride=1 if self.stem == "cifar" else 2,
            padding="SAME",
            use_bias=False,
            implementation=self.conv,
            dtype=self.dtype,
            name="conv1",
        )(x)
        if self.stem == "imagenet":
            x = nn.max_pool(x, (3, 3), (2, 2), "SAME")
        channels[-1] = max(1, round(channels[-1] * self.last_width))
        return residual_body(self, x, channels, blocks=2, train=train)


class WideResNet(nn.Module):
    """WRN-depth-width: three groups of (depth - 4) / 6 blocks of 16, 32, 64 channels times width.

    The first convolution has `filters` filters (16 in the standard) of `kernel_size` (3 in the
    standard; the paper's Figure 3 uses 5).
    """

    facts: ClassVar[Facts] = Facts("wide_resnet", fixed_on_cpu=0.15)

    num_classes: int
    init_scale: float | jax.Array
    depth: int = 28
    width: float = 4.0
    last_width: float = 1.0
    filters: int = 16
    kernel_size: int = 3
    activation: str = "relu"
    conv: str = "auto"
    dtype: Any = jnp.float32
    batch_axis: str | None = None
    batch_groups: tuple[tuple[int, ...], ...] | None = None

    def __post_init__(self) -> None:
        """Refuse a depth that no number of blocks has.

        Raises:
            InputError: then.
        """
        if (self.depth - 4) % 6:
            raise InputError(
                f"config.model.depth must be 6 n + 4 for a wide_resnet, not {self.depth}."
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits [batch, num_classes], float32, of images [batch, h, w, c]."""
        x = Conv(
            self.filters,
            self.kernel_size,
            self.init_scale,
            padding="SAME",
            use_bias=False,
            implementation=self.conv,
            dtype=self.dtype,
            name="conv1",
        )(x)
        channels = [max(1, round(c * self.width)) for c in (16, 32, 64)]
        channels[-1] = max(1, round(channels[-1] * self.last_width))
        return residual_body(self, x, channels, blocks=(self.depth - 4) // 6, train=train)


def residual_body(
    model: Any, x: jax.Array, channels: Sequence[int], blocks: int, train: bool
) -> jax.Array:
    """Groups of blocks (all but the first halve the image), norm, mean over positions, head."""
    for group, count in enumerate(channels, start=1):
        for block in range(1, blocks + 1):
            x = PreActivationBlock(
                count,
                2 if group > 1 and block == 1 else 1,
                model.init_scale,
                model.activation,
                model.conv,
                model.dtype,
                model.batch_axis,
                model.batch_groups,
                name=f"group{group}_block{block}",
            )(x, train)
    x = activate(model, "norm_last", model.activation, batch_norm(model, "norm_last", x, train))
    x = jnp.mean(x, axis=(1, 2))
    x = Dense(model.num_classes, model.init_scale, model.dtype, name="head")(x)
    return x.astype(jnp.float32)


def batch_norm(module: Any, name: str, x: jax.Array, train: bool) -> jax.Array:
    """Batch norm with statistics over `module.batch_axis` and `batch_groups`, where given."""
    return BatchNorm(
        use_running_average=not train,
        momentum=NORM_MOMENTUM,
        axis_name=module.batch_axis,
        axis_index_groups=module.batch_groups,
        dtype=module.dtype,
        name=name,
    )(x)
