"""The convolutions and dense layers of a model as they are applied: this package's and flax's.

Layers of other kinds, and convolutions that see their inputs in a way that patches do not show
(groups, dilation, borders other than zeros, more or fewer than two axes), are named with the reason
why they cannot be analysed.
"""

import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from flax.nnx.bridge import ToLinen

from randlabels.analysis import nnx_layers
from randlabels.eigen.patches import PatchStatistics, input_statistics, patch_rows, patch_statistics
from randlabels.models.facts import facts_of
from randlabels.models.layers import Conv, Dense
from randlabels.models.naming import get_layer


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

    def has_few_patches(self, num_images: int) -> bool:
        """Whether so many images have no more patches than a patch has entries."""
        return num_images * self.patches_per_image <= self.dim

    def statistics(self, inputs: Any) -> PatchStatistics:
        """Moments of the patches of inputs [n, *input_shape], one array or an iterable of them."""
        if len(self.kernel_shape) == 2:
            return input_statistics(inputs)
        side = self.kernel_shape[0]
        return patch_statistics(inputs, side, self.stride, self.padding)

    def rows(self, inputs: Iterable[Any]) -> Iterator[np.ndarray]:
        """The patches of inputs [n, *input_shape], arrays [patches, d]; of few images."""
        if len(self.kernel_shape) == 2:
            return (np.asarray(part) for part in inputs)
        return patch_rows(inputs, self.kernel_shape[0], self.stride, self.padding)


@dataclasses.dataclass(frozen=True)
class Survey:
    """The layers of a model.

    Attributes:
        layers: that can be analysed, in the order in which data reach them.
        reasons: {path: why it cannot be} of the others that have a kernel.
    """

    layers: tuple[Layer, ...]
    reasons: dict[str, str]


def find_layers(model: nn.Module, input_shape: tuple[int, ...]) -> tuple[Layer, ...]:
    """The layers of a model that can be analysed; nothing is computed."""
    return survey(model, input_shape).layers


@functools.lru_cache(maxsize=64)
def survey(model: nn.Module, input_shape: tuple[int, ...]) -> Survey:
    """The layers of a model, by applying it to the shape of one input."""
    if isinstance(model, ToLinen):
        return _survey_nnx(model, input_shape)
    found: dict[str, Layer] = {}
    reasons: dict[str, str] = {}

    def note(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        module = context.module
        if context.method_name == "__call__" and isinstance(module, _KINDS):
            path = "/".join(module.path)
            layer = _described(path, module, received(args, kwargs).shape[1:])
            if path in found:
                reasons[path] = "it is applied more than once"
            elif isinstance(layer, str):
                reasons[path] = layer
            else:
                found[path] = layer
        return call(*args, **kwargs)

    example = jax.ShapeDtypeStruct((1, *input_shape), np.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), example)
    with nn.intercept_methods(note):
        jax.eval_shape(model.apply, variables, example)
    if not facts_of(model).name:  # of the user's own: layers may be lifted
        for path, layer in found.items():
            kernel = get_layer(variables["params"], path).get("kernel")
            if getattr(kernel, "shape", None) != layer.kernel_shape:
                reasons.setdefault(path, f"its kernel is not of shape {layer.kernel_shape}")
            elif path not in reasons and not _can_be_seen(model, path, variables, example):
                reasons[path] = "it is lifted, as by nn.jit or nn.scan"
    layers = tuple(layer for path, layer in found.items() if path not in reasons)
    return Survey(layers, reasons)


def _survey_nnx(model: ToLinen, input_shape: tuple[int, ...]) -> Survey:
    """As `survey`, of a model whose calls cannot be watched."""
    found: list[Layer] = []
    reasons: dict[str, str] = {}
    for path, applied in nnx_layers.applications(model, input_shape).items():
        described = applied if isinstance(applied, str) else _described(path, *applied)
        if isinstance(described, str):
            reasons[path] = described
        else:
            found.append(described)
    return Survey(tuple(found), reasons)


