"""What misalignment looks like by chance: the floor of few filters, and random bases."""

import numpy as np
from jax.typing import ArrayLike

from randlabels.eigen.alignment import (
    covariance_and_inverse,
    misalignment,
    misalignment_of_pair,
)
from randlabels.eigen.matrices import real_array

# Float64 numbers of random matrices held at once (64 MiB).
_MAX_NUMBERS = 2**23


def misalignment_floor(
    dim: int,
    num_filters: int,
    num_samples: int,
    seed: int | np.random.Generator,
    groups: ArrayLike | None = None,
) -> np.ndarray:
    """Misalignment [num_samples] of isotropic Gaussian filters, whose Sigma_w is aligned with all.

    Each sample is M of the uncentred covariance of `num_filters` filters in R^dim against a fixed
    basis (any: isotropy), drawn straight from its Wishart distribution. It is what a network at
    initialisation has, about dim (dim - 1) / (2 num_filters), and what M of a trained one is
    compared with. `groups` as in `misalignment`. Where the norms of filters differ it is too low
    (aligned filters whose log norms have deviation .5 lie at about twice the floor): `flip_filters`
    takes the norms as they are.

    Raises ValueError unless num_filters > dim, the least for which Sigma_w has an inverse with
    a digit to spare, and num_samples > 0.
    """
    if dim < 1 or num_samples < 1:
        raise ValueError(f"dim {dim} and num_samples {num_samples} must be positive.")
    if num_filters <= dim:
        raise ValueError(
            f"{num_filters} filters in {dim} dimensions have a singular covariance; use more than "
            f"{dim} filters, for example by pooling networks."
        )
    rng = np.random.default_rng(seed)
    samples = []
    for size in _batches(num_samples, dim):
        # Bartlett: the Cholesky factor of sum w w^T, without drawing the filters.
        factor = np.tril(rng.standard_normal((size, dim, dim)), -1)
        pivots = np.sqrt(rng.chisquare(num_filters - np.arange(dim), (size, dim)))
        factor[:, np.arange(dim), np.arange(dim)] = pivots
        sigma_w = factor @ factor.swapaxes(-1, -2) / num_filters
        samples.append(misalignment(np.eye(dim), sigma_w, groups))
    return np.concatenate(samples)


def random_bases(dim: int, num_bases: int, seed: int | np.random.Generator) -> np.ndarray:
    """Random orthonormal bases [num_bases, dim, dim] as columns, uniform (Haar) on O(dim)."""
    if dim < 1 or num_bases < 1:
        raise ValueError(f"dim {dim} and num_bases {num_bases} must be positive.")
    gaussian = np.random.default_rng(seed).standard_normal((num_bases, dim, dim))
    bases, triangles = np.linalg.qr(gaussian)
    # Without the signs the law is that of the QR routine, not Haar's (Mezzadri 2007).
    signs = np.where(np.diagonal(triangles, axis1=-2, axis2=-1) < 0, -1.0, 1.0)
    return bases * signs[:, None, :]


def random_basis_misalignment(
    sigma_w: ArrayLike,
    num_bases: int = 200,
    seed: int | np.random.Generator = 0,
    groups: ArrayLike | None = None,
) -> np.ndarray:
    """Misalignment [..., num_bases] of sigma_w [..., d, d] to random bases, the same for all.

    `groups` as in `misalignment`: eigenspaces of the same dimensions as those of the data. Each
    basis costs about dim^3 operations for every matrix; in hundreds of dimensions all random bases
    give M within .1% of each other, and a few of them show where chance is.

    Raises ValueError as `misalignment` does for sigma_w, and unless num_bases > 0.
    """
    sigma, inverse = covariance_and_inverse(sigma_w)
    if num_bases < 1:
        raise ValueError(f"num_bases is {num_bases}; give at least 1, 200 for a p-value of .005.")
    dim, lead = sigma.shape[-1], sigma.ndim - 2
    rng = np.random.default_rng(seed)
    columns = []
    for size in _batches(num_bases, dim):
        bases = random_bases(dim, size, rng).reshape(size, *[1] * lead, dim, dim)
        columns.append(np.moveaxis(misalignment_of_pair(bases, sigma, inverse, groups), 0, -1))
    return np.concatenate(columns, axis=-1)


def permutation_p_value(observed: ArrayLike, null: ArrayLike) -> np.ndarray:
    """(1 + #{null <= observed}) / (1 + n) [...], of `observed` [...] and `null` [..., n].

    The chance of a misalignment this low if the data basis were one of the random ones: a valid
    test at any n, never below 1 / (1 + n). For `null` from `random_basis_misalignment`.

    Raises ValueError if the shapes do not fit or a value is not finite.
    """
    value, draws = real_array(observed, "observed"), real_array(null, "null")
    if draws.shape[:-1] != value.shape or draws.ndim == 0 or draws.shape[-1] == 0:
        raise ValueError(
            f"null has shape {draws.shape} and observed {value.shape}; give null [..., n] with the "
            "leading axes of observed."
        )
    return (1 + (draws <= value[..., None]).sum(-1)) / (1 + draws.shape[-1])


def _batches(count: int, dim: int) -> list[int]:
    """Sizes that sum to `count`, each small enough to hold in memory."""
    size = max(1, _MAX_NUMBERS // dim**2)
    return [min(size, count - start) for start in range(0, count, size)]
