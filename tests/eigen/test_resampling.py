"""Bootstrap over networks against SciPy's and against planted truth."""

import numpy as np
import pytest
import scipy.stats

from randlabels.eigen import (
    bootstrap_interval,
    bootstrap_misalignment,
    eigenvalue_map,
    filter_covariance,
    misalignment,
    misalignment_floor,
    random_bases,
)


def networks(num_networks, root, num_filters=40, seed=0):
    """Uncentred covariances [network, d, d] of filters root @ z."""
    shape = (num_networks, root.shape[1], num_filters)
    return filter_covariance(root @ np.random.default_rng(seed).standard_normal(shape))


def test_equals_scipys_basic_bootstrap():
    sigma_w = networks(6, np.diag([2.0, 1.0, 0.5]))
    vectors = random_bases(3, 1, 0)[0]
    interval = bootstrap_misalignment(vectors, sigma_w, num_resamples=20000, level=0.9)
    reference = scipy.stats.bootstrap(
        (np.arange(6),),
        lambda drawn, axis: misalignment(vectors, sigma_w[drawn].mean(-3)),
        vectorized=True,
        n_resamples=20000,
        confidence_level=0.9,
        method="basic",
        rng=np.random.default_rng(1),
    )
    width = interval.high - interval.low
    assert abs(interval.low - reference.confidence_interval.low) < 0.03 * width
    assert abs(interval.high - reference.confidence_interval.high) < 0.03 * width
    assert abs(interval.bias - (reference.bootstrap_distribution.mean() - interval.estimate)) < (
        0.02 * width
    )
    np.testing.assert_allclose(interval.estimate, misalignment(vectors, sigma_w.mean(0)))


def test_aligned_weights_have_zero_inside_and_the_floor_as_bias():
    root = np.diag(np.geomspace(2, 0.5, 6))
    sigma_w = networks(12, root)
    interval = bootstrap_misalignment(np.eye(6), sigma_w)
    assert interval.low == 0 < interval.high
    assert interval.estimate > 0.5 * misalignment_floor(6, 12 * 40, 100, 0).mean()
    assert 0.5 < interval.bias / misalignment_floor(6, 12 * 40, 100, 0).mean() < 1.5


def test_interval_is_never_negative_and_covers_alignment():
    """400 repetitions; the basic interval alone goes below 0 in nearly all, and once as a whole."""
    sigma_w = networks(16 * 400, np.diag(np.geomspace(2, 0.5, 6)), 48).reshape(16, 400, 6, 6)
    interval = bootstrap_misalignment(np.eye(6), sigma_w, num_resamples=200)
    plain = bootstrap_interval(
        lambda pooled: misalignment(np.eye(6), pooled), sigma_w, num_resamples=200
    )
    assert (plain.low < 0).mean() > 0.9
    assert plain.high.min() < 0
    assert (interval.low >= 0).all()
    assert (interval.high >= interval.low).all()
    assert (interval.low == 0).mean() > 0.95
    np.testing.assert_array_equal(interval.low, np.maximum(plain.low, 0))


def test_covers_planted_misalignment_and_map():
    """95% intervals of 12 networks: 60 repetitions, all in one batch behind the network axis."""
    vectors = random_bases(4, 1, 3)[0]
    root = np.diag(np.geomspace(2, 0.5, 4))
    sigma_w = networks(12 * 60, root).reshape(12, 60, 4, 4)
    truth = misalignment(vectors, root @ root.T)
    interval = bootstrap_misalignment(vectors, sigma_w, num_resamples=400)
    assert interval.low.shape == (60,)
    assert 0.8 < ((interval.low <= truth) & (truth <= interval.high)).mean() < 1
    tau = eigenvalue_map(vectors, root @ root.T)
    maps = bootstrap_interval(
        lambda pooled: eigenvalue_map(vectors, pooled), sigma_w, num_resamples=400
    )
    assert maps.low.shape == (60, 4)
    assert 0.8 < ((maps.low <= tau) & (tau <= maps.high)).mean() < 1


def test_equal_networks_have_no_interval_and_level_and_groups_count():
    sigma_w = networks(8, np.diag([2.0, 1.0, 0.5]))
    vectors = random_bases(3, 1, 0)[0]
    same = bootstrap_misalignment(vectors, np.stack([sigma_w[0]] * 3), num_resamples=10)
    assert same.high - same.low < 1e-10
    wide = bootstrap_misalignment(vectors, sigma_w, level=0.99)
    narrow = bootstrap_misalignment(vectors, sigma_w, level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high
    grouped = bootstrap_misalignment(vectors, sigma_w, [0, 0, 1])
    np.testing.assert_allclose(grouped.estimate, misalignment(vectors, sigma_w.mean(0), [0, 0, 1]))


@pytest.mark.parametrize(
    ("sigma_w", "options", "message"),
    [
        (np.eye(3), {}, "2 or more"),
        (np.eye(3)[None], {}, "2 or more"),
        (np.stack([np.eye(3)] * 2), {"num_resamples": 1}, "above 1"),
        (np.stack([np.eye(3)] * 2), {"level": 95}, "between 0 and 1"),
        (np.stack([np.diag([1.0, 1.0, 0.0])] * 2), {}, "singular"),
    ],
)
def test_refuses(sigma_w, options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_misalignment(np.eye(3), sigma_w, **options)
