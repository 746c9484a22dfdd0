"""Filters of one network in the channels of another: orthogonal alignment of what a layer receives.

The weights of a deeper layer belong to the channels of the network that learned them. A network
whose lower layers were drawn anew has other channels; up to sampling they are a rotation of the
old ones. That rotation is found from activations, and the filters are carried over by it, as in
the rainbow networks of Guth, Ménard, Rochette & Mallat (arXiv:2305.18512) and White, Chaudhary,
Wolf, Lajoie & Harris ("Learning and Aligning Structured Random Feature Networks", ICLR 2024
workshop on representational alignment). Here activations are centred, as they are for Sigma_x.
All in NumPy, float64.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np


def cross_covariances(
    ours: Iterable[Any], theirs: Sequence[Iterable[Any]], channels: int
) -> np.ndarray:
    """E[(x - E x) (y - E y)^T], with 1/n, of the channels of one network and of each of others.

    Args:
        ours: batches of what a layer of one network receives, [n, ..., channels], or [n, d] where
            maps are flattened in the order (row, column, channel). x runs over images and
            positions.
        theirs: the same of each other network, for the same images: y.
        channels: of all.

    Returns:
        [other network, channels, channels]; rows are our channels, columns theirs.

    Raises:
        ValueError: if they do not have the same shape.
    """
    product = np.zeros((channels, len(theirs) * channels))
    sum_x, sum_y = np.zeros(channels), np.zeros(len(theirs) * channels)
    shifts: list[np.ndarray] = []  # so that what is constant covaries by exactly 0
    count = 0
    for batch, *others in zip(ours, *theirs, strict=True):
        x = np.asarray(batch, np.float64).reshape(-1, channels)
        y = np.concatenate([_rows_like(other, batch, channels) for other in others], axis=1)
        shifts = shifts or [x[0], y[0]]
        x, y = x - shifts[0], y - shifts[1]
        product += x.T @ y
        sum_x, sum_y = sum_x + x.sum(0), sum_y + y.sum(0)
        count += len(x)
    cross = product / count - np.outer(sum_x / count, sum_y / count)
    return np.moveaxis(cross.reshape(channels, len(theirs), channels), 1, 0)


def _rows_like(other: Any, batch: Any, channels: int) -> np.ndarray:
    """[images and positions, channels] of another network's batch."""
    if other.shape != batch.shape:
        raise ValueError(
            f"One network receives {batch.shape[1:]}, the other {other.shape[1:]}; only inputs of "
            "one shape can be aligned."
        )
    return np.asarray(other, np.float64).reshape(-1, channels)


def procrustes_rotation(cross: np.ndarray) -> np.ndarray:
    """The orthogonal Q [c, c] for which E|Q^T x - y|^2 is least, reflections allowed.

    With C = E[x y^T] = U S V^T (centred) it is Q = U V^T (Schönemann 1966, Psychometrika 31).
    Directions in which nothing covaries, such as dead channels, leave Q undetermined; they are
    mapped onto each other in some way.

    Args:
        cross: C [c, c].

    Raises:
        ValueError: if nothing covaries, so that any Q would do.
    """
    if not np.isfinite(cross).all() or not cross.any():
        raise ValueError("What the two networks receive does not covary; all units may be dead.")
    left, _, right = np.linalg.svd(cross)
    rotation: np.ndarray = left @ right
    return rotation


def rotate_filters(filters: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Filters that do to x what the old ones do to y = Q^T x: w becomes (I kron Q) w.

    Q acts on the channels at each row and column, so that a covariance Sigma of the filters
    becomes (I kron Q) Sigma (I kron Q)^T.

    Args:
        filters: [d, m], d flattened in the order (row, column, channel).
        rotation: Q [c, c].

    Returns:
        [d, m], float64.
    """
    channels = len(rotation)
    pixels = np.asarray(filters, np.float64).reshape(-1, channels, filters.shape[-1])
    return (rotation @ pixels).reshape(filters.shape)
