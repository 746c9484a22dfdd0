"""A network of your own, of flax's own layers, with a field of its own.

python -m randlabels.main --config=base --config.model.name=examples.own_network:Small \
    --config.model.fields="(('hidden',24),)" --config.population.seeds=2 --config.train.epochs=3 \
    --workdir=runs/own_network
python -m randlabels.analyze --workdir=runs/own_network --layers=conv1,head --random_bases=20

Fields that config.model has (here init_scale is not among those that are used) are filled from the
config, num_classes from config.labels; others are set by config.model.fields and keep their
defaults otherwise. Layers are named so that natural order is forward order, the last one `head`,
to be taken over in transfer.
"""

import functools

import flax.linen as nn
import jax

from randlabels.models.convolution import convolve


class Small(nn.Module):
    """Two convolutions, of which the second sees every other pixel, and a dense layer."""

    num_classes: int
    hidden: int = 16

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Logits [batch, num_classes] of images [batch, h, w, c]."""
        # An argument of flax's own: without it they compute the same, far slower on a CPU.
        Conv = functools.partial(nn.Conv, conv_general_dilated=convolve)
        x = nn.relu(Conv(32, (3, 3), name="conv1")(x))
        x = nn.relu(Conv(16, (3, 3), strides=2, padding="VALID", name="conv2")(x))
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(self.hidden, name="dense1")(x))
        return nn.Dense(self.num_classes, name="head")(x)
