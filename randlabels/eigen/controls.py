"""Bases that are not the data's: what alignment with the data's eigenvectors has to beat.

Random bases are easily beaten. These share what any basis of image patches has, smooth vectors and
opponent colours, or are the data's own eigenvectors gone wrong.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import scipy.fft
from jax.typing import ArrayLike

from randlabels.eigen.matrices import orthonormal_bases

# Columns: luminance, red-green, blue-yellow.
_OPPONENT = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]]).T / np.sqrt([3, 2, 6])

_AXES = ("row", "column", "channel")


def dct_opponent_basis(patch_shape: Sequence[int]) -> np.ndarray:
    """Cosines times opponent colours: an orthonormal basis [d, d] that knows no data.

    `patch_shape` is (rows, columns, channels) of the patches that a filter sees, or (d,) for inputs
    that are no images. A vector is a product of two cosines of the orthonormal DCT-II (Ahmed,
    Natarajan & Rao 1974) and a colour: (1, 1, 1), (1, -1, 0) or (1, 1, -2), scaled to length 1; for
    another number of channels a cosine along them, and for (d,) one along the only axis. Vectors
    are flattened in the order row, column, channel and ordered by spatial frequency, at each
    frequency by colour: as the eigenvectors of photographs are, nearly.

    Raises ValueError for a shape of another length, or with an entry that is not positive.
    """
    shape = _checked(patch_shape)
    if len(shape) == 1:
        return _cosines(shape[0])
    rows, columns, channels = shape
    colours = _OPPONENT if channels == 3 else _cosines(channels)
    basis = np.kron(np.kron(_cosines(rows), _cosines(columns)), colours)
    high, wide, _ = np.indices(shape).reshape(3, -1)
    order = np.argsort((high / rows) ** 2 + (wide / columns) ** 2, kind="stable")
    return basis[:, order]


def permuted_flattenings(vectors: ArrayLike, patch_shape: Sequence[int]) -> dict[str, np.ndarray]:
    """{what went wrong: basis [d, d]}: eigenvectors with their patches flattened in a wrong order.

    `vectors` [d, d] hold patches of `patch_shape` (rows, columns, channels) as columns, flattened
    row, column, channel. Comparing kernels with patches of another order is the usual mistake (a
    PyTorch kernel is ordered channel, row, column). The wrong orders are the other five of the
    axes, and the right one with the channels reversed (BGR for RGB). Where lengths of 1 make two
    orders the same there is one of them, and none that is right after all; a patch of one axis
    (d,) has no wrong order.

    A wrong order need not matter: patches that are as likely transposed as they are have the same
    eigenvectors in both orders, and the same goes for colours. M of the basis and Sigma_x itself,
    `misalignment(basis, sigma_x)`, says how wrong it is.

    Raises ValueError for a basis that is not orthonormal, or a shape that does not fit to it.
    """
    basis, shape = orthonormal_bases(vectors, "vectors"), _checked(patch_shape)
    if basis.shape != (math.prod(shape), math.prod(shape)):
        raise ValueError(
            f"vectors have shape {basis.shape}, but patches {shape} have {math.prod(shape)} "
            "entries; give one basis of patches of that shape."
        )
    if len(shape) == 1:
        return {}
    places = np.arange(basis.shape[0]).reshape(shape)
    orders = {
        "patches ordered " + ", ".join(_AXES[axis] for axis in axes): places.transpose(axes)
        for axes in itertools.permutations(range(3))
    } | {"channels reversed": places[..., ::-1]}
    seen, found = {tuple(places.ravel())}, {}
    for name, order in orders.items():
        if tuple(order.ravel()) not in seen:
            seen.add(tuple(order.ravel()))
            found[name] = basis[order.ravel()]
    return found


def _checked(patch_shape: Sequence[int]) -> tuple[int, ...]:
    shape = tuple(int(length) for length in patch_shape)
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise ValueError(f"patch_shape is {shape}; give (rows, columns, channels), or (d,).")
    return shape


def _cosines(length: int) -> np.ndarray:
    """The orthonormal DCT-II [length, length], frequencies as columns."""
    return scipy.fft.dct(np.eye(length), norm="ortho", axis=0).T
