"""Misalignment (paper section 2, Definition 2) and the eigenvalue map (Definition 3)."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from randlabels.eigen.matrices import (
    cholesky_factors,
    float64,
    input_epsilon,
    orthonormal_bases,
    same_dimension,
    symmetric_matrices,
)

# Float64 numbers that one batch of products of matrices and bases may hold: 8 MiB stay in the
# caches of a CPU, which makes hundreds of bases 2 to 3 times faster than 256 MiB.
_MAX_PRODUCTS = 2**20


def misalignment(
    vectors: ArrayLike, sigma_w: ArrayLike, groups: ArrayLike | None = None
) -> np.ndarray:
    """M(Sigma_x, Sigma_w) >= 0, 0 iff aligned, unchanged by the scale of Sigma_w; float64 [...].

    `vectors` [..., d, d] are the eigenvectors v_i of Sigma_x as columns, or any orthonormal
    bases; `sigma_w` is [..., d, d]. Leading axes broadcast as in NumPy: 200 bases [200, 1, d, d]
    against 60 covariances [60, d, d] give [200, 60].

    M = inf of 1/2 tr(S^-1 B + B^-1 S) - d over the covariances S = sum_i s_i v_i v_i^T, B for
    Sigma_w. The terms of s_i, (v_i^T B v_i / s_i + s_i v_i^T B^-1 v_i) / 2, are least at
    sqrt((v_i^T B v_i) (v_i^T B^-1 v_i)), whose sum less d is M.

    `groups` [d] (from `eigenspaces`) marks eigenvectors of one eigenspace of Sigma_x. An aligned S
    then has one eigenvalue s_k per eigenspace with projection P_k (Definition 1), and in the same
    way M = sum_k sqrt(tr(P_k B) tr(P_k B^-1)) - d: it does not depend on the basis chosen within
    an eigenspace and is never less than M of single eigenvectors. This is right for exact ties
    alone; for near-ties, whose eigenvalues may differ, see `eigenspace_misalignment`.

    Raises ValueError for bases that are not orthonormal, sigma_w that is not symmetric, finite,
    or of the same d, and for singular sigma_w.
    """
    bases = orthonormal_bases(vectors, "vectors")
    sigma, inverse = covariance_and_inverse(sigma_w)
    same_dimension(bases, sigma, "vectors and sigma_w")
    return misalignment_of_pair(bases, sigma, inverse, groups)


def covariance_and_inverse(sigma_w: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Sigma_w [..., d, d] in float64 and its inverse, for many calls of `misalignment_of_pair`.

    Raises ValueError where sigma_w is not symmetric, not finite or singular.
    """
    sigma = symmetric_matrices(sigma_w, "sigma_w")
    factors = cholesky_factors(sigma, input_epsilon(sigma_w), "sigma_w")
    with float64():
        return sigma, np.asarray(_inverse(factors))


def misalignment_of_pair(
    bases: np.ndarray, sigma: np.ndarray, inverse: np.ndarray, groups: ArrayLike | None
) -> np.ndarray:
    """`misalignment` of float64 bases that are known to be orthonormal, without its checks."""
    members = _members(groups, sigma.shape[-1])
    forward = _quadratic_forms(bases, sigma) @ members
    backward = _quadratic_forms(bases, inverse) @ members
    # Cauchy-Schwarz makes M >= 0; rounding alone can take it below.
    return np.maximum(np.sqrt(forward * backward).sum(-1) - sigma.shape[-1], 0)


def eigenvalue_map(
    vectors: ArrayLike, sigma_w: ArrayLike, groups: ArrayLike | None = None
) -> np.ndarray:
    """tau_i = f(sigma_i) = sqrt(v_i^T Sigma_w v_i), float64 [..., d].

    sigma_i is the root of the i-th eigenvalue of Sigma_x, v_i its eigenvector. Shapes, `groups`
    and errors are those of `misalignment`, but sigma_w may be singular. With `groups`, [..., K]:
    tau_k = sqrt(tr(P_k Sigma_w) / dim P_k), to be plotted at the root of the mean eigenvalue of
    the eigenspace.
    """
    bases = orthonormal_bases(vectors, "vectors")
    sigma = symmetric_matrices(sigma_w, "sigma_w")
    same_dimension(bases, sigma, "vectors and sigma_w")
    members = _members(groups, sigma.shape[-1])
    variances = _quadratic_forms(bases, sigma) @ members / members.sum(0)
    largest = np.abs(sigma).max(initial=0)
    if variances.min(initial=0) < -np.sqrt(input_epsilon(sigma_w)) * largest:
        raise ValueError(
            f"sigma_w has the negative variance {variances.min():.3g} along an eigenvector; give "
            "a covariance matrix."
        )
    return np.sqrt(np.maximum(variances, 0))


def _members(groups: ArrayLike | None, dim: int) -> np.ndarray:
    """Indicator [d, K] of the eigenspace of each eigenvector; the identity without groups."""
    if groups is None:
        return np.eye(dim)
    labels = np.asarray(groups)
    if labels.shape != (dim,):
        raise ValueError(f"groups has shape {labels.shape}; give one number per {dim} vectors.")
    return (labels[:, None] == np.unique(labels)).astype(np.float64)


@jax.jit
def _inverse(factors: jax.Array) -> jax.Array:
    """(L L^T)^-1 [..., d, d] of lower Cholesky factors L."""
    identity = jnp.broadcast_to(jnp.eye(factors.shape[-1]), factors.shape)
    whitening = jax.lax.linalg.triangular_solve(factors, identity, left_side=True, lower=True)
    return jnp.einsum("...ki,...kj->...ij", whitening, whitening)


def _quadratic_forms(bases: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """v_i^T B v_i for every basis and matrix that their leading axes pair, [..., d]."""
    lead = np.broadcast_shapes(bases.shape[:-2], matrices.shape[:-2])
    if math.prod(lead) * bases.shape[-1] ** 2 <= _MAX_PRODUCTS or max(lead, default=1) == 1:
        with float64():
            return np.asarray(_forms(bases, matrices))
    axis = int(np.argmax(lead)) - len(lead) - 2  # counted from the end, it names the same in both
    halves = zip(_halves(bases, axis), _halves(matrices, axis), strict=True)
    return np.concatenate([_quadratic_forms(*half) for half in halves], axis=axis + 1)


def _halves(array: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """The array cut in two along an axis, or twice the array where that axis broadcasts."""
    if array.ndim < -axis or array.shape[axis] == 1:
        return array, array
    first, second = np.array_split(array, 2, axis=axis)
    return first, second


@jax.jit
def _forms(bases: jax.Array, matrices: jax.Array) -> jax.Array:
    # vectorize maps only the axes that an argument has, so that many bases against one matrix
    # are one product of matrices, and nothing is broadcast in memory before it.
    return jnp.vectorize(lambda v, b: jnp.sum(v * (b @ v), axis=0), signature="(d,d),(d,d)->(d)")(
        bases, matrices
    )
