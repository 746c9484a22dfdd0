"""A small plain convolutional network of any depth, for questions about more than one layer."""

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from randlabels.models.facts import Facts
from randlabels.models.layers import Conv, Dense, activate, flatten, max_pool


class ConvNet(nn.Module):
    """3x3 SAME convolutions `conv1`, `conv2`, ..., then dense layers `dense1`, ..., and the `head`.

    2x2 max-pooling follows every convolution, so that deeper layers are cheap. No batch norm, like
    VGG16.
    """

    facts: ClassVar[Facts] = Facts(
        "conv_net", smallest_image=lambda model: 2 ** len(model.channels)
    )

    num_classes: int
    channels: tuple[int, ...]
    widths: tuple[int, ...]
    init_scale: float | jax.Array
    activation: str = "relu"
    dropout: float = 0.0
    conv: str = "auto"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits [batch, num_classes], float32, of images [batch, h, w, c]."""
        for number, channels in enumerate(self.channels, start=1):
            name = f"conv{number}"
            x = Conv(
                channels,
                3,
                self.init_scale,
                padding="SAME",
                implementation=self.conv,
                dtype=self.dtype,
                name=name,
            )(x)
            x = max_pool(activate(self, name, self.activation, x))
        x = flatten(x)
        for i, width in enumerate(self.widths, start=1):
            x = Dense(width, self.init_scale, self.dtype, name=f"dense{i}")(x)
            x = activate(self, f"dense{i}", self.activation, x)
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        x = Dense(self.num_classes, self.init_scale, self.dtype, name="head")(x)
        return x.astype(jnp.float32)
