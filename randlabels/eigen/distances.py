"""Distances between covariances, such as Sigma_w after random and after real labels."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from randlabels.eigen.matrices import (
    cholesky_factors,
    float64,
    input_epsilon,
    same_dimension,
    symmetric_matrices,
)


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
    epsilon = max(input_epsilon(a), input_epsilon(b))
    factors = cholesky_factors(first, epsilon, "a"), cholesky_factors(second, epsilon, "b")
    with float64():
        return np.asarray(_log_ratio_norm(*factors))


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    first, second = symmetric_matrices(a, "a"), symmetric_matrices(b, "b")
    same_dimension(first, second, "a and b")
    return first, second


@jax.jit
def _procrustes(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Least ||a^1/2 - b^1/2 Q||_F over orthogonal Q, and the lowest eigenvalue of each pair."""
    # One eigh of both: two in a program run at once on CPU, and on two cores each can take a thread
    # and wait for the other's for ever.
    values, vectors = jnp.linalg.eigh(jnp.stack(jnp.broadcast_arrays(a, b)), symmetrize_input=False)
    scaled = vectors * jnp.sqrt(jnp.maximum(values, 0))[..., None, :]
    first, second = scaled @ vectors.swapaxes(-1, -2)
    left, _, right = jnp.linalg.svd(second @ first)
    distance = jnp.linalg.norm(first - second @ left @ right, axis=(-2, -1))
    return distance, values[..., 0].min(axis=0)


@jax.jit
def _log_ratio_norm(first: jax.Array, second: jax.Array) -> jax.Array:
    """||log eig((L L^T)^-1 K K^T)|| from Cholesky factors L and K: eigenvalues are sv(L^-1 K)^2."""
    first, second = jnp.broadcast_arrays(first, second)
    ratio = jax.lax.linalg.triangular_solve(first, second, left_side=True, lower=True)
    return jnp.linalg.norm(2 * jnp.log(jnp.linalg.svd(ratio, compute_uv=False)), axis=-1)
