"""What the layers of a model receive.

The inputs of the first layer are the data, the same for all networks. Those of a deeper layer are
activations: each network has its own, and they change while it learns. They are taken where the
layer is called, computed in float32 whatever the precision of training, without augmentation, and
streamed over images.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from randlabels.analysis.find_layers import Layer, find_layers, inputs_of, survey
from randlabels.data.standardise import standardise
from randlabels.data.streamed import Images, in_batches
from randlabels.eigen.patches import PatchStatistics
from randlabels.errors import InputError
from randlabels.models.facts import facts_of

# Images that go through a network at once.
BATCH = 64


@dataclasses.dataclass(frozen=True, eq=False)
class LayerInputs:
    """What the layers of networks of one model receive when they are shown images.

    Attributes:
        model: from `randlabels.models`, computing in float32.
        images: uint8 [n, h, w, c], in memory or on disk, or floats that are used as they are,
            [n, ...].
        mean: of each channel, by which uint8 images are standardised.
        std: likewise.
    """

    model: nn.Module
    images: Images
    mean: Any = 0.0
    std: Any = 1.0

    @functools.cached_property
    def layers(self) -> tuple[Layer, ...]:
        """In the order in which data reach them.

        Raises:
            InputError: if none of them is known, or the first does not receive the images.
        """
        found = find_layers(self.model, self.images.shape[1:])
        if not found:
            reasons = survey(self.model, self.images.shape[1:]).reasons
            why = "; ".join(f"{path}: {reason}" for path, reason in reasons.items())
            raise InputError(
                "no layer of the model can be analysed, "
                f"{f'since {why}' if why else 'since it has no convolution and no dense layer'}."
            )
        if not facts_of(self.model).name:  # a model from elsewhere
            self._check_first(found[0])
        return found

    def _check_first(self, first: Layer) -> None:
        """The analysis takes the data for the inputs of the first layer: are they?"""
        images = next(self.batches())
        fresh = self.model.init(jax.random.key(0), images[:1])
        # What is learned in front of it, such as a norm's scale, may be the identity at the start.
        rng = np.random.default_rng(0)
        variables = jax.tree.map(lambda x: x + np.float32(rng.uniform(0.5, 1.5, x.shape)), fresh)
        seen = np.asarray(_compile_inputs(self.model, first.path)(variables, images))
        same_size = (len(seen), seen.size) == (len(images), images.size)
        if not same_size or not np.allclose(seen.ravel(), images.ravel()):
            raise InputError(
                f"layer {first.path} is the first of the model that can be analysed, but does not "
                "receive the images as they are; the first layer has to be a convolution or a "
                "dense layer."
            )

    def batches(self) -> Iterator[np.ndarray]:
        """All images as the networks see them, in batches [at most 64, ...]."""
        for images in in_batches(self.images, BATCH):
            yield standardise(images, self.mean, self.std)

    @functools.cached_property
    def of_data(self) -> PatchStatistics:
        """Moments of the inputs of the first layer: of the data, whatever the network."""
        return self.layers[0].statistics(self.received(None, self.layers[0].path))

    def moments(self, variables: Any, path: str) -> PatchStatistics:
        """Moments of the inputs of a layer of one network.

        Args:
            variables: of the network, {"params": ..., ...}.
            path: of the layer.
        """
        if path == self.layers[0].path:
            return self.of_data
        layer = next(layer for layer in self.layers if layer.path == path)
        return layer.statistics(self.received(variables, path))

    def received(self, variables: Any, path: str) -> Iterator[Any]:
        """What a layer of one network receives, in batches [at most 64, *input_shape].

        Args as of `moments`; the first layer receives the data, whatever the variables.
        """
        first = self.layers[0]
        if path == first.path:
            yield from (x.reshape(len(x), *first.input_shape) for x in self.batches())
            return
        seen = _compile_inputs(self.model, path)
        try:
            for x in self.batches():
                yield seen(variables, x)
        except jax.errors.UnexpectedTracerError as error:
            raise InputError(
                f"layer {path} is lifted, as by nn.remat, so what it receives is not seen; "
                "leave it out."
            ) from error

    def channels(self, path: str) -> int:
        """Channels of what a layer receives: of each pixel, whose order is (row, column, channel).

        A dense layer behind a convolution receives its map, flattened; behind a dense layer all
        inputs are channels.
        """
        number = [layer.path for layer in self.layers].index(path)
        layer = self.layers[number]
        if len(layer.kernel_shape) == 4 or number == 0:
            return layer.kernel_shape[-2]
        before = self.layers[number - 1].num_filters
        return before if layer.dim % before == 0 else layer.dim


@functools.lru_cache(maxsize=64)
def _compile_inputs(model: nn.Module, path: str) -> Callable[[Any, np.ndarray], jax.Array]:
    """(variables, images) -> what a layer receives, [n, ...]."""

    @jax.jit  # what the network computes after this layer is not compiled
    def received(variables: Any, x: jax.Array) -> jax.Array:
        found = inputs_of(model, path, variables, x)
        if len(found) != 1:
            raise InputError(f"layer {path} is applied {len(found)} times, so it has no one input.")
        return found[0]

    return received
