"""VGG16 of arXiv:2006.10455, section 3: no batch norm, no average pool, one dense head.

After Simonyan & Zisserman (arXiv:1409.1556), configuration D, with the three dense layers replaced
by one from the last 512 channels to the classes.
"""

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from randlabels.models.facts import Facts
from randlabels.models.layers import Conv, Dense, activate, flatten, max_pool

# Channels of the convolutions between two poolings.
STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG16(nn.Module):
    """Thirteen 3x3 SAME convolutions `conv1` to `conv13` and the `head`.

    14.72 M parameters with 10 classes. `width` multiplies the channels of all layers, `last_width`
    those of the last stage (conv11 to conv13) once more (the paper's Figure 8).
    """

    facts: ClassVar[Facts] = Facts(
        "vgg16", smallest_image=lambda model: 2 ** len(STAGES), in_turn=True
    )

    num_classes: int
    init_scale: float | jax.Array
    width: float = 1.0
    last_width: float = 1.0
    activation: str = "relu"
    conv: str = "auto"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits [batch, num_classes], float32, of images [batch, h, w, c], h and w >= 32."""
        number = 0
        for stage, stage_channels in enumerate(STAGES, start=1):
            last = stage == len(STAGES)
            for channels in stage_channels:
                number += 1
                factor = self.width * (self.last_width if last else 1.0)
                x = Conv(
                    max(1, round(channels * factor)),
                    3,
                    self.init_scale,
                    padding="SAME",
                    implementation=self.conv,
                    dtype=self.dtype,
                    name=f"conv{number}",
                )(x)
                x = activate(self, f"conv{number}", self.activation, x)
            x = max_pool(x)
        x = flatten(x)
        x = Dense(self.num_classes, self.init_scale, self.dtype, name="head")(x)
        return x.astype(jnp.float32)
