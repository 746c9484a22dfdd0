"""Shrunk second moments of filters, for layers with few filters per dimension."""

import numpy as np
from jax.typing import ArrayLike

from randlabels.eigen.filters import flatten_kernel


def shrunk_covariance(
    kernel: ArrayLike, centered: bool = False, spatial: bool | None = None
) -> np.ndarray:
    """Ledoit-Wolf estimate of Sigma_w [..., d, d], (1 - a) S + a tr(S)/d I, never singular.

    S is the covariance of the m filters with 1/m, centred or not (scikit-learn's convention; the
    plain centred `filter_covariance` divides by m - 1). The identity is aligned with every basis,
    so shrinkage lowers misalignment to any of them: set it beside the plain estimate and beside
    random bases of the same estimate, not beside `misalignment_floor`, which is of plain ones.

    `spatial` and errors are those of `flatten_kernel`; fewer than two filters are refused.
    """
    # Half a second of import that training and plain analysis do without.
    from sklearn.covariance import ledoit_wolf

    filters = flatten_kernel(kernel, spatial)
    dim, num_filters = filters.shape[-2:]
    if num_filters < 2:
        raise ValueError("one filter gives no covariance to shrink; give two or more filters.")
    samples = filters.reshape(-1, dim, num_filters).swapaxes(-1, -2)
    covariances = [ledoit_wolf(sample, assume_centered=not centered)[0] for sample in samples]
    return np.reshape(covariances, (*filters.shape[:-2], dim, dim))
