"""Tests of exact alignment by sign flips: size and power on planted filters, and invariants."""

import numpy as np
import pytest

from randlabels.eigen import (
    eigenspace_misalignment,
    filter_covariance,
    flip_filters,
    flip_networks,
    misalignment,
    misalignment_floor,
    pool_networks,
    random_bases,
    sign_flips,
)

DIM, FILTERS = 6, 40
BASIS = random_bases(DIM, 1, 7)[0]
MAP = np.geomspace(3, 0.1, DIM)  # the planted eigenvalue map


def aligned(count, norm_sd, filters=FILTERS, seed=0):
    """Filters [count, d, m] that are exactly aligned with BASIS, of log-normal norms."""
    rng = np.random.default_rng(seed)
    norms = np.exp(norm_sd * rng.standard_normal((count, 1, filters)))
    return BASIS @ (MAP[:, None] * norms * rng.standard_normal((count, DIM, filters)))


@pytest.mark.parametrize("norm_sd", [0, 0.5])
def test_exactly_aligned_filters_are_rejected_at_the_level(norm_sd):
    """1,000 networks: at level .05, a binomial count that is below 34 or above 67 once in 100."""
    p = flip_filters(BASIS, aligned(1000, norm_sd), 99, spatial=False).p_value
    assert 34 <= (p <= 0.05).sum() <= 67
    assert abs(p.mean() - 0.505) < 0.03  # uniform on .01, .02, ..., 1


def test_null_has_the_mean_of_aligned_filters_where_the_gaussian_floor_has_not():
    filters = aligned(200, 0.5, seed=1)
    flips = flip_filters(BASIS, filters, 50, spatial=False)
    floor = misalignment_floor(DIM, FILTERS, 2000, 0).mean()
    assert flips.observed.mean() > 1.4 * floor
    assert flips.null.mean() == pytest.approx(flips.observed.mean(), rel=0.05)


def test_misaligned_filters_are_found():
    tilt = np.eye(DIM)
    tilt[::5, ::5] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]  # first and last
    p = flip_filters(BASIS @ tilt, aligned(100, 0.5), 99, spatial=False).p_value
    assert (p <= 0.05).mean() > 0.9


def test_null_holds_every_choice_of_signs(monkeypatch):
    """Of a tiny set, by enumeration, and in batches."""
    filters = np.array([[1.0, 0.5, 0.2], [0.3, -1.0, 0.7]])  # d = 2, m = 3
    moments = [
        (filters * np.array([np.ones(3), [a, b, c]])) @ (filters * [[1] * 3, [a, b, c]]).T
        for a in (-1, 1)
        for b in (-1, 1)
        for c in (-1, 1)
    ]
    possible = np.unique(np.round([misalignment(np.eye(2), one) for one in moments], 9))
    monkeypatch.setattr(sign_flips, "_MAX_NUMBERS", 60)  # batches of 10
    flips = flip_filters(np.eye(2), filters, 205, seed=1)
    assert flips.null.shape == (205,)
    np.testing.assert_array_equal(np.unique(np.round(flips.null, 9)), possible)
    np.testing.assert_allclose(flips.observed, misalignment(np.eye(2), filter_covariance(filters)))


def test_leading_axes_and_convolutions():
    kernel = np.random.default_rng(0).standard_normal((4, 2, 1, 2, 3, 20))  # 8 networks, 1 x 2 x 3
    flips = flip_filters(BASIS, kernel, 7)
    assert flips.null.shape == (4, 2, 7)
    assert flips.null.min() >= 0
    assert flips.p_value.shape == (4, 2)
    np.testing.assert_allclose(flips.observed, misalignment(BASIS, filter_covariance(kernel)))


def test_whole_eigenspaces_are_flipped():
    """What lies within a space is no misalignment, and no flip changes it."""
    groups, mixed = [0, 0, 0, 1, 2, 3], np.eye(DIM)
    mixed[:3, :3] = random_bases(3, 1, 2)[0]
    filters = aligned(200, 0.5, seed=4)
    turned = BASIS @ mixed
    by_space = flip_filters(turned, filters, 99, groups=groups, spatial=False)
    covariances = filter_covariance(filters, spatial=False)
    expected = eigenspace_misalignment(turned, covariances, groups)
    np.testing.assert_allclose(by_space.observed, expected)
    assert (by_space.p_value <= 0.05).mean() < 0.12
    assert (flip_filters(turned, filters, 99, spatial=False).p_value <= 0.05).mean() > 0.9


