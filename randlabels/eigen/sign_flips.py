"""Is the misalignment larger than exact alignment allows? Sign flips in the data's eigenbasis.

Proposition 1 of the paper rests on a symmetry: reflecting an eigenvector of the data leaves the
law of the inputs and of the initial weights as it is, hence also the law of the trained weights
w_t and of their change w_t - w_0. So flipping the signs of the coordinates c = V^T w turns weights
into others that were as likely, with norms, eigenvalue map and number of filters as they are. What
`misalignment_floor` takes from Gaussian filters, these nulls take from the filters themselves,
which matters where their norms differ.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from jax.typing import ArrayLike

from randlabels.eigen.alignment import misalignment
from randlabels.eigen.eigenspace_alignment import eigenspace_misalignment
from randlabels.eigen.filters import flatten_kernel
from randlabels.eigen.matrices import orthonormal_bases, same_dimension, symmetric_matrices

# Float64 numbers of flipped filters held at once (64 MiB).
_MAX_NUMBERS = 2**23

# Misalignments this close, relatively, are equal but for rounding.
_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True, eq=False)
class SignFlips:
    """A misalignment beside those of sign flips of the same weights, which are never negative."""

    observed: np.ndarray  # [...]
    null: np.ndarray  # [..., sample], under exact alignment

    @property
    def p_value(self) -> np.ndarray:
        """(1 + #{null >= observed}) / (1 + n) [...]: the chance of as much if exactly aligned."""
        at_least = self.null >= self.observed[..., None] * (1 - _ROUNDING)
        return (1 + at_least.sum(-1)) / (1 + self.null.shape[-1])


def flip_filters(
    vectors: ArrayLike,
    kernel: ArrayLike,
    num_samples: int = 200,
    seed: int | np.random.Generator = 0,
    groups: ArrayLike | None = None,
    spatial: bool | None = None,
) -> SignFlips:
    """Independent signs for each filter and coordinate: for one network, or networks pooled.

    `vectors` [d, d] are the data's eigenvectors as columns, `kernel` is [..., kh, kw, cin, m] or
    [..., d, m] (`spatial` as in `flatten_kernel`), the result [...] and [..., num_samples]. The
    test is exact if each filter has the symmetry on its own, as independent filters have; filters
    of one network, which saw each other train, have it together (`flip_networks`), and the test is
    then as good as their signs are independent.

    `groups` [d], from `eigenspaces`: one sign for each filter and eigenspace of near-tied
    eigenvalues, and M is `eigenspace_misalignment`. What lies within a space, of which that M
    takes no notice, is kept.

    With a seed, the signs are the same for all leading axes, so that a result does not depend on
    what else is asked for.

    Raises ValueError as `misalignment` and `flatten_kernel` do (also for a singular covariance),
    and unless num_samples > 0.
    """
    filters, basis = flatten_kernel(kernel, spatial), orthonormal_bases(vectors, "vectors")
    dim, num_filters = filters.shape[-2:]
    if basis.shape != (dim, dim):
        raise ValueError(
            f"vectors have shape {basis.shape} and the filters {dim} entries; give one basis of "
            "the same layer."
        )
    _check(num_samples)
    labels = np.arange(dim) if groups is None else np.unique(groups, return_inverse=True)[1]
    measure = _measure(groups, dim)
    size = max(1, _MAX_NUMBERS // (dim * max(dim, num_filters)))
    observed, null = [], []
    for own in (basis.T @ filters).reshape(-1, dim, num_filters):
        rng = np.random.default_rng(seed)
        observed.append(measure(own @ own.T))
        drawn = []
        for start in range(0, num_samples, size):
            count = min(size, num_samples - start)
            flipped = own * _signs(rng, (count, labels.max() + 1, num_filters))[:, labels]
            drawn.append(measure(flipped @ flipped.swapaxes(-1, -2)))
        null.append(np.concatenate(drawn))
    lead = filters.shape[:-2]
    return SignFlips(np.reshape(observed, lead), np.reshape(null, (*lead, num_samples)))


def flip_networks(
    vectors: ArrayLike,
    sigma_w: ArrayLike,
    num_samples: int = 200,
    seed: int | np.random.Generator = 0,
) -> SignFlips:
    """One vector of signs for each network, shared by its filters: exact under Proposition 1.

    `sigma_w` is [network, d, d], uncentred covariances of equally many filters, and M that of
    their mean. The M of a single network does not change with its signs, so that these flips say
    something about pooled networks alone: with one network, p is 1.

    Raises ValueError for sigma_w of another shape, num_samples < 1, and as `misalignment` does.
    """
    sigma, basis = symmetric_matrices(sigma_w, "sigma_w"), orthonormal_bases(vectors, "vectors")
    if sigma.ndim != 3 or basis.ndim != 2:
        raise ValueError(
            f"sigma_w has shape {sigma.shape} and vectors {basis.shape}; give [network, d, d] and "
            "one basis."
        )
    same_dimension(basis, sigma, "vectors and sigma_w")
    _check(num_samples)
    num_networks, dim, _ = sigma.shape
    rotated = basis.T @ sigma @ basis
    rng = np.random.default_rng(seed)
    size = max(1, _MAX_NUMBERS // rotated.size)
    measure = _measure(None, dim)
    null = []
    for start in range(0, num_samples, size):
        signs = _signs(rng, (min(size, num_samples - start), num_networks, dim))
        flipped = np.einsum("sni,nij,snj->sij", signs, rotated, signs, optimize=True)
        null.append(measure(flipped))
    return SignFlips(measure(rotated.sum(0)), np.concatenate(null))


def _check(num_samples: int) -> None:
    if num_samples < 1:
        raise ValueError(f"num_samples is {num_samples}; give at least 1, 200 for a p of .005.")


def _signs(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.choice(np.array([-1.0, 1.0]), shape)


def _measure(groups: ArrayLike | None, dim: int) -> Callable[[np.ndarray], np.ndarray]:
    """Misalignment [...] to the unit vectors, of second moments [..., d, d] of coordinates."""

    def measure(moments: np.ndarray) -> np.ndarray:
        # M does not depend on the units of a coordinate, and in units of its own root mean square
        # (which no flip changes) the inverse keeps its digits where the map spans decades.
        roots = np.sqrt(np.diagonal(moments, axis1=-2, axis2=-1))
        roots = np.where(roots > 0, roots, 1)
        scaled = moments / (roots[..., :, None] * roots[..., None, :])
        if groups is None:
            return misalignment(np.eye(dim), scaled)
        return eigenspace_misalignment(np.eye(dim), scaled, groups)

    return measure
