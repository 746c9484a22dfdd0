"""Energy of filters along the principal components of their inputs (Chowers & Weiss 2022)."""

import numpy as np
from jax.typing import ArrayLike

from randlabels.eigen.filters import flatten_kernel
from randlabels.eigen.matrices import orthonormal_bases, real_array


def energy_profile(
    vectors: ArrayLike, kernel: ArrayLike, spatial: bool | None = None
) -> np.ndarray:
    """e [..., d] with e_i^2 = mean over the m filters of (w . u_i)^2, after arXiv:2206.02454.

    `vectors` [..., d, d] hold the u_i as columns, `kernel` is [..., kh, kw, cin, m] or [..., d, m]
    (`spatial` as in `flatten_kernel`). The same numbers as the eigenvalue map of the uncentred
    covariance, computed from the filters, so that no d x d matrix per network is needed.

    Raises ValueError as `flatten_kernel`, for a basis that is not orthonormal and another d.
    """
    filters, bases = flatten_kernel(kernel, spatial), orthonormal_bases(vectors, "vectors")
    if filters.shape[-2] != bases.shape[-1]:
        raise ValueError(
            f"the filters have {filters.shape[-2]} entries and vectors {bases.shape[-1]}; give "
            "both for the same layer."
        )
    return np.sqrt(np.square(bases.swapaxes(-1, -2) @ filters).mean(-1))


def profile_correlation(profiles: ArrayLike) -> np.ndarray:
    """Pearson correlations [..., network, network] between the profiles [..., network, d].

    Invariant to scale, to the order of filters and to rotations of the input space. Also for
    correlating a profile with the closed form: stack the two.

    Raises ValueError for fewer than two axes or two entries, and a constant profile.
    """
    values = real_array(profiles, "profiles")
    if values.ndim < 2 or values.shape[-1] < 2:
        raise ValueError(f"profiles have shape {values.shape}; give [..., network, d] with d > 1.")
    deviations = values - values.mean(-1, keepdims=True)
    lengths = np.linalg.norm(deviations, axis=-1, keepdims=True)
    if (lengths <= 1e-12 * np.linalg.norm(values, axis=-1, keepdims=True)).any():
        raise ValueError("a profile is constant and has no correlation; leave it out.")
    unit = deviations / lengths
    return unit @ unit.swapaxes(-1, -2)