def symmetric_networks(count, networks, seed=0):
    """Covariances [count, network, d, d] that are aligned on average alone: each network is tilted,
    and its mirror images are as likely (the symmetry of Proposition 1)."""
    rng = np.random.default_rng(seed)
    factor = MAP[:, None] * (np.eye(DIM) + 0.5 * np.tri(DIM, k=-1))
    signs = rng.choice([-1.0, 1.0], (count, networks, DIM, 1))
    filters = signs * (factor @ rng.standard_normal((count, networks, DIM, 200)))
    return filter_covariance(BASIS @ filters, spatial=False)


def test_networks_that_are_aligned_on_average_are_rejected_at_the_level():
    """By signs for each network; signs for each filter take every tilted network for misaligned."""
    p = np.array([flip_networks(BASIS, own, 99, i).p_value for i, own in
                  enumerate(symmetric_networks(300, 6))])  # fmt: skip
    assert 6 <= (p <= 0.05).sum() <= 25
    tilted = symmetric_networks(1, 6)[:, :1].repeat(6, 1)[0]  # all to the same side
    assert flip_networks(BASIS, tilted, 99).p_value == pytest.approx(0.01, abs=0.021)


def test_a_single_network_is_unchanged_by_its_signs():
    (covariance,) = filter_covariance(aligned(1, 0.5), spatial=False)
    flips = flip_networks(BASIS, covariance[None], 20)
    np.testing.assert_allclose(flips.null, flips.observed, rtol=1e-9)
    assert flips.p_value == 1


def test_pooled_networks_are_measured_as_their_filters_are():
    filters = aligned(3, 0.5)
    by_network = flip_networks(BASIS, filter_covariance(filters, spatial=False), 30)
    by_filter = flip_filters(BASIS, pool_networks(filters), 30)
    np.testing.assert_allclose(by_network.observed, by_filter.observed)
    assert by_network.null.shape == (30,)
    assert by_network.null.std() > 0


@pytest.mark.parametrize(
    ("vectors", "kernel", "samples", "message"),
    [
        (np.eye(3), np.ones((4, 9)), 5, "filters 4 entries"),
        (np.stack([np.eye(4)] * 2), np.ones((4, 9)), 5, "one basis"),
        (2 * np.eye(4), np.ones((4, 9)), 5, "not orthonormal"),
        (np.eye(4), np.ones((4, 9)), 5, "singular"),
        (np.eye(4), np.random.default_rng(0).random((4, 9)), 0, "num_samples is 0"),
    ],
)
def test_flips_of_filters_refuse(vectors, kernel, samples, message):
    with pytest.raises(ValueError, match=message):
        flip_filters(vectors, kernel, samples)


@pytest.mark.parametrize(
    ("vectors", "sigma_w", "samples", "message"),
    [
        (np.eye(3), np.eye(3), 5, "give .network, d, d."),
        (np.eye(3), np.stack([np.eye(4)] * 2), 5, "dimensions 3 and 4"),
        (np.eye(3), np.zeros((2, 3, 3)), 5, "singular"),
        (np.eye(3), np.stack([np.eye(3)] * 2), 0, "num_samples is 0"),
    ],
)
def test_flips_of_networks_refuse(vectors, sigma_w, samples, message):
    with pytest.raises(ValueError, match=message):
        flip_networks(vectors, sigma_w, samples)


def test_flips_of_one_set_do_not_depend_on_what_else_is_asked_for():
    filters = aligned(3, 0.5)
    together = flip_filters(BASIS, filters, 20, spatial=False)
    for i, own in enumerate(filters):
        alone = flip_filters(BASIS, own, 20, spatial=False)
        np.testing.assert_array_equal(alone.null, together.null[i])


def test_maps_that_span_decades_lose_no_digits():
    """M does not depend on the units of coordinates; inverses in float64 do, but for scaling."""
    filters = np.random.default_rng(0).standard_normal((DIM, FILTERS))
    wide = np.geomspace(1e5, 1e-5, DIM)[:, None] * filters
    found, expected = (flip_filters(np.eye(DIM), kernel, 20) for kernel in (wide, filters))
    np.testing.assert_allclose(found.observed, expected.observed, rtol=1e-9)
    np.testing.assert_allclose(found.null, expected.null, rtol=1e-9)
