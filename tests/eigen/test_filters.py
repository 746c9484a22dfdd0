"""Covariances of filters and pooling of networks; shrinkage."""

import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.covariance

from randlabels.eigen import (
    descending_eigh,
    filter_covariance,
    flatten_kernel,
    misalignment,
    pool_networks,
    shrunk_covariance,
)


def kernel(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape) + 0.3


def test_uncentred_is_the_mean_of_outer_products():
    w = kernel(6, 40)
    expected = np.mean([np.outer(f, f) for f in w.T], axis=0)
    np.testing.assert_allclose(filter_covariance(w), expected, rtol=1e-13)


def test_centred_is_numpys_covariance():
    w = kernel(6, 40)
    np.testing.assert_allclose(filter_covariance(w, centered=True), np.cov(w), rtol=1e-12)


def test_centring_is_over_the_filters_of_each_network():
    w = kernel(4, 5, 9)
    found = filter_covariance(w, centered=True, spatial=False)
    np.testing.assert_allclose(found, [np.cov(one) for one in w], rtol=1e-12)


def test_spatial_kernels_flatten_row_column_channel():
    w = kernel(2, 3, 2, 3, 4, 5)  # [step, network, kh, kw, cin, m]
    flat = flatten_kernel(w)
    assert flat.shape == (2, 3, 24, 5)
    row, column, channel = 1, 2, 3
    np.testing.assert_array_equal(flat[:, :, (row * 3 + column) * 4 + channel], w[:, :, 1, 2, 3])
    np.testing.assert_array_equal(filter_covariance(w), filter_covariance(flat, spatial=False))


@pytest.mark.parametrize(
    ("shape", "spatial", "expected"),
    [
        ((6, 5), None, (6, 6)),
        ((7, 6, 5), None, (7, 6, 6)),
        ((3, 3, 2, 5), None, (18, 18)),
        ((4, 3, 3, 2, 5), None, (4, 18, 18)),
        ((4, 7, 6, 5), False, (4, 7, 6, 6)),
    ],
)
def test_number_of_axes_decides_the_kind_of_kernel(shape, spatial, expected):
    assert filter_covariance(kernel(*shape), spatial=spatial).shape == expected


def test_bfloat16_is_summed_in_float64():
    w = jnp.asarray(kernel(4, 3000), jnp.bfloat16)
    exact = np.asarray(w).astype(np.float64)
    np.testing.assert_allclose(filter_covariance(w), exact @ exact.T / 3000, rtol=1e-13)


@pytest.mark.parametrize(
    ("w", "options", "message"),
    [
        (np.ones(3), {}, "give a filled array"),
        (np.ones((4, 0)), {}, "give a filled array"),
        (np.ones((3, 4, 5)), {"spatial": True}, "kh, kw, cin, m"),
        (np.full((3, 4), np.inf), {}, "diverged"),
        (np.ones((3, 1)), {"centered": True}, "one filter"),
    ],
)
def test_refuses(w, options, message):
    with pytest.raises(ValueError, match=message):
        filter_covariance(w, **options)


def test_pooled_networks_hold_every_filter():
    w = kernel(3, 2, 2, 4, 5)
    pooled = pool_networks(w)
    assert pooled.shape == (2, 2, 4, 15)
    for network in range(3):
        np.testing.assert_array_equal(pooled[..., 5 * network : 5 * network + 5], w[network])
    np.testing.assert_allclose(filter_covariance(pooled), filter_covariance(w).mean(0), rtol=1e-12)


def test_pooling_behind_a_step_axis():
    w = kernel(6, 3, 8, 5)  # [step, network, d, m]
    pooled = pool_networks(w, network_axis=1)
    np.testing.assert_array_equal(pooled, np.stack([pool_networks(step) for step in w]))


@pytest.mark.parametrize(("shape", "axis"), [((4, 5), 0), ((3, 4, 5), 2), ((3, 4, 5), -1)])
def test_pooling_refuses(shape, axis):
    with pytest.raises(ValueError, match="no networks to pool"):
        pool_networks(np.ones(shape), axis)


@pytest.mark.parametrize("centered", [False, True])
def test_shrinkage_is_scikit_learns_along_every_leading_axis(centered):
    w = kernel(2, 3, 6, 4)  # fewer filters than dimensions
    shrunk = shrunk_covariance(w, centered, spatial=False)
    estimator = sklearn.covariance.LedoitWolf(assume_centered=not centered)
    np.testing.assert_allclose(shrunk[1, 2], estimator.fit(w[1, 2].T).covariance_, rtol=1e-12)
    assert shrunk.shape == (2, 3, 6, 6)


def test_shrinkage_makes_a_singular_layer_measurable_and_finds_planted_alignment():
    rng = np.random.default_rng(0)
    scales = np.geomspace(3, 0.3, 20)
    basis = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    w = basis @ (scales[:, None] * rng.standard_normal((20, 15)))
    with pytest.raises(ValueError, match="singular"):
        misalignment(basis, filter_covariance(w))
    shrunk = shrunk_covariance(w)
    other = descending_eigh(np.cov(rng.standard_normal((20, 500))))[1]
    assert misalignment(basis, shrunk) < 0.7 * misalignment(other, shrunk)


def test_shrinkage_refuses_one_filter():
    with pytest.raises(ValueError, match="two or more"):
        shrunk_covariance(np.ones((4, 1)))
