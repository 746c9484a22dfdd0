"""Subspace overlap and principal angles against SciPy, and energy profiles."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats

from randlabels.eigen import (
    eigenvalue_map,
    energy_profile,
    filter_covariance,
    principal_angles,
    profile_correlation,
    random_bases,
    subspace_overlap,
)


@pytest.mark.parametrize("k", [1, 3, 5, 7])
def test_angles_equal_scipys(k):
    u, v = random_bases(7, 2, 0)
    shared = max(0, 2 * k - 7)  # spaces of k dimensions in 7 meet in as many
    angles = principal_angles(u, v, k)
    expected = np.sort(scipy.linalg.subspace_angles(u[:, :k], v[:, :k]))
    np.testing.assert_allclose(angles[:shared], 0, atol=1e-14)
    np.testing.assert_allclose(angles[shared:], expected[shared:], rtol=1e-12)


def test_planted_angles_keep_their_digits():
    """1e-9 is lost in its cosine, pi/2 - 1e-9 in its sine."""
    planted = np.array([1e-9, 0.3, np.pi / 2 - 1e-9])
    c, s = np.diag(np.cos(planted)), np.diag(np.sin(planted))
    v = np.block([[c, -s], [s, c]])
    rotation = random_bases(6, 1, 0)[0]
    angles = principal_angles(rotation, rotation @ v, 3)
    np.testing.assert_allclose(angles[:2], planted[:2], rtol=1e-6)
    np.testing.assert_allclose(np.pi / 2 - angles[2], 1e-9, rtol=1e-6)


def test_overlap_is_the_norm_of_products_for_every_pair():
    u, v = random_bases(6, 4, 0).reshape(4, 1, 6, 6), random_bases(6, 3, 1)
    overlap = subspace_overlap(u, v, 2)
    assert overlap.shape == (4, 3)
    expected = np.linalg.norm(u[2, 0][:, :2].T @ v[1][:, :2]) ** 2 / 2
    np.testing.assert_allclose(overlap[2, 1], expected, rtol=1e-12)


def test_overlap_is_one_within_a_space_and_k_over_d_by_chance():
    basis = random_bases(12, 1, 0)[0]
    mixed = basis.copy()
    mixed[:, :4] = basis[:, :4] @ random_bases(4, 1, 1)[0]
    np.testing.assert_allclose(subspace_overlap(basis, mixed, 4), 1, rtol=1e-12)
    np.testing.assert_allclose(subspace_overlap(basis, basis[:, ::-1], 4), 0, atol=1e-12)
    chance = subspace_overlap(basis, random_bases(12, 3000, 2), 4)
    assert abs(chance.mean() - 4 / 12) < 4 * chance.std() / np.sqrt(3000)


@pytest.mark.parametrize(
    ("u", "v", "k", "message"),
    [
        (np.eye(3), np.eye(3), 0, "k is 0"),
        (np.eye(3), np.eye(3), 4, "k is 4"),
        (np.eye(3), np.eye(4), 2, "dimensions"),
        (np.ones((3, 3)), np.eye(3), 2, "not orthonormal"),
        (np.full((3, 3), np.nan), np.eye(3), 2, "NaN"),
    ],
)
def test_refuses(u, v, k, message):
    with pytest.raises(ValueError, match=message):
        subspace_overlap(u, v, k)


def test_energy_profile_is_the_uncentred_map_for_every_network():
    w = np.random.default_rng(0).standard_normal((2, 3, 2, 2, 3, 5)) + 0.2
    vectors = random_bases(12, 1, 0)[0]
    profile = energy_profile(vectors, w)
    assert profile.shape == (2, 3, 12)
    np.testing.assert_allclose(profile, eigenvalue_map(vectors, filter_covariance(w)), rtol=1e-10)
    filters = w[1, 2].reshape(12, 5)
    expected = np.sqrt(np.mean([(f @ vectors[:, 4]) ** 2 for f in filters.T]))
    np.testing.assert_allclose(profile[1, 2, 4], expected, rtol=1e-12)


def test_profile_correlation_is_pearsons():
    profiles = np.random.default_rng(0).random((4, 3, 9))
    correlation = profile_correlation(profiles)
    assert correlation.shape == (4, 3, 3)
    for i, j in np.ndindex(3, 3):
        expected = scipy.stats.pearsonr(profiles[2, i], profiles[2, j]).statistic
        np.testing.assert_allclose(correlation[2, i, j], expected, rtol=1e-12)


def test_profiles_refuse():
    with pytest.raises(ValueError, match="same layer"):
        energy_profile(np.eye(4), np.ones((3, 5)))
    with pytest.raises(ValueError, match="constant"):
        profile_correlation([[1.0, 2.0, 3.0], [0.1, 0.1, 0.1]])
    with pytest.raises(ValueError, match="d > 1"):
        profile_correlation([1.0, 2.0])