def _can_be_seen(model: nn.Module, path: str, variables: Any, example: Any) -> bool:
    """Whether what a layer receives can leave the model: not out of a transformed part of it."""

    def first(variables: Any, x: Any) -> list[jax.Array]:
        return inputs_of(model, path, variables, x)[:1]

    try:
        return bool(jax.jit(first).lower(variables, example).out_info)
    except jax.errors.UnexpectedTracerError:
        return False


def inputs_of(model: nn.Module, path: str, variables: Any, x: Any) -> list[jax.Array]:
    """What a layer receives at each call while a model is applied."""
    if isinstance(model, ToLinen):
        return nnx_layers.received(model, path, variables, x)
    found: list[jax.Array] = []

    def note(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if context.method_name == "__call__" and "/".join(context.module.path) == path:
            found.append(received(args, kwargs))
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        model.apply(variables, x)
    return found


def received(args: Any, kwargs: Any) -> jax.Array:
    """The inputs of a call of a layer, however they are given."""
    inputs: jax.Array = args[0] if args else next(iter(kwargs.values()))
    return inputs


_OTHERS = (nn.ConvLocal, nn.ConvTranspose, nn.DenseGeneral, nn.Einsum, nn.Embed)
_KINDS = (Conv, Dense, nn.Conv, nn.Dense, *_OTHERS)


def _described(path: str, module: Any, shape: tuple[int, ...]) -> Layer | str:
    """The layer, or why it cannot be analysed."""
    if type(module) not in (Conv, Dense, nn.Conv, nn.Dense):  # they may do something else
        return f"it is a {type(module).__name__}"
    if isinstance(module, Dense | nn.Dense):
        if len(shape) != 1:
            return f"its inputs are {shape}, not one axis of features"
        return Layer(path, shape, (shape[-1], module.features))
    if isinstance(module, Conv):
        side = module.kernel_size
        kernel = (side, side, shape[-1], module.features)
        return Layer(path, shape, kernel, module.stride, module.padding)
    return _described_convolution(path, module, shape)


def _described_convolution(path: str, module: nn.Conv, shape: tuple[int, ...]) -> Layer | str:
    """As `_described`, of a convolution of flax."""
    size = module.kernel_size
    sides = None if isinstance(size, int) else _pair(size)  # flax takes 3 for (3,), of vectors
    if len(shape) != 3 or sides is None:
        return "it is no convolution of images"
    if sides[0] != sides[1]:
        return f"its kernel of {sides[0]} x {sides[1]} is not square"
    if module.feature_group_count != 1:
        return f"it is of {module.feature_group_count} groups of channels"
    dilations = (module.kernel_dilation, module.input_dilation)
    if any(_pair(dilation or 1) != (1, 1) for dilation in dilations):
        return "it is dilated"
    if module.mask is not None:
        return "its kernel is masked"
    strides = _pair(module.strides or 1)
    if strides is None or strides[0] != strides[1]:
        return "its strides differ"
    padding = _padding(module.padding, shape, sides, strides)
    if padding is None:
        return f"its padding {module.padding!r} is neither VALID nor SAME"
    kernel = (*sides, shape[-1], module.features)
    return Layer(path, shape, kernel, strides[0], padding)


def _pair(value: Any) -> tuple[int, int] | None:
    """One number for both axes, or one for each; None for another number of axes."""
    pair = (value, value) if isinstance(value, int) else tuple(value)
    return (int(pair[0]), int(pair[1])) if len(pair) == 2 else None


def _padding(
    padding: Any, shape: tuple[int, ...], sides: tuple[int, int], strides: tuple[int, int]
) -> str | None:
    """ "VALID" or "SAME" if the zeros beyond the border are those, None if not."""
    if padding is None:
        return None
    if isinstance(padding, str):
        return padding if padding in ("VALID", "SAME") else None
    both = (padding, padding) if isinstance(padding, int) else tuple(padding)
    given = [(side, side) if isinstance(side, int) else tuple(side) for side in both]
    for name in ("VALID", "SAME"):
        if given == list(jax.lax.padtype_to_pads(shape[:2], sides, strides, name)):
            return name
    return None
