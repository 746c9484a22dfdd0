"""Models of the paper (paper.md section 3) as flax linen modules, and `build`."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from ml_collections import ConfigDict

from randlabels.models.mlp import MLP
from randlabels.models.simple_cnn import SimpleCNN

# The fields of each module are the fields of config.model that it reads.
MODELS: dict[str, Any] = {"mlp": MLP, "simple_cnn": SimpleCNN}


def build(config: ConfigDict) -> nn.Module:
    """The model a checked config describes, called on [batch, h, w, c] or [batch, d].

    Returns logits [batch, num_classes] in float32 whatever the precision of the computation.
    """
    module = MODELS[config.model.name]
    fields = {
        name: value
        for name, value in config.model.items()
        if name in module.__dataclass_fields__ and name != "name"
    }
    dtype = jnp.dtype(config.train.precision)
    return module(num_classes=config.labels.num_classes, dtype=dtype, **fields)
