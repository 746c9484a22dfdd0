"""The paper's two-layer convolutional network (arXiv:2006.10455, section 3; Figures 2, 4 and 5)."""

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from randlabels.models.facts import Facts
from randlabels.models.layers import Conv, Dense, activate, flatten


class SimpleCNN(nn.Module):
    """One VALID convolution `conv1`, flatten, dense layers `dense1`, ..., then the `head`.

    With 256 filters of 3x3, one dense layer of 64 and 10 classes it has 14.75 M parameters on
    32x32x3 images.
    """

    facts: ClassVar[Facts] = Facts("simple_cnn", smallest_image=lambda model: model.kernel_size)

    num_classes: int
    filters: int
    kernel_size: int
    widths: tuple[int, ...]
    init_scale: float | jax.Array
    activation: str = "relu"
    dropout: float = 0.0
    conv: str = "auto"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits [batch, num_classes], float32, of images [batch, h, w, c]."""
        x = Conv(
            self.filters,
            self.kernel_size,
            self.init_scale,
            implementation=self.conv,
            dtype=self.dtype,
            name="conv1",
        )(x)
        x = activate(self, "conv1", self.activation, x)
        x = flatten(x)
        for i, width in enumerate(self.widths, start=1):
            x = Dense(width, self.init_scale, self.dtype, name=f"dense{i}")(x)
            x = activate(self, f"dense{i}", self.activation, x)
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        x = Dense(self.num_classes, self.init_scale, self.dtype, name="head")(x)
        return x.astype(jnp.float32)
