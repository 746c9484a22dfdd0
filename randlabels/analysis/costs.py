"""How long the analysis of a layer will take: its multiplications at the rate of this machine."""

import time
from collections.abc import Sequence

import jax
import numpy as np

from randlabels.analysis.filter_sets import MAX_INTERVAL_DIM, is_shrunk
from randlabels.analysis.input_spectrum import MAX_NULL_DIM
from randlabels.analysis.layers import Layer
from randlabels.eigen.matrices import float64

# In products of two d x d matrices, which use a processor better; measured at d = 144 to 2,304.
_EIGH = 15
_DRAW_BASIS = 15
_COMPARE_BASIS = 3
_COMPARE_EIGENSPACES = 15  # to a random basis, and one sample of sign flips
_RESAMPLING = 50 * 1000


def expected_seconds(
    layer: Layer,
    num_images: int,
    num_bases: int,
    group_sizes: Sequence[int],
    num_steps: int,
    random_bases: int,
) -> float:
    """Seconds for the moments, eigenvectors and null distributions of a layer, within about 2.

    Args:
        layer: of dimension d; its patches are multiplied d^2 times each.
        num_images: that Sigma_x is measured on.
        num_bases: how many Sigma_x there are, 1 or one for each network, or also each checkpoint.
        group_sizes: networks in each group.
        num_steps: checkpoints.
        random_bases: how many, for each misalignment.
    """
    patches = num_images * layer.patches_per_image
    products = num_bases * (patches / layer.dim + _EIGH)
    for size in group_sizes:
        for num_sets, num_filters in ((1, size * layer.num_filters), (size, layer.num_filters)):
            compared = (num_filters > layer.dim) + is_shrunk(layer.dim, num_filters)
            each = random_bases * (_DRAW_BASIS + num_sets * _COMPARE_BASIS)
            products += num_steps * compared * each
            if layer.dim < num_filters and layer.dim <= MAX_NULL_DIM:
                eigenspaces = _DRAW_BASIS + num_sets * _COMPARE_EIGENSPACES
                products += num_steps * random_bases * eigenspaces
        if size > 1 and layer.dim <= MAX_INTERVAL_DIM:
            products += num_steps * _RESAMPLING
    return products * layer.dim**3 / _multiplication_rate(layer.dim)


def _multiplication_rate(dim: int) -> float:
    """Float64 multiplications a second in a product of matrices of this size, at most 1,024."""
    with float64():
        matrix = jax.device_put(np.ones((1024, min(dim, 1024))))
        product = jax.jit(lambda x: x.T @ x)
        product(matrix).block_until_ready()  # compiles
        start = time.perf_counter()
        product(matrix).block_until_ready()
        return matrix.size * matrix.shape[1] / (time.perf_counter() - start)
