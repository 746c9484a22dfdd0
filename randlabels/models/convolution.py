"""Convolutions that are fast on a CPU, too, with the signature of XLA's.

`convolve` takes the place of `jax.lax.conv_general_dilated`, also in flax's own layers:
`nn.Conv(16, (3, 3), conv_general_dilated=convolve)`. It has two implementations with, to rounding,
the same result:

* `lax`: XLA's convolution. Right on GPU and TPU.
* `patches`: shifted slices side by side and one matrix product. On CPU the gradient of XLA's
  convolution for a population, or inside a scan, is 10 to 190 times slower (jax-ml/jax#12868);
  matrix products are not.
"""

import contextlib
import contextvars
import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

NHWC = jax.lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))

_SEEN_BY_ANALYSIS = contextvars.ContextVar("seen_by_analysis", default=False)


def convolve(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    *,
    implementation: str = "auto",
    precision: Any = None,
    preferred_element_type: Any = None,
    **others: Any,
) -> jax.Array:
    """What `jax.lax.conv_general_dilated` computes of these arguments, as products on a CPU.

    Convolutions that are not of images [batch, h, w, channels] with kernels [h, w, channels,
    features], whose inputs are dilated, or whose kernel is larger than its images, are left to XLA
    everywhere.

    Args:
        lhs: the images.
        rhs: the kernel.
        implementation: "lax", "patches", or "auto", which is `patches` on CPU.
        others: further arguments of `jax.lax.conv_general_dilated`; one that is set leaves it
            to XLA.
    """
    numbers = jax.lax.conv_dimension_numbers(lhs.shape, rhs.shape, dimension_numbers)
    plain = numbers == NHWC and not any(value is not None for value in others.values())
    if plain and set(lhs_dilation or (1,)) == {1} and chosen(implementation) == "patches":
        sides, dilation = rhs.shape[:2], rhs_dilation or (1, 1)
        pads = pads_of(lhs.shape[1:3], sides, window_strides, padding, dilation)
        if _fit(lhs.shape[1:3], sides, pads, dilation):
            patches = extract_patches(lhs, sides, window_strides, pads, dilation)
            return _products(patches, rhs, feature_group_count, precision, preferred_element_type)
    return jax.lax.conv_general_dilated(
        lhs,
        rhs,
        window_strides,
        padding,
        lhs_dilation=lhs_dilation,
        rhs_dilation=rhs_dilation,
        dimension_numbers=numbers,
        feature_group_count=feature_group_count,
        precision=precision,
        preferred_element_type=preferred_element_type,
        **others,
    )


def chosen(implementation: str) -> str:
    """The implementation that is meant: `auto` is `patches` on CPU and `lax` elsewhere."""
    if implementation != "auto":
        return implementation
    on_cpu = jax.default_backend() == "cpu"
    return "patches" if on_cpu and not _SEEN_BY_ANALYSIS.get() else "lax"


@contextlib.contextmanager
def as_convolutions() -> Iterator[None]:
    """Within, `auto` is XLA's convolution on CPU too: what a kernel does stands in the jaxpr."""
    token = _SEEN_BY_ANALYSIS.set(True)
    try:
        yield
    finally:
        _SEEN_BY_ANALYSIS.reset(token)


def pads_of(
    image: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    dilation: Sequence[int],
) -> Sequence[tuple[int, int]]:
    """Zeros before and behind each axis, as XLA counts them."""
    if not isinstance(padding, str):
        return padding
    covered = [(side - 1) * step + 1 for side, step in zip(kernel, dilation, strict=True)]
    pads: Sequence[tuple[int, int]] = jax.lax.padtype_to_pads(image, covered, strides, padding)
    return pads


def _fit(
    image: Sequence[int],
    kernel: Sequence[int],
    pads: Sequence[tuple[int, int]],
    dilation: Sequence[int],
) -> bool:
    """Whether an image with its zeros holds a kernel; otherwise XLA's result is empty."""
    sides = zip(image, kernel, pads, dilation, strict=True)
    return all(side + sum(pad) > (k - 1) * step for side, k, pad, step in sides)


def extract_patches(
    x: jax.Array,
    kernel: Sequence[int],
    strides: Sequence[int],
    pads: Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
    dilation: Sequence[int] = (1, 1),
) -> jax.Array:
    """All patches of x [batch, h, w, c] as [batch, rows, columns, kernel h * kernel w * c].

    Flattened in the order (row, column, channel).

    Args:
        x: the images.
        kernel: its height and width.
        strides: along both axes.
        pads: zeros before and behind each axis.
        dilation: the distance of neighbours within a patch, along both axes.
    """
    if any(before or after for before, after in pads):
        x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    (rows, row), (columns, column) = (
        ((side - (k - 1) * step - 1) // stride + 1, (stride, step))
        for side, k, stride, step in zip(x.shape[1:3], kernel, strides, dilation, strict=True)
    )
    slices = [
        x[:, _every(i * row[1], rows, row[0]), _every(j * column[1], columns, column[0])]
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]
    return jnp.concatenate(slices, axis=-1)


def _every(start: int, number: int, stride: int) -> slice:
    return slice(start, start + stride * (number - 1) + 1, stride)


def _products(
    patches: jax.Array, kernel: jax.Array, groups: int, precision: Any, dtype: Any
) -> jax.Array:
    """Patches times the flattened kernel, each group of channels with its share of the features."""
    if groups == 1:
        flat = kernel.reshape(-1, kernel.shape[-1])
        return jnp.matmul(patches, flat, precision=precision, preferred_element_type=dtype)
    pixels, channels, features = math.prod(kernel.shape[:2]), kernel.shape[2], kernel.shape[3]
    split = patches.reshape(*patches.shape[:3], pixels, groups, channels)
    by_group = kernel.reshape(pixels, channels, groups, features // groups)
    y = jnp.einsum(
        "bijpgc,pcgf->bijgf", split, by_group, precision=precision, preferred_element_type=dtype
    )
    return y.reshape(*patches.shape[:3], features)
