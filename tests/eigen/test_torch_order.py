"""Weights in PyTorch's order against convolutions that are written out index by index."""

import jax.numpy as jnp
import numpy as np
import pytest

from randlabels.eigen import (
    descending_eigh,
    filter_covariance,
    flatten_kernel,
    from_torch,
    misalignment,
    misalignment_floor,
    patch_statistics,
)
from randlabels.models.convolution import extract_patches

RNG = np.random.default_rng(0)


def torch_convolution(images, weight):
    """Conv2d's definition: y[n, o, p, q] = sum_c,i,j x[n, c, p + i, q + j] w[o, c, i, j]."""
    cout, cin, kh, kw = weight.shape
    n, _, h, w = images.shape
    result = np.zeros((n, cout, h - kh + 1, w - kw + 1))
    for o in range(cout):
        for p in range(h - kh + 1):
            for q in range(w - kw + 1):
                for c in range(cin):
                    for i in range(kh):
                        for j in range(kw):
                            result[:, o, p, q] += images[:, c, p + i, q + j] * weight[o, c, i, j]
    return result


@pytest.mark.parametrize("shape", [(4, 3, 2, 3), (2, 1, 3, 3), (3, 3, 3, 3)])
def test_converted_convolution_gives_the_same_outputs(shape):
    weight = RNG.standard_normal(shape)
    kh, kw = shape[2:]
    images = RNG.standard_normal((2, shape[1], 5, 6))  # [n, channel, row, column]
    ours = images.transpose(0, 2, 3, 1)
    kernel = from_torch(weight)
    assert kernel.shape == (kh, kw, shape[1], shape[0])
    windows = np.lib.stride_tricks.sliding_window_view(ours, (kh, kw), axis=(1, 2))
    patches = np.moveaxis(windows, 3, -1).reshape(2, 6 - kh, 7 - kw, -1)
    outputs = patches @ flatten_kernel(kernel)
    expected = torch_convolution(images, weight).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(outputs, expected, atol=1e-12)


def test_converted_convolution_meets_the_patches_of_our_layers():
    weight, images = RNG.standard_normal((4, 3, 3, 3)), RNG.standard_normal((2, 3, 5, 6))
    patches = extract_patches(jnp.asarray(images.transpose(0, 2, 3, 1)), (3, 3), (1, 1))
    outputs = np.asarray(patches) @ flatten_kernel(from_torch(weight))
    expected = torch_convolution(images, weight).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(outputs, expected, atol=2e-5)  # float32 patches


def test_dense_layer_becomes_inputs_by_outputs():
    weight, x = RNG.standard_normal((4, 6)), RNG.standard_normal((3, 6))
    expected = [[sum(x[n, i] * weight[o, i] for i in range(6)) for o in range(4)] for n in range(3)]
    kernel = from_torch(weight)
    assert kernel.shape == (6, 4)
    np.testing.assert_allclose(x @ kernel, expected, rtol=1e-12)


def test_dense_layer_on_a_flattened_image_is_a_convolution_of_full_size():
    weight, images = RNG.standard_normal((5, 3 * 2 * 4)), RNG.standard_normal((7, 3, 2, 4))
    expected = images.reshape(7, -1) @ weight.T
    ours = images.transpose(0, 2, 3, 1).reshape(7, -1)
    kernel = from_torch(weight.reshape(5, 3, 2, 4))
    np.testing.assert_allclose(ours @ flatten_kernel(kernel), expected, atol=1e-12)
    assert np.abs(ours @ from_torch(weight) - expected).max() > 1  # as the docstring warns


def test_planted_alignment_is_found_after_conversion_and_lost_without():
    images = RNG.standard_normal((40, 12, 12, 3)).cumsum(1).cumsum(2)
    _, vectors = descending_eigh(patch_statistics(images, 3).covariance)
    filters = vectors @ (np.geomspace(2, 0.2, 27)[:, None] * RNG.standard_normal((27, 5000)))
    planted = filters.reshape(3, 3, 3, -1)  # row, column, channel, filter
    weight = np.empty((5000, 3, 3, 3), np.float32)
    for row in range(3):
        for column in range(3):
            for channel in range(3):
                weight[:, channel, row, column] = planted[row, column, channel]
    found = misalignment(vectors, filter_covariance(from_torch(weight)))
    floor = misalignment_floor(27, 5000, 200, 1)
    assert found < floor.max() < 0.1
    # channel, row, column: what reshaping the weight without conversion gives
    assert misalignment(vectors, filter_covariance(weight.reshape(5000, 27).T)) > 10


def test_values_are_kept_in_float64_and_the_weight_is_not_shared():
    weight = RNG.standard_normal((2, 3, 2, 2)).astype(np.float16)
    kernel = from_torch(weight)
    assert kernel.dtype == np.float64
    kernel[:] = 0
    assert np.abs(weight).min() > 0
    np.testing.assert_array_equal(from_torch([[1, 2], [3, 4]]), [[1, 3], [2, 4]])


class Tensor:
    """What NumPy asks of a tensor in host memory."""

    def __array__(self, dtype=None, copy=None):
        return np.arange(6, dtype=np.float32).reshape(2, 3)


def test_anything_that_numpy_reads_is_accepted():
    np.testing.assert_array_equal(from_torch(Tensor()), [[0, 3], [1, 4], [2, 5]])


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(4), r"weight has shape \(4,\); give one filled convolution \[cout, cin, kh, kw\]"),
        (np.ones((2, 3, 4)), r"\(2, 3, 4\).* or dense layer \[out, in\]\.$"),
        (np.ones((2, 4, 3, 3, 3)), "give one filled convolution"),
        (np.ones((0, 3, 3, 3)), r"\(0, 3, 3, 3\); give one filled"),
        (np.ones((4, 0)), "give one filled"),
        (np.full((4, 3), np.nan), "weight holds infinite or NaN values"),
        (np.full((4, 3, 2, 2), np.inf), "weight holds infinite or NaN values"),
        (np.array([["a"]]), "give real numbers"),
    ],
)
def test_refuses(weight, message):
    with pytest.raises(ValueError, match=message) as caught:
        from_torch(weight)
    assert "\n" not in str(caught.value)
