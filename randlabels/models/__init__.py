"""Models of the paper (paper.md section 3) as flax linen modules, and `build`."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from ml_collections import ConfigDict

from randlabels.models.conv_net import ConvNet
from randlabels.models.mlp import MLP
from randlabels.models.residual import ResNet18, WideResNet
from randlabels.models.simple_cnn import SimpleCNN
from randlabels.models.vgg import VGG16

# The fields of each module are the fields of config.model that it reads.
MODELS: dict[str, Any] = {
    "mlp": MLP,
    "simple_cnn": SimpleCNN,
    "conv_net": ConvNet,
    "vgg16": VGG16,
    "resnet18": ResNet18,
    "wide_resnet": WideResNet,
}


def build(config: ConfigDict, batch_axis: str | None = None) -> nn.Module:
    """The model a checked config describes, called on [batch, h, w, c] or [batch, d].

    Returns logits [batch, num_classes] in float32 whatever the precision of the computation. With
    `train=True` batch norms use the statistics of the batch, averaged over the device axis
    `batch_axis` where one is given, and update their running statistics.
    """
    module = MODELS[config.model.name]
    fields = {
        name: value
        for name, value in config.model.items()
        if name in module.__dataclass_fields__ and name != "name"
    }
    if "batch_axis" in module.__dataclass_fields__:
        fields["batch_axis"] = batch_axis
    dtype = jnp.dtype(config.train.precision)
    return module(num_classes=config.labels.num_classes, dtype=dtype, **fields)
