"""Misalignment (paper section 2, Definition 2) and the eigenvalue map (Definition 3)."""

import itertools
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

# Matrices per dimension from which on it pays to make products of the bases' entries first.
_MANY = 2
_MATRICES = 1024  # at a time


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
    dim = sigma.shape[-1]
    members = np.eye(dim) if groups is None else _members(groups, dim)
    leads = _leads(bases, sigma)
    if _cross(leads) and math.prod(leads[1]) >= _MANY * dim and dim**3 <= _MAX_PRODUCTS:
        return _crossed_misalignment(bases, sigma, inverse, members, leads)
    forward, backward = (_quadratic_forms(bases, one) @ members for one in (sigma, inverse))
    # Cauchy-Schwarz makes M >= 0; rounding alone can take it below.
    return np.maximum(np.sqrt(forward * backward).sum(-1) - dim, 0)


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


def _leads(bases: np.ndarray, matrices: np.ndarray) -> list[tuple[int, ...]]:
    """Leading axes of both, with axes of length 1 in front where one has fewer."""
    axes = max(bases.ndim, matrices.ndim) - 2
    return [(1,) * (axes + 2 - array.ndim) + array.shape[:-2] for array in (bases, matrices)]


def _cross(leads: list[tuple[int, ...]]) -> bool:
    """Whether every basis meets every matrix: of no leading axis do both have several."""
    return all(1 in pair for pair in zip(*leads, strict=True))


def _crossed_misalignment(
    bases: np.ndarray,
    sigma: np.ndarray,
    inverse: np.ndarray,
    members: np.ndarray,
    leads: list[tuple[int, ...]],
) -> np.ndarray:
    """Misalignment of every basis to every matrix.

    v_i^T B v_i is linear in B: the sum over j <= k of B_jk v_ij v_ik, twice where j < k. So one
    product of matrices has them all, with half the operations of a product B v for each pair.
    """
    dim = bases.shape[-1]
    vectors = bases.reshape(-1, dim, dim)
    entries = [_entries(matrices.reshape(-1, dim, dim)) for matrices in (sigma, inverse)]
    size = max(1, _MAX_PRODUCTS // dim**3)
    found = np.empty((len(vectors), len(entries[0])))
    with float64():
        for first in range(0, len(vectors), size):
            products = _products(vectors[first : first + size])
            for row in range(0, found.shape[1], _MATRICES):
                pair = [matrices[row : row + _MATRICES] for matrices in entries]
                some = _misalignment_of_entries(*pair, products, members)
                found[first : first + size, row : row + _MATRICES] = some
    axes = len(leads[0])
    paired = itertools.chain.from_iterable((k, axes + k) for k in range(axes))
    apart = found.reshape(*leads[0], *leads[1]).transpose(*paired)
    return apart.reshape(*map(max, zip(*leads, strict=True)))


def _entries(matrices: np.ndarray) -> np.ndarray:
    """Entries j <= k of symmetric matrices [n, d, d], twice where j < k, [n, d (d + 1) / 2]."""
    rows, columns = np.triu_indices(matrices.shape[-1])
    return matrices[:, rows, columns] * np.where(rows == columns, 1.0, 2.0)


@jax.jit
def _products(bases: jax.Array) -> jax.Array:
    """v_ij v_ik, j <= k, of the vectors i in the columns of bases: [d (d + 1) / 2, i, basis]."""
    rows, columns = np.triu_indices(bases.shape[-1])
    turned = bases.transpose(1, 2, 0)
    return turned[rows] * turned[columns]


@jax.jit
def _misalignment_of_entries(
    sigma: jax.Array, inverse: jax.Array, products: jax.Array, members: jax.Array
) -> jax.Array:
    """M >= 0 [basis, matrix] of `_entries`, `_products` and the eigenspaces of vectors [d, K]."""
    flat, (dim, groups) = products.reshape(len(products), -1), members.shape
    forms = [(one @ flat).reshape(len(sigma), dim, -1) for one in (sigma, inverse)]
    if groups < dim:  # else each vector is an eigenspace
        forms = [jnp.einsum("mib,ik->mkb", one, members) for one in forms]
    return jnp.maximum(jnp.sqrt(forms[0] * forms[1]).sum(1) - dim, 0).T


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
