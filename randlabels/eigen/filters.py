"""Second moments of the filters of a layer, of one network or of many pooled."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from randlabels.eigen.matrices import float64, float64_devices, real_array


def flatten_kernel(kernel: ArrayLike, spatial: bool | None = None) -> np.ndarray:
    """Kernel [..., kh, kw, cin, m] or [..., d, m] as float64 filters in columns, [..., d, m].

    Flattened in the order row, column, channel. The number of axes says which of the two it is:
    2 or 3 axes are a dense kernel, 4 or more a convolution. Only a dense kernel with two or more
    leading axes, [step, network, d, m], needs `spatial=False`; forgotten, it gives filters of
    another dimension, which every function that compares with a basis refuses.

    Raises ValueError for fewer than 2 axes (4 if `spatial`), an empty or a non-finite kernel.
    """
    filters = real_array(kernel, "kernel")
    spatial = filters.ndim >= 4 if spatial is None else spatial
    needed = 4 if spatial else 2
    if filters.ndim < needed or 0 in filters.shape:
        form = "[..., kh, kw, cin, m]" if spatial else "[..., d, m]"
        raise ValueError(f"kernel has shape {filters.shape}; give a filled array {form}.")
    lead = filters.shape[: filters.ndim - needed]
    return filters.reshape(*lead, -1, filters.shape[-1])


def filter_covariance(
    kernel: ArrayLike, centered: bool = False, spatial: bool | None = None
) -> np.ndarray:
    """Sigma_w [..., d, d] of the m filters of each kernel [..., kh, kw, cin, m] or [..., d, m].

    Uncentred (the definition, paper section 2: E[w] = 0): 1/m sum w w^T. Centred: deviations from
    the mean filter, divided by m - 1. `spatial` is explained at `flatten_kernel`.

    Raises ValueError as `flatten_kernel` does, and for centring a single filter.
    """
    filters = flatten_kernel(kernel, spatial)
    num_filters = filters.shape[-1]
    if centered and num_filters < 2:
        raise ValueError("one filter has no centred covariance; give two or more filters.")
    if centered:
        filters = filters - filters.mean(-1, keepdims=True)
    return _gram(filters) / (num_filters - centered)


def _gram(filters: np.ndarray) -> np.ndarray:
    """Sum w w^T [..., d, d]; a CPU's BLAS makes hundreds of small ones 4 times faster than XLA."""
    if float64_devices()[0].platform == "cpu":
        return filters @ filters.swapaxes(-1, -2)
    with float64():
        return np.asarray(_gram_on_device(filters))


@jax.jit
def _gram_on_device(filters: jax.Array) -> jax.Array:
    return jnp.einsum("...im,...jm->...ij", filters, filters)


def pool_networks(kernels: ArrayLike, network_axis: int = 0) -> np.ndarray:
    """Kernels [network, ..., m] as one with all filters, [..., network * m], network after network.

    `network_axis` says where the networks are: [step, network, kh, kw, cin, m] has them at 1. The
    type of the array is kept.

    Raises ValueError for fewer than 3 axes, or networks on the last axis.
    """
    array = np.asarray(kernels)
    if array.ndim < 3 or not -array.ndim <= network_axis < array.ndim - 1 or network_axis == -1:
        raise ValueError(
            f"kernels of shape {array.shape} have no networks to pool at axis {network_axis}; "
            "give [network, ..., filters]."
        )
    moved = np.moveaxis(array, network_axis, -2)
    return moved.reshape(*moved.shape[:-2], -1)
