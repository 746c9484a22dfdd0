"""Eigenvalues and eigenvectors of symmetric matrices, in descending order, and eigenspaces."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from randlabels.eigen.matrices import float64, real_array, symmetric_matrices


def descending_eigh(matrix: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues [..., d], largest first, and orthonormal eigenvectors [..., d, d] as columns.

    `matrix` is [..., d, d], any leading axes; the result is float64. Of each eigenvector, the
    entry of largest magnitude is positive, so that equal matrices give equal pictures.

    Raises ValueError for matrices that are not square, not symmetric or not finite.
    """
    matrices = symmetric_matrices(matrix, "matrix")
    with float64():
        values, vectors = _ascending_eigh(matrices)
    values, vectors = np.asarray(values)[..., ::-1], np.asarray(vectors)[..., ::-1]
    return values.copy(), with_signs(vectors)


def with_signs(vectors: np.ndarray) -> np.ndarray:
    """Columns [..., d, k] with signs by which the entry of largest magnitude is positive."""
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(-2, keepdims=True), -2)
    signed: np.ndarray = vectors * np.where(largest < 0, -1.0, 1.0)
    return signed


@jax.jit
def _ascending_eigh(matrices: jax.Array) -> tuple[jax.Array, jax.Array]:
    return jnp.linalg.eigh(matrices, symmetrize_input=False)


def eigenspaces(values: ArrayLike, tolerance: float) -> np.ndarray:
    """Number of the eigenspace of each eigenvalue, int [d]: 0, ..., 0, 1, ..., from the largest.

    `values` [d] descend and are not negative, beyond rounding. An eigenspace starts at the
    largest eigenvalue that is left and takes all that are at least (1 - tolerance) times it, so
    that a dense spectrum does not chain into one space. `tolerance` 0 groups exact ties only.

    Raises ValueError for values that are not a descending vector or clearly negative, and for a
    tolerance outside [0, 1).
    """
    spectrum = real_array(values, "values")
    if spectrum.ndim != 1 or spectrum.size == 0 or (np.diff(spectrum) > 0).any():
        raise ValueError(f"values {spectrum.shape} must be one vector of descending eigenvalues.")
    if spectrum[-1] < -1e-8 * spectrum[0]:
        raise ValueError(f"eigenvalue {spectrum[-1]:.3g} is negative; give those of a covariance.")
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance is {tolerance}; give a relative gap in [0, 1).")
    groups = np.zeros(spectrum.size, int)
    start = 0
    for index, value in enumerate(spectrum):
        if value < (1 - tolerance) * spectrum[start]:
            start = index
            groups[index:] += 1
    return groups
