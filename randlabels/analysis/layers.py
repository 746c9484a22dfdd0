"""The layers of a model, and what each of them receives.

The inputs of the first layer are the data, the same for all networks. Those of a deeper layer are
activations: each network has its own, and they change while it learns. They are what the layers of
`randlabels.models` sow, computed in float32 whatever the precision of training, without
augmentation, and streamed over images.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from randlabels.data.standardise import standardise
from randlabels.eigen.patches import PatchStatistics, input_statistics, patch_statistics
from randlabels.errors import InputError
from randlabels.models.facts import facts_of
from randlabels.models.layers import Conv, Dense
from randlabels.models.naming import get_layer

# Images that go through a network at once.
BATCH = 64


@dataclasses.dataclass(frozen=True)
class Layer:
    """A convolution or dense layer.

    Attributes:
        path: in the parameter tree, "conv1" or "group1_block1/conv2".
        input_shape: of one example, (h, w, channels) or (d,).
        kernel_shape: (side, side, channels, filters) or (d, filters).
        stride: of the convolution, along both axes; 1 for a dense layer.
        padding: of the convolution, "VALID" or "SAME".
    """

    path: str
    input_shape: tuple[int, ...]
    kernel_shape: tuple[int, ...]
    stride: int = 1
    padding: str = "VALID"

    @property
    def dim(self) -> int:
        """d, the number of weights of a filter."""
        return math.prod(self.kernel_shape[:-1])

    @property
    def num_filters(self) -> int:
        """Filters (units) of one network."""
        return self.kernel_shape[-1]

    @property
    def patches_per_image(self) -> int:
        """Positions at which the filters are applied."""
        if len(self.kernel_shape) == 2:
            return 1
        covered = 0 if self.padding == "SAME" else self.kernel_shape[0] - 1
        return math.prod(-(-(side - covered) // self.stride) for side in self.input_shape[:2])

    def statistics(self, inputs: Any) -> PatchStatistics:
        """Moments of the patches of inputs [n, *input_shape], one array or an iterable of them."""
        if len(self.kernel_shape) == 2:
            return input_statistics(inputs)
        side = self.kernel_shape[0]
        return patch_statistics(inputs, side, self.stride, self.padding)


@dataclasses.dataclass(frozen=True, eq=False)
class LayerInputs:
    """What the layers of networks of one model receive when they are shown images.

    Attributes:
        model: from `randlabels.models`, computing in float32.
        images: uint8 [n, h, w, c], or floats that are used as they are, [n, ...].
        mean: of each channel, by which uint8 images are standardised.
        std: likewise.
    """

    model: nn.Module
    images: np.ndarray
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
            raise InputError(
                "the model has no Conv or Dense of randlabels.models.layers, so what its layers "
                "receive is not known; make it of these."
            )
        if not facts_of(self.model).name:  # a model from elsewhere
            self._check_first(found[0])
        return found

    def _check_first(self, first: Layer) -> None:
        """The analysis takes the data for the inputs of the first layer: are they?"""
        images = next(self.batches())
        variables = self.model.init(jax.random.key(0), images[:1])
        received = np.asarray(_compile_inputs(self.model, first.path)(variables, images))
        same_size = received.size == images.size
        if not same_size or not np.allclose(received.ravel(), images.ravel()):
            raise InputError(
                f"layer {first.path} is the first of randlabels.models.layers in the model, but "
                "does not receive the images as they are; make what comes before it of these "
                "layers, too."
            )

    def batches(self) -> Iterator[np.ndarray]:
        """All images as the networks see them, in batches [at most 64, ...]."""
        for start in range(0, len(self.images), BATCH):
            yield standardise(self.images[start : start + BATCH], self.mean, self.std)

    @functools.cached_property
    def of_data(self) -> PatchStatistics:
        """Moments of the inputs of the first layer: of the data, whatever the network."""
        first = self.layers[0]
        return first.statistics(x.reshape(len(x), *first.input_shape) for x in self.batches())

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

    def received(self, variables: Any, path: str) -> Iterator[jax.Array]:
        """What a layer of one network receives, in batches [at most 64, *input_shape].

        Args as of `moments`.
        """
        inputs_of = _compile_inputs(self.model, path)
        return (inputs_of(variables, x) for x in self.batches())

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
    def inputs_of(variables: Any, x: jax.Array) -> jax.Array:
        _, sown = model.apply(variables, x, mutable=["inputs"])
        return get_layer(sown["inputs"], path)["x"]

    return inputs_of


@functools.lru_cache(maxsize=64)
def find_layers(model: nn.Module, input_shape: tuple[int, ...]) -> tuple[Layer, ...]:
    """The `Conv` and `Dense` layers of a model as they are applied; nothing is computed."""
    found: list[Layer] = []

    def note(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        module = context.module
        path = "/".join(module.path)
        if isinstance(module, Conv):
            shape = args[0].shape[1:]
            side = module.kernel_size
            kernel = (side, side, shape[-1], module.features)
            found.append(Layer(path, shape, kernel, module.stride, module.padding))
        elif isinstance(module, Dense):
            shape = args[0].shape[1:]
            found.append(Layer(path, shape, (shape[-1], module.features)))
        return call(*args, **kwargs)

    example = jax.ShapeDtypeStruct((1, *input_shape), np.float32)
    with nn.intercept_methods(note):
        jax.eval_shape(model.init, jax.random.key(0), example)
    return tuple(found)
