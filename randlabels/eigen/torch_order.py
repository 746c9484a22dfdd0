"""Kernels that PyTorch stores, in the order of this package; PyTorch is not needed."""

import numpy as np
from jax.typing import ArrayLike

from randlabels.eigen.matrices import real_array


def from_torch(weight: ArrayLike) -> np.ndarray:
    """A PyTorch weight in our order, float64: filters last, inputs (row, column, channel) before.

    A convolution [cout, cin, kh, kw] (`Conv2d`) becomes [kh, kw, cin, cout], a dense layer
    [out, in] (`Linear`) becomes [in, out]. `weight` is an array or whatever `np.asarray` accepts,
    such as a tensor of a `state_dict` in host memory. Nothing is flipped: both packages compute
    cross-correlations.

    The shape does not show everything. Of a convolution with groups, the second axis holds the
    channels of one group, and filter i sees the channels of group i // (cout / groups) alone: give
    the filters of one group at a time, and compare them with the patches of its channels. A
    transposed convolution stores [cin, cout, kh, kw]: swap its first two axes before. A dense layer
    on a flattened [channel, row, column] activation is a convolution of its full size: give
    weight.reshape(out, channels, rows, columns).

    Raises ValueError for other numbers of axes (leading axes, such as networks, are not supported),
    an empty weight, and infinite or NaN values.
    """
    kernel = real_array(weight, "weight")
    if kernel.ndim not in (2, 4) or kernel.size == 0:
        raise ValueError(
            f"weight has shape {kernel.shape}; give one filled convolution [cout, cin, kh, kw] or "
            "dense layer [out, in]."
        )
    return kernel.T if kernel.ndim == 2 else kernel.transpose(2, 3, 1, 0)
