"""Multi-layer perceptron (arXiv:2006.10455, section 3; the paper's Figures 4 and 20 use it)."""

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from randlabels.models.facts import Facts
from randlabels.models.layers import Dense, activate


class MLP(nn.Module):
    """Dense layers `dense1`, `dense2`, ... of the given widths, then the linear `head`."""

    facts: ClassVar[Facts] = Facts("mlp", takes_vectors=True)

    num_classes: int
    widths: tuple[int, ...]
    init_scale: float | jax.Array
    activation: str = "relu"
    dropout: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits [batch, num_classes], float32, of inputs [batch, ...], which are flattened."""
        x = x.reshape(x.shape[0], -1)
        for i, width in enumerate(self.widths, start=1):
            x = Dense(width, self.init_scale, self.dtype, name=f"dense{i}")(x)
            x = activate(self, f"dense{i}", self.activation, x)
            x = nn.Dropout(self.dropout, deterministic=not train)(x)
        x = Dense(self.num_classes, self.init_scale, self.dtype, name="head")(x)
        return x.astype(jnp.float32)
