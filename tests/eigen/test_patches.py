"""Patch statistics against NumPy's sliding windows and XLA's own patches."""

import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from randlabels.eigen import input_statistics, patch_statistics, patches, row_products


@pytest.fixture(params=["rows", "patches"])
def way(request, monkeypatch):
    """Products of rows of pixels wherever they can be taken, or patches cut out everywhere."""
    value = {"rows": ("_CUTTING", 10**9), "patches": ("_MOST_BYTES", 0)}[request.param]
    monkeypatch.setattr(row_products, *value)
    return request.param


def images(n=23, h=9, w=8, c=3, seed=0):
    rng = np.random.default_rng(seed)
    smooth = rng.standard_normal((n, h, w, c)).cumsum(1).cumsum(2)
    return smooth + np.array([1.0, -2.0, 30.0])[:c]


def windows(array, kernel_size, strides, pads=((0, 0), (0, 0))):
    padded = np.pad(array, [(0, 0), *pads, (0, 0)])
    view = np.lib.stride_tricks.sliding_window_view(padded, kernel_size, axis=(1, 2))
    view = view[:, :: strides[0], :: strides[1]]  # [n, oh, ow, c, kh, kw]
    return np.moveaxis(view, 3, -1).reshape(-1, kernel_size[0] * kernel_size[1] * array.shape[3])


def assert_moments(statistics, patches):
    """Relative to the largest entry, against NumPy's own covariance with 1/n."""
    patches = np.asarray(patches, np.float64)
    assert statistics.count == len(patches)
    for got, expected in [
        (statistics.mean, patches.mean(0)),
        (statistics.covariance, np.cov(patches, rowvar=False, bias=True)),
        (statistics.second_moment, patches.T @ patches / len(patches)),
    ]:
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("kernel_size", [(3, 3), (2, 5)])
@pytest.mark.parametrize("strides", [(1, 1), (2, 3)])
def test_equals_sliding_windows(kernel_size, strides, way):
    x = images()
    statistics = patch_statistics(x, kernel_size, strides)
    assert_moments(statistics, windows(x, kernel_size, strides))


