"""The leading eigenvectors of a covariance: of one with many dimensions, or of few examples."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.linalg
from jax.typing import ArrayLike

from randlabels.eigen.matrices import real_array, symmetric_matrices
from randlabels.eigen.spectra import descending_eigh, with_signs

# Of the largest eigenvalue: below it, one of a Gram matrix is rounding.
_ROUNDING = 1e-13


def leading_eigh(matrix: ArrayLike, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalues [k], descending, and their eigenvectors [d, k] as columns; float64.

    As `descending_eigh` of one symmetric matrix [d, d], with its signs, of which these are the
    first k = min(count, d); LAPACK computes no others.

    Raises ValueError for a matrix that is not square, not symmetric or not finite.
    """
    whole = symmetric_matrices(matrix, "matrix")
    dim = len(whole)
    if count >= dim:
        return descending_eigh(whole)
    values, vectors = scipy.linalg.eigh(
        whole, subset_by_index=(dim - count, dim - 1), overwrite_a=True, check_finite=False
    )
    return values[::-1].copy(), with_signs(vectors[:, ::-1])


def leading_eigh_of_examples(
    examples: ArrayLike | Iterable[ArrayLike], count: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Eigenvalues [k], eigenvectors [d, k] and the trace of the covariance of examples [n, d].

    The covariance, centred and with 1/n, has n - 1 eigenvectors at most where n <= d: they are
    those of the matrix of products of examples [n, n], which is smaller than [d, d], multiplied by
    the examples. k = min(count, n - 1, d). All in float64; signs as of `descending_eigh`. Vectors
    of eigenvalues that are 0 to rounding are any that are orthogonal to the others.

    `examples` is one array, or an iterable of arrays, all of which are held.

    Raises ValueError for examples of another rank, fewer than two, or numbers that are not finite.
    """
    arrays: Any = [examples] if hasattr(examples, "shape") else examples
    parts = [real_array(part, "examples") for part in arrays]
    rows = np.concatenate(parts) if parts else np.zeros((0, 0))
    if rows.ndim != 2 or len(rows) < 2:
        raise ValueError(f"examples have shape {rows.shape}; give at least two, [n, d].")
    rows -= rows.mean(0)
    products = rows @ rows.T / len(rows)
    kept = min(count, len(rows) - 1, rows.shape[1])
    values, weights = leading_eigh(products, kept)
    values = np.maximum(values, 0)
    columns = rows.T @ weights
    empty = values <= _ROUNDING * values[0]
    columns[:, empty] = np.random.default_rng(0).normal(size=(len(columns), empty.sum()))
    # In this order the leading columns stay as they are, and later ones lose the digits of theirs.
    vectors = np.linalg.qr(columns)[0]
    return np.where(empty, 0, values), with_signs(vectors), float(np.trace(products))
