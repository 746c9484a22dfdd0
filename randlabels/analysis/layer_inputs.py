"""What the layers of a run's networks receive: geometry, and moments of their inputs.

The inputs of the first layer are the data, the same for all networks. Those of a deeper layer are
activations: each network has its own, and they change while it learns. They are computed in float32
whatever the precision of training, without augmentation, and streamed over images.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from randlabels.analysis.records import Skipped
from randlabels.configs import base
from randlabels.data import sources, splits
from randlabels.data.standardise import standardise
from randlabels.eigen.patches import PatchStatistics, input_statistics, patch_statistics
from randlabels.errors import InputError
from randlabels.models import build
from randlabels.models.layers import Conv, Dense
from randlabels.models.naming import get_layer
from randlabels.runs import CHECKPOINTS, Run, read_state

# Images that go through a network at once.
_BATCH = 64

# Inputs of a layer whose covariance still fits into memory (0.8 GB for each d x d).
MAX_DIM = 10_000


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


@dataclasses.dataclass(frozen=True)
class TaskInputs:
    """The images of a run's task, and the model that receives them.

    Attributes:
        model: as the run's config describes it, computing in float32.
        images: of config.train.task, uint8 [n, h, w, c] or float32 [n, d].
        mean: of each channel of the whole training set, as in training.
        std: likewise.
        layers: in the order in which data reach them.
    """

    model: nn.Module
    images: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    layers: tuple[Layer, ...]

    def batches(self) -> Iterator[np.ndarray]:
        """All images, standardised, in batches [at most 64, ...]."""
        for start in range(0, len(self.images), _BATCH):
            yield standardise(self.images[start : start + _BATCH], self.mean, self.std)

    def data_statistics(self) -> PatchStatistics:
        """Moments of the inputs of the first layer: of the data, whatever the network."""
        first = self.layers[0]
        return first.statistics(x.reshape(len(x), *first.input_shape) for x in self.batches())

    def activation_statistics(self, layer: Layer) -> Callable[[Any], PatchStatistics]:
        """A function from the variables of one network to the moments of the layer's inputs."""

        @jax.jit  # what the network computes after this layer is not compiled
        def inputs_of(variables: Any, x: jax.Array) -> jax.Array:
            _, sown = self.model.apply(variables, x, mutable=["inputs"])
            return get_layer(sown["inputs"], layer.path)["x"]

        return lambda variables: layer.statistics(inputs_of(variables, x) for x in self.batches())


def open_inputs(run: Run) -> TaskInputs:
    """Load the images of a run's task and find the layers of its model.

    Raises:
        InputError: if the data set is missing (DataError).
    """
    config = base.get_config()
    config.update(run.config)  # casts JSON's lists to tuples
    dataset = sources.load(config.data)
    sizes = config.data.upstream_size, config.data.downstream_size
    chosen = splits.split_indices(config.data.seed, len(dataset.train_images), *sizes)
    mean, std = sources.channel_statistics(dataset.train_images)
    model = build(config).clone(dtype=jnp.float32)
    images = dataset.train_images[chosen[config.train.task]]
    return TaskInputs(model, images, mean, std, find_layers(model, images.shape[1:]))


def find_layers(model: nn.Module, input_shape: tuple[int, ...]) -> tuple[Layer, ...]:
    """The layers of a model in the order in which they are applied; nothing is computed."""
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


def choose_layers(
    names: Sequence[str], layers: Sequence[Layer]
) -> tuple[list[Layer], list[Skipped]]:
    """The layers of these names in forward order; () is the first layer, ("all",) is every one.

    Returns also what "all" leaves out: layers of more than 10,000 dimensions.

    Raises:
        InputError: if there is no layer of a name, or it has more than 10,000 dimensions.
    """
    known = [layer.path for layer in layers]
    unknown = [name for name in names if name not in (*known, "all")]
    if unknown:
        raise InputError(
            f"--layers names {unknown[0]!r}; it may be all, or some of {', '.join(known)}."
        )
    wanted = known if "all" in names else names or known[:1]
    chosen = [layer for layer in layers if layer.path in wanted]
    reasons = {
        layer.path: f"layer {layer.path} has {layer.dim:,} inputs, and their covariance too many "
        f"entries; choose layers of at most {MAX_DIM:,}."
        for layer in chosen
        if layer.dim > MAX_DIM
    }
    if reasons and "all" not in names:
        raise InputError(next(iter(reasons.values())))
    for reason in reasons.values():
        logging.warning("%s", reason)
    skipped = [Skipped(path, None, reason) for path, reason in reasons.items()]
    return [layer for layer in chosen if layer.path not in reasons], skipped


def read_kernels(run: Run, step: int, path: str) -> np.ndarray:
    """The kernels [network, ...] of one layer at one checkpoint.

    Raises:
        InputError: if they are missing or damaged.
    """
    return get_layer(run.params(step, layer=path), path)["kernel"]


def read_variables(run: Run, step: int) -> Any:
    """What a model needs to compute, for all networks: leaves lead with the axis `network`.

    Raises:
        InputError: if they are missing or damaged.
    """
    folder = run.workdir / CHECKPOINTS / str(step)
    return read_state(folder, "params/") | read_state(folder, "batch_stats/")