@pytest.mark.parametrize("kernel_size", [(1, 1), (1, 4), (5, 1), (4, 4), (5, 8)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_kernels_up_to_half_of_the_image(kernel_size, dtype, way):
    x = np.abs(images(c=2)).astype(dtype)
    rows = row_products.pay(x.shape[1:], kernel_size, (1, 1))
    assert rows == (way == "rows")
    assert_moments(patch_statistics(x, kernel_size), windows(x, kernel_size, (1, 1)))


def test_a_kernel_that_no_row_is_in_the_middle_of(way):
    x = images()
    assert not row_products.pay(x.shape[1:], (6, 3), (1, 1))
    assert_moments(patch_statistics(x, (6, 3)), windows(x, (6, 3), (1, 1)))


def test_rows_are_taken_where_they_pay():
    """Measured in benchmarks/NOTES.md."""
    pay = row_products.pay
    assert pay((32, 32, 3), (5, 5), (1, 1))
    assert pay((32, 32, 3), (3, 3), (1, 1))
    assert not pay((32, 32, 3), (5, 5), (2, 2))
    assert not pay((32, 32, 3), (5, 5), (1, 2))
    assert not pay((224, 224, 3), (3, 3), (1, 1))  # distant columns
    assert not pay((10, 10, 512), (3, 3), (1, 1))  # memory


def test_one_number_means_a_square():
    x = images()
    assert_moments(patch_statistics(x, 3, 2), windows(x, (3, 3), (2, 2)))


@pytest.mark.parametrize(("kernel_size", "strides"), [((3, 3), (1, 1)), ((4, 3), (2, 2))])
def test_same_padding_is_that_of_the_convolution(kernel_size, strides, way):
    x = images().astype(np.float32)
    expected = jax.lax.conv_general_dilated_patches(
        jnp.asarray(x),
        kernel_size,
        strides,
        "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # features ordered channel, row, column
    shape = (-1, x.shape[3], kernel_size[0] * kernel_size[1])
    expected = np.asarray(expected).reshape(shape).swapaxes(1, 2).reshape(len(expected), -1)
    expected = expected.reshape(-1, shape[1] * shape[2])
    assert_moments(patch_statistics(x, kernel_size, strides, "SAME"), expected)


def test_order_of_a_patch_is_that_of_a_flax_kernel():
    """Variance of a convolution's output is w^T Sigma_x w only if both are flattened alike."""
    x = images().astype(np.float32)
    kernel = np.random.default_rng(1).standard_normal((3, 2, 3, 1)).astype(np.float32)
    outputs = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"), precision="highest"
    )
    w = kernel.reshape(-1)
    predicted = w @ patch_statistics(x, (3, 2)).covariance @ w
    np.testing.assert_allclose(predicted, np.var(np.asarray(outputs, np.float64)), rtol=1e-5)


def test_chunks_and_pieces_and_devices_do_not_matter(monkeypatch, way):
    x = images(n=41)
    whole = patch_statistics(x, 3)
    monkeypatch.setattr(patches, "_CHUNK_BYTES", 8 * 42 * 27 * 4)  # four images of 42 patches
    monkeypatch.setattr(patches, "_PIXEL_BYTES", 8 * 72 * 3 * 4)  # four images
    used = []
    module, name = (row_products, "add") if way == "rows" else (patches, "_add")
    add = getattr(module, name)
    monkeypatch.setattr(
        module, name, lambda sums, p, *more: (used.append(p.devices()), add(sums, p, *more))[1]
    )
    streamed = patch_statistics((part for part in np.split(x, [1, 7, 7, 30])), 3)
    assert len(set.union(*used)) == len(jax.local_devices()) == 8
    assert_moments(streamed, windows(x, (3, 3), (1, 1)))
    np.testing.assert_allclose(streamed.covariance, whole.covariance, rtol=1e-12)


def test_memory_does_not_grow_with_the_images(monkeypatch, way):
    monkeypatch.setattr(patches, "_CHUNK_BYTES", 2**20)
    monkeypatch.setattr(patches, "_PIXEL_BYTES", 2**18)
    peaks = []
    for count in (100, 1500):
        x = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)
        patch_statistics(x[:12], 5)  # compile
        tracemalloc.start()
        patch_statistics(x, 5)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 0.1 * 1400 * 32 * 32 * 3  # bytes of the images as they are


def test_large_mean_keeps_digits(way):
    """Without the shift, 1e6**2 against a variance of 1 would leave 4 digits."""
    x = images(c=1) + 1e6
    expected = np.cov(windows(x - 1e6, (2, 2), (1, 1)), rowvar=False, bias=True)
    covariance = patch_statistics(x, 2).covariance
    np.testing.assert_allclose(covariance, expected, rtol=0, atol=1e-9 * expected.max())


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, jnp.bfloat16])
def test_any_type_in_float64_out(dtype):
    x = np.abs(images() * 3).astype(dtype)
    assert_moments(patch_statistics(jnp.asarray(x), 3), windows(x.astype(float), (3, 3), (1, 1)))


def test_dense_inputs():
    x = images().reshape(-1, 24)
    assert_moments(input_statistics(x), x)
    assert_moments(input_statistics(iter(np.split(x, [5, 50]))), x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((4, 8, 8)), 3), "shape"),
        (([np.zeros((4, 8, 8, 3)), np.zeros((4, 8, 9, 3))], 3), "of one size"),
        (([], 3), "no images"),
        ((np.zeros((0, 8, 8, 3)), 3), "no images"),
        ((np.zeros((4, 8, 8, 3)), 9), "does not fit"),
        ((np.zeros((4, 8, 8, 3)), 0), "positive integers"),
        ((np.zeros((4, 8, 8, 3)), 3, (1, 1, 1)), "positive integers"),
        ((np.zeros((4, 8, 8, 3)), 3, 1, "valid"), "padding"),
        ((np.full((4, 8, 8, 3), np.nan), 3), "NaN"),
        ((np.stack([np.full((8, 8, 3), np.inf), np.full((8, 8, 3), -np.inf)]), 3), "NaN"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        patch_statistics(*arguments)


def test_refuses_nan_in_a_later_piece():
    with pytest.raises(ValueError, match="NaN"):
        patch_statistics([np.zeros((4, 8, 8, 3)), np.full((4, 8, 8, 3), np.nan)], 3)


def test_refuses_dense_inputs_of_another_rank():
    with pytest.raises(ValueError, match=r"\[n, d\]"):
        input_statistics(np.zeros((4, 8, 8)))
