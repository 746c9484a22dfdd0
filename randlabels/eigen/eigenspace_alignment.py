"""Misalignment to eigenspaces of near-tied eigenvalues, within which every basis is as good."""

import math

import numpy as np
from jax.typing import ArrayLike

from randlabels.eigen.alignment import covariance_and_inverse
from randlabels.eigen.matrices import orthonormal_bases, same_dimension
from randlabels.eigen.nulls import random_bases

# Float64 numbers of rotated covariances held at once (64 MiB).
_MAX_NUMBERS = 2**23


def eigenspace_misalignment(
    vectors: ArrayLike, sigma_w: ArrayLike, groups: ArrayLike
) -> np.ndarray:
    """Misalignment [...] >= 0 to eigenspaces, whatever the eigenvalues within them.

    `vectors` [..., d, d] and `sigma_w` [..., d, d] as in `misalignment`; `groups` [d], from
    `eigenspaces`, marks the eigenvectors of Sigma_x whose eigenvalues are nearly tied. Sampling
    leaves open which basis of their space v_i is the right one, but not that eigenvalues differ,
    so the S of Definition 2 (paper, section 2) runs through all covariances that are
    block-diagonal in the basis, one block S_b for each space. (`misalignment` with groups is for
    exact ties: there Definition 1 leaves S one eigenvalue in each space. On a near-tie it is above
    0 where Sigma_w is aligned.)

    With B = V^T Sigma_w V, B_b its diagonal blocks and C_b those of B^-1,
    M = inf 1/2 tr(S^-1 B + S B^-1) - d = sum_b inf 1/2 tr(S_b^-1 B_b + S_b C_b) - d. The gradient
    is 0 where S_b C_b S_b = B_b: at the geometric mean of B_b and C_b^-1. There both terms are
    tr S_b C_b, and (S_b C_b)^2 = B_b C_b, so that
    M = sum_b tr (B_b^1/2 C_b B_b^1/2)^1/2 - d. The traces are sums of singular values of K^T L
    with B_b = L L^T and C_b = K K^T.

    Blocks of one vector give `misalignment`, one block of all gives 0, and larger blocks never
    give more. So compare it with nothing but its own nulls: `random_eigenspace_misalignment`, and
    `flip_filters` with the same groups.

    Raises ValueError as `misalignment` does.
    """
    bases = orthonormal_bases(vectors, "vectors")
    sigma, inverse = covariance_and_inverse(sigma_w)
    same_dimension(bases, sigma, "vectors and sigma_w")
    return _of_pair(bases, sigma, inverse, _columns(groups, sigma.shape[-1]))


def random_eigenspace_misalignment(
    sigma_w: ArrayLike,
    groups: ArrayLike,
    num_bases: int = 200,
    seed: int | np.random.Generator = 0,
) -> np.ndarray:
    """`eigenspace_misalignment` [..., num_bases] of random bases in blocks of the same sizes.

    What a basis that has nothing to do with the weights gives. The larger the blocks, the closer
    it is to 0: a small value says little if chance has one, too. The bases are the same for all
    leading axes.

    Raises ValueError as `misalignment` does for sigma_w, and unless num_bases > 0.
    """
    sigma, inverse = covariance_and_inverse(sigma_w)
    if num_bases < 1:
        raise ValueError(f"num_bases is {num_bases}; give at least 1, 200 for a p-value of .005.")
    dim, lead = sigma.shape[-1], sigma.shape[:-2]
    columns = _columns(groups, dim)
    rng = np.random.default_rng(seed)
    size = max(1, _MAX_NUMBERS // (math.prod(lead) * dim**2))
    found = []
    for start in range(0, num_bases, size):
        bases = random_bases(dim, min(size, num_bases - start), rng)
        bases = bases.reshape(-1, *[1] * len(lead), dim, dim)
        found.append(_of_pair(bases, sigma, inverse, columns))
    return np.moveaxis(np.concatenate(found), 0, -1)


def _columns(groups: ArrayLike, dim: int) -> list[np.ndarray]:
    """Numbers of the basis vectors of each block."""
    labels = np.asarray(groups)
    if labels.shape != (dim,):
        raise ValueError(f"groups has shape {labels.shape}; give one number per {dim} vectors.")
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _of_pair(
    bases: np.ndarray, sigma: np.ndarray, inverse: np.ndarray, columns: list[np.ndarray]
) -> np.ndarray:
    forward, backward = sigma @ bases, inverse @ bases
    traces = np.zeros(forward.shape[:-2])
    alone = [block[0] for block in columns if len(block) == 1]
    if alone:
        vectors = bases[..., alone]
        products = [(vectors * side[..., alone]).sum(-2) for side in (forward, backward)]
        traces += np.sqrt(products[0] * products[1]).sum(-1)
    for block in columns:
        if len(block) > 1:
            rows = bases[..., block].swapaxes(-1, -2)
            traces += _trace_of_mean(rows @ forward[..., block], rows @ backward[..., block])
    # Every eigenvalue of B_b C_b is 1 or more; rounding alone can take the sum below d.
    return np.maximum(traces - sigma.shape[-1], 0)


def _trace_of_mean(b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """tr (b^1/2 c b^1/2)^1/2 [...] of positive definite b and c [..., k, k]."""
    # Unit variances in b, which leave the trace as it is, keep the digits of small directions.
    scale = np.sqrt(np.diagonal(b, axis1=-2, axis2=-1))
    outer = scale[..., :, None] * scale[..., None, :]
    left, right = np.linalg.cholesky(b / outer), np.linalg.cholesky(c * outer)
    return np.linalg.svd(right.swapaxes(-1, -2) @ left, compute_uv=False).sum(-1)
