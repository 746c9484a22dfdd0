"""Misalignment (paper section 2, Definition 2) and the eigenvalue map (Definition 3)."""

import itertools
import math
from collections.abc import Sequence

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

# Matrices per dimension from which on it pays to make products of the bases' entries first.
_MANY = 2


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
    members = None if groups is None else _members(groups, sigma.shape[-1])
    forward, backward = (
        forms if members is None else forms @ members
        for forms in (_quadratic_forms(bases, matrices) for matrices in (sigma, inverse))
    )
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
    dim, axes = bases.shape[-1], max(bases.ndim, matrices.ndim) - 2
    leads = [(1,) * (axes + 2 - array.ndim) + array.shape[:-2] for array in (bases, matrices)]
    crossed = all(1 in pair for pair in zip(*leads, strict=True))
    if crossed and math.prod(leads[1]) >= _MANY * dim and dim**3 <= _MAX_PRODUCTS:
        return _crossed_forms(bases, matrices, leads)
    lead = np.broadcast_shapes(bases.shape[:-2], matrices.shape[:-2])
    if math.prod(lead) * bases.shape[-1] ** 2 <= _MAX_PRODUCTS or max(lead, default=1) == 1:
        with float64():
            return np.asarray(_forms(bases, matrices))
    axis = int(np.argmax(lead)) - len(lead) - 2  # counted from the end, it names the same in both
    halves = zip(_halves(bases, axis), _halves(matrices, axis), strict=True)
    return np.concatenate([_quadratic_forms(*half) for half in halves], axis=axis + 1)


def _crossed_forms(
    bases: np.ndarray, matrices: np.ndarray, leads: Sequence[tuple[int, ...]]
) -> np.ndarray:
    """`_quadratic_forms` of every basis with every matrix: of no leading axis do both have several.

    v_i^T B v_i is linear in B: the sum over j <= k of B_jk v_ij v_ik, twice where j < k. So one
    product of matrices has them all, with half the operations of a product B v for each pair.
    """
    dim = bases.shape[-1]
    rows, columns = np.triu_indices(dim)
    weights = np.where(rows == columns, 1.0, 2.0)
    entries = matrices.reshape(-1, dim, dim)[:, rows, columns] * weights
    vectors = bases.reshape(-1, dim, dim)
    size = max(1, _MAX_PRODUCTS // dim**3)
    parts = []
    for some in (vectors[i : i + size] for i in range(0, len(vectors), size)):
        products = some[:, rows] * some[:, columns]  # [basis, j <= k, i]
        parts.append(_entries_times(entries, products))
    forms = np.concatenate(parts).reshape(*leads[0], *leads[1], dim)
    axes = len(leads[0])
    paired = itertools.chain.from_iterable((k, axes + k) for k in range(axes))
    return forms.transpose(*paired, -1).reshape(*map(max, zip(*leads, strict=True)), dim)


def _entries_times(entries: np.ndarray, products: np.ndarray) -> np.ndarray:
    """[basis, matrix, d] of entries [matrix, j <= k] and products of vectors [basis, j <= k, d]."""
    with float64():
        return np.asarray(jnp.matmul(entries, products))


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
