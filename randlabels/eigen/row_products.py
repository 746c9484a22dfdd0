"""Moments of patches from products of rows of pixels, which overlapping patches share.

An entry of sum x x^T over patches is a sum of products of two pixels at a fixed distance, over the
positions of the kernel. So the products of each row of pixels with itself and the rows below it
hold all of them: for 5x5 patches of 32x32x3 pixels a third of the operations, and no patches are
cut out. Positions differ only at the border: rows that all offsets of the kernel see are summed
together, those of the border one by one.
"""

from functools import partial
from itertools import combinations_with_replacement, product
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_MOST_BYTES = 16 * 2**20  # of sums on a device: each piece of images adds to all of them
# Operations that take as long as to cut out and convert one number of a patch (measured on CPUs).
_CUTTING = 100


class RowSums(NamedTuple):
    """Sums over images of pixels less a shift; a row of pixels is [w * c], column after column."""

    pixels: jax.Array | np.ndarray  # [w * c, h]
    products: list[list[jax.Array | np.ndarray]]  # [group of rows][distance], each [w * c, w * c]


def pay(image: tuple[int, ...], window: tuple[int, int], strides: tuple[int, int]) -> bool:
    """Whether this way is the faster one for (padded) images [h, w, c] and a kernel's window."""
    (height, width, channels), (tall, wide) = image, window
    if strides != (1, 1) or height < 2 * tall - 1 or width < wide:
        return False
    row, dim = width * channels, tall * wide * channels
    positions = (height - tall + 1) * (width - wide + 1)
    fits = 8 * len(_groups(height, tall)) * tall * row**2 <= _MOST_BYTES
    return fits and height * tall * row**2 <= positions * dim * (dim + _CUTTING)


def _groups(height: int, tall: int) -> list[range]:
    """Rows that are seen by the same offsets: those of the border alone, all others together."""
    inner = range(tall - 1, height - tall + 1)
    top, bottom = range(inner.start), range(inner.stop, height)
    return [range(i, i + 1) for i in top] + [inner] + [range(i, i + 1) for i in bottom]


def _distances(rows: range, height: int, tall: int) -> range:
    """How far below a group of rows there are others that a patch with it may have."""
    return range(min(tall, height - rows.stop + 1))


def no_sums(image: tuple[int, ...], tall: int) -> RowSums:
    """Sums of no images [h, w, c] for a kernel of so many rows."""
    height, row = image[0], image[1] * image[2]
    distances = (_distances(rows, height, tall) for rows in _groups(height, tall))
    return RowSums(np.zeros((row, height)), [[np.zeros((row, row)) for _ in d] for d in distances])


@partial(jax.jit, donate_argnums=0, static_argnums=3)
def add(sums: RowSums, images: jax.Array, shift: jax.Array, tall: int) -> RowSums:
    """Add images [n, h, w, c] less the shift [c] of each channel."""
    n, height, width, channels = images.shape
    shifted = images.astype(jnp.float64) - shift
    # The long axes of the products are last: they are contiguous then.
    pixels = shifted.reshape(n, height, width * channels).transpose(2, 1, 0)

    def rows(group: range, distance: int) -> jax.Array:
        return pixels[:, group.start + distance : group.stop + distance].reshape(len(pixels), -1)

    products = [
        [total + rows(group, 0) @ rows(group, distance).T for distance, total in enumerate(totals)]
        for group, totals in zip(_groups(height, tall), sums.products, strict=True)
    ]
    return RowSums(sums.pixels + pixels.sum(-1), products)


def patch_sums(
    sums: RowSums, image: tuple[int, ...], window: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of x [d] and of x x^T [d, d] over all patches, flattened in row, column, channel."""
    (height, width, channels), (tall, wide) = image, window
    across = width - wide + 1
    pixels = np.asarray(sums.pixels).reshape(width, channels, height)
    total = np.zeros((tall, wide, channels))
    for i, j in product(range(tall), range(wide)):
        total[i, j] = pixels[j : j + across, :, i : i + height - tall + 1].sum((0, 2))
    gram = np.zeros((tall, wide, channels, tall, wide, channels))
    for i, below in combinations_with_replacement(range(tall), 2):
        rows = _seen(sums, height, tall, i, below - i).reshape(width, channels, width, channels)
        for j, beside in product(range(wide), repeat=2):
            pairs = rows[j : j + across, :, beside : beside + across]
            gram[i, j, :, below, beside] = np.einsum("xcxe->ce", pairs)
            gram[below, beside, :, i, j] = gram[i, j, :, below, beside].T
    dim = total.size
    return total.ravel(), gram.reshape(dim, dim)


def _seen(sums: RowSums, height: int, tall: int, offset: int, distance: int) -> np.ndarray:
    """Products, at a distance, of all rows that a row of the kernel is laid on."""
    last = offset + height - tall
    groups = zip(_groups(height, tall), sums.products, strict=True)
    seen = [of[distance] for rows, of in groups if offset <= rows.start and rows.stop - 1 <= last]
    total: np.ndarray = np.sum([np.asarray(one) for one in seen], axis=0)
    return total
