"""Overlap of leading eigenspaces: robust where single eigenvectors are not determined."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from randlabels.eigen.matrices import float64, orthonormal_bases, same_dimension


def subspace_overlap(u: ArrayLike, v: ArrayLike, k: int) -> np.ndarray:
    """||U_k^T V_k||_F^2 / k [...] in [0, 1] of the spaces of the first k columns of each basis.

    `u` and `v` are orthonormal bases [..., d, d] with broadcasting leading axes, eigenvectors in
    descending order. 1 for equal spaces, 0 for orthogonal ones; its mean over random bases, the
    chance level, is k / d.

    Raises ValueError for bases that are not orthonormal or not of one dimension, and k outside
    1 to d.
    """
    return np.square(np.cos(principal_angles(u, v, k))).mean(-1)


def principal_angles(u: ArrayLike, v: ArrayLike, k: int) -> np.ndarray:
    """Principal angles [..., k] in radians, ascending, between the first k columns of each basis.

    Shapes and errors are those of `subspace_overlap`. Small angles come from sines and large ones
    from cosines (Bjorck & Golub 1973), so that both keep their digits.
    """
    first, second = orthonormal_bases(u, "u"), orthonormal_bases(v, "v")
    same_dimension(first, second, "u and v")
    if not 1 <= k <= first.shape[-1]:
        raise ValueError(f"k is {k}; give a number of columns from 1 to {first.shape[-1]}.")
    with float64():
        return np.asarray(_angles(first[..., :k], second[..., :k]))


@jax.jit
def _angles(u: jax.Array, v: jax.Array) -> jax.Array:
    products = jnp.einsum("...di,...dj->...ij", u, v)
    cosines = jnp.linalg.svd(products, compute_uv=False)
    # The second svd waits for the first: at once they can lock each other out on two cores.
    products, cosines = jax.lax.optimization_barrier((products, cosines))
    sines = jnp.linalg.svd(v - u @ products, compute_uv=False)[..., ::-1]
    near = cosines**2 > 0.5
    return jnp.where(near, jnp.arcsin(jnp.clip(sines, 0, 1)), jnp.arccos(jnp.clip(cosines, 0, 1)))
