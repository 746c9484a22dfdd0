"""First and second moments of the patches that a layer sees, streamed over images and devices."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from randlabels.eigen import row_products
from randlabels.eigen.matrices import float64, float64_devices

# Bytes of float64 patches that one chunk may hold on a device; a single image may need more.
_CHUNK_BYTES = 32 * 2**20
# Of float64 pixels, where products of their rows are taken: they stay in the caches of a CPU.
_PIXEL_BYTES = 4 * 2**20
_NOTHING = "there are no images to take statistics of; give at least one."
_NOT_FINITE = "the images hold infinite or NaN values; clean them first."


@dataclass(frozen=True)
class PatchStatistics:
    """Moments of patches x in R^d, float64; d is flattened in the order row, column, channel."""

    mean: np.ndarray  # [d], E[x]
    covariance: np.ndarray  # [d, d], E[(x - mean)(x - mean)^T] with 1/n: the Sigma_x of the paper
    second_moment: np.ndarray  # [d, d], E[x x^T] with 1/n
    count: int  # n, the number of patches


def patch_statistics(
    images: ArrayLike | Iterable[ArrayLike],
    kernel_size: int | tuple[int, int],
    strides: int | tuple[int, int] = (1, 1),
    padding: str = "VALID",
) -> PatchStatistics:
    """Moments of all patches that a convolution of this kernel size, stride and padding sees.

    `images` is one array [n, h, w, c] or an iterable of such arrays, which may differ in n; it is
    read once. The moments divide by the number of patches n (population, not n - 1). "SAME" pads
    with zeros where the convolution does, so give the images as the network sees them. Pieces of
    at most 32 MiB of patches (or one image) go to the local devices in turn; each device keeps
    one d x d sum, or one of products of rows of pixels where that takes less time. Sums are of
    patches less the mean of the first piece, which keeps their digits when the mean is large.

    Raises ValueError for images of another rank or of changing size, no images, a kernel larger
    than the (padded) image, unknown padding, and infinite or NaN pixels.
    """
    window, steps = _pair(kernel_size, "kernel_size"), _pair(strides, "strides")
    if padding not in ("VALID", "SAME"):
        raise ValueError(f'padding is {padding!r}; give "VALID" or "SAME".')
    pieces = _padded(_chunks(images), window, steps, padding)
    first = next(pieces, None)
    if first is None:
        raise ValueError(_NOTHING)
    pieces = itertools.chain([first], pieces)
    if row_products.pay(first.shape[1:], window, steps):
        return _of_rows(first, pieces, window)
    return _accumulate(_cut(piece, window, steps) for piece in pieces)


def patch_rows(
    images: ArrayLike | Iterable[ArrayLike],
    kernel_size: int | tuple[int, int],
    strides: int | tuple[int, int] = (1, 1),
    padding: str = "VALID",
) -> Iterator[np.ndarray]:
    """The patches themselves, [num_patches, d] a piece; arguments and errors as `patch_statistics`.

    For so few images that all their patches can be held.
    """
    window, steps = _pair(kernel_size, "kernel_size"), _pair(strides, "strides")
    for piece in _padded(_chunks(images), window, steps, padding):
        yield _cut(piece, window, steps)


def input_statistics(inputs: ArrayLike | Iterable[ArrayLike]) -> PatchStatistics:
    """Moments (1/n) of the inputs [n, d] of a dense layer, one array or an iterable of arrays.

    Raises ValueError for inputs of another rank, no inputs, and infinite or NaN values.
    """
    return _accumulate(
        _pieces(_chunks(inputs), "[n, d]", lambda item: _CHUNK_BYTES // (8 * item[0]))
    )


def _chunks(arrays: Any) -> Iterable[Any]:
    return [arrays] if hasattr(arrays, "shape") else arrays


def _pair(value: int | tuple[int, int], name: str) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or any(int(side) != side or side < 1 for side in pair):
        raise ValueError(f"{name} is {value!r}; give one or two positive integers.")
    return int(pair[0]), int(pair[1])


def _pieces(
    chunks: Iterable[Any], axes: str, length_of: Callable[[tuple[int, ...]], int]
) -> Iterator[np.ndarray]:
    """Arrays of one rank and item shape, cut along their first axis to a length."""
    rank, expected = axes.count(",") + 1, None
    for chunk in chunks:
        shape = tuple(np.shape(chunk))
        expected = expected or shape[1:]
        if len(shape) != rank or shape[1:] != expected or 0 in shape[1:]:
            raise ValueError(f"a chunk has shape {shape}; give arrays {axes} of one size.")
        length = max(1, length_of(shape[1:]))
        for start in range(0, shape[0], length):
            yield np.asarray(chunk[start : start + length])


def _padded(
    chunks: Iterable[Any], window: tuple[int, int], steps: tuple[int, int], padding: str
) -> Iterator[np.ndarray]:
    """Images with the zeros that the convolution adds, piece by piece, in their type."""

    def length(item: tuple[int, ...]) -> int:
        sides = [
            size + sum(_margins(size, side, step, padding))
            for size, side, step in zip(item, window, steps, strict=False)
        ]
        if any(size < side for size, side in zip(sides, window, strict=True)):
            raise ValueError(
                f"kernel_size {window} does not fit into images of {item[0]}x{item[1]} "
                'pixels; give a smaller kernel or padding="SAME".'
            )
        if row_products.pay((*sides, item[2]), window, steps):
            return _PIXEL_BYTES // (8 * sides[0] * sides[1] * item[2])
        positions = [
            (size - side) // step + 1 for size, side, step in zip(sides, window, steps, strict=True)
        ]
        return _CHUNK_BYTES // (8 * math.prod(positions) * math.prod(window) * item[2])

    for piece in _pieces(chunks, "[n, h, w, c]", length):
        margins = [_margins(piece.shape[1 + i], window[i], steps[i], padding) for i in (0, 1)]
        yield np.pad(piece, [(0, 0), *margins, (0, 0)])


def _cut(piece: np.ndarray, window: tuple[int, int], steps: tuple[int, int]) -> np.ndarray:
    """Patches [num_patches, d] of padded images, in their type.

    The host cuts them out: one strided copy of uint8 or float32 is several times faster than what
    XLA makes of slices, gathers or an identity convolution on CPU (2 s against 13 to 33 s for
    50,000 CIFAR images and 5x5 patches on 4 cores).
    """
    windows = np.lib.stride_tricks.sliding_window_view(piece, window, axis=(1, 2))
    strided = windows[:, :: steps[0], :: steps[1]].transpose(0, 1, 2, 4, 5, 3)
    return np.ascontiguousarray(strided).reshape(-1, window[0] * window[1] * piece.shape[3])


def _margins(size: int, side: int, step: int, padding: str) -> tuple[int, int]:
    """Zeros before and after one image axis; SAME gives ceil(size / step) positions, as in XLA."""
    if padding == "VALID":
        return 0, 0
    total = max((-(-size // step) - 1) * step + side - size, 0)
    return total // 2, total - total // 2


def _of_rows(
    first: np.ndarray, pieces: Iterator[np.ndarray], window: tuple[int, int]
) -> PatchStatistics:
    """Moments of the patches of padded images, by products of their rows."""
    image = first.shape[1:]
    shift = _mean(first, (0, 1, 2))
    start = row_products.no_sums(image, window[0])
    sums, images = _summed(pieces, start, lambda *both: row_products.add(*both, shift, window[0]))
    count = images * (image[0] - window[0] + 1) * (image[1] - window[1] + 1)
    total, gram = row_products.patch_sums(sums, image, window)
    return _moments(np.tile(shift, math.prod(window)), total / count, gram / count, count)


def _accumulate(pieces: Iterator[np.ndarray]) -> PatchStatistics:
    """Moments of the rows of arrays [n, d]."""
    first = next(pieces, None)
    if first is None:
        raise ValueError(_NOTHING)
    shift = _mean(first, (0,))
    start = np.zeros(len(shift)), np.zeros((len(shift), len(shift)))
    pieces = itertools.chain([first], pieces)
    (total, gram), count = _summed(pieces, start, lambda *both: _add(*both, shift))
    return _moments(shift, total / count, gram / count, count)


def _mean(piece: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # infinities are refused at the end
        mean: np.ndarray = piece.mean(axes, dtype=np.float64)
        return mean


def _summed(
    pieces: Iterable[np.ndarray], start: Any, add: Callable[[Any, jax.Array], Any]
) -> tuple[Any, int]:
    """(sums in float64, as NumPy arrays; number of items) of pieces that go to devices in turn."""
    count = 0
    with float64():
        sums: dict[jax.Device, Any] = {}
        devices = itertools.cycle(float64_devices())
        for piece in pieces:
            device = next(devices)
            if device not in sums:
                sums[device] = jax.device_put(start, device)
            # One piece in flight per device bounds memory; the host cuts the next meanwhile.
            jax.block_until_ready(sums[device])
            sums[device] = add(sums[device], jax.device_put(piece, device))
            count += piece.shape[0]
        found = [jax.tree.map(np.asarray, one) for one in sums.values()]
    return jax.tree.map(lambda *of: np.sum(of, axis=0), *found), count


def _moments(
    shift: np.ndarray, offset: np.ndarray, gram: np.ndarray, count: int
) -> PatchStatistics:
    """From the means of x - shift and of its products."""
    if not (np.isfinite(shift).all() and np.isfinite(gram).all()):
        raise ValueError(_NOT_FINITE)
    mean = shift + offset
    covariance = gram - np.outer(offset, offset)
    covariance = (covariance + covariance.T) / 2
    return PatchStatistics(mean, covariance, covariance + np.outer(mean, mean), count)


@partial(jax.jit, donate_argnums=0)
def _add(
    sums: tuple[jax.Array, jax.Array], patches: jax.Array, shift: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Add sum x and sum x x^T of shifted patches."""
    shifted = patches.astype(jnp.float64) - shift
    return sums[0] + shifted.sum(0), sums[1] + shifted.T @ shifted
