"""Distances between covariances, such as Sigma_w after random and after real labels."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from randlabels.eigen.matrices import float64, input_epsilon, same_dimension, symmetric_matrices


def bures_wasserstein(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Wasserstein-2 distance [...] between N(0, a) and N(0, b): in the units of a weight.

    d^2 = tr a + tr b - 2 tr (a^1/2 b a^1/2)^1/2. `a` and `b` are [..., d, d] with broadcasting
    leading axes and may be singular. Computed as the least ||a^1/2 - b^1/2 Q||_F over orthogonal
    Q, which keeps its digits for near-equal matrices where the formula above cancels.

    Raises ValueError for matrices that are not symmetric, finite, of one size, or have negative
    eigenvalues.
    """
    first, second = _pair(a, b)
    with float64():
        distance, lowest = map(np.asarray, _procrustes(first, second))
    scale = max(np.abs(first).max(), np.abs(second).max())
    allowed = np.sqrt(max(input_epsilon(a), input_epsilon(b))) * scale
    if lowest.min() < -allowed:
        raise ValueError(
            f"a or b has the negative eigenvalue {lowest.min():.3g}; give covariance matrices."
        )
    return distance


def affine_invariant(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Affine-invariant distance ||log(a^-1/2 b a^-1/2)||_F [...], without units.

    Unchanged when both are rescaled, or transformed to T a T^T and T b T^T with one invertible T.
    Shapes as for `bures_wasserstein`.

    Raises ValueError for matrices that are not symmetric, finite, or of one size, and for
    singular ones, from which every other matrix is infinitely far.
    """
    first, second = _pair(a, b)
    with float64():
        ratios, reverse = map(np.asarray, _ratios(first, second))
    epsilon = max(input_epsilon(a), input_epsilon(b))
    with np.errstate(invalid="ignore"):
        definite = ratios.min() > 10 * first.shape[-1] * epsilon * ratios.max()
    if not (definite and reverse.all()):
        raise ValueError(
            "a or b is singular; give covariances of more filters than dimensions, by pooling "
            "networks or shrinkage."
        )
    return np.linalg.norm(np.log(ratios), axis=-1)
