"""Floor, random bases and p-values against simulation and theory."""

import numpy as np
import pytest
import scipy.stats

from randlabels.eigen import (
    filter_covariance,
    misalignment,
    misalignment_floor,
    nulls,
    permutation_p_value,
    random_bases,
    random_basis_misalignment,
)


@pytest.mark.parametrize(("num_filters", "mean", "spread"), [(256, 1.49, 0.12), (1024, 0.34, 0.03)])
def test_floor_in_27_dimensions(num_filters, mean, spread):
    """Numbers of paper section 2, two digits computed elsewhere from drawn filters."""
    floor = misalignment_floor(27, num_filters, 2000, 0)
    assert abs(floor.mean() - mean) < 0.015
    assert abs(floor.std() - spread) < 0.006


@pytest.mark.parametrize("groups", [None, [0, 0, 1, 1, 1]])
def test_floor_has_the_law_of_drawn_filters(groups):
    """Drawn filters against a basis that is not the identity: the same distribution."""
    w = np.random.default_rng(1).standard_normal((1500, 5, 20))
    drawn = misalignment(random_bases(5, 1, 2)[0], filter_covariance(w), groups)
    floor = misalignment_floor(5, 20, 1500, 0, groups)
    assert scipy.stats.ks_2samp(drawn, floor).pvalue > 0.01
    assert scipy.stats.ks_2samp(drawn, 1.1 * floor).pvalue < 0.01  # the test has the power


def test_floor_depends_on_the_seed_alone(monkeypatch):
    first = misalignment_floor(4, 9, 7, 3)
    assert np.array_equal(first, misalignment_floor(4, 9, 7, 3))
    assert not np.array_equal(first, misalignment_floor(4, 9, 7, 4))
    monkeypatch.setattr(nulls, "_MAX_NUMBERS", 32)
    assert misalignment_floor(4, 9, 7, 3).shape == (7,)


@pytest.mark.parametrize(
    ("arguments", "message"), [((27, 27, 5, 0), "more than 27"), ((27, 256, 0, 0), "positive")]
)
def test_floor_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        misalignment_floor(*arguments)


def test_random_bases_are_orthonormal_and_uniform():
    bases = random_bases(3, 4000, 0)
    np.testing.assert_allclose(bases.swapaxes(1, 2) @ bases, np.eye(3) + 0 * bases, atol=1e-13)
    # In 3 dimensions every coordinate of a uniform unit vector is uniform on [-1, 1], and so are
    # coordinates after a fixed rotation; half of all bases are reflections.
    fixed = np.linalg.qr(np.arange(9).reshape(3, 3) ** 2 + np.eye(3))[0]
    for entries in (bases.reshape(-1, 9).T, (fixed @ bases @ fixed).reshape(-1, 9).T):
        for entry in entries:
            assert scipy.stats.kstest(entry, scipy.stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert abs(np.linalg.det(bases).mean()) < 0.06


def test_random_bases_refuse():
    with pytest.raises(ValueError, match="positive"):
        random_bases(3, 0, 0)


@pytest.mark.parametrize(
    ("sigma_w", "num_bases", "message"),
    [
        (np.diag([1.0, 0.0]), 5, "singular"),
        (np.triu(np.ones((2, 2))), 5, "not symmetric"),
        (np.eye(2), 0, "num_bases is 0"),
    ],
)
def test_null_refuses(sigma_w, num_bases, message):
    with pytest.raises(ValueError, match=message):
        random_basis_misalignment(sigma_w, num_bases)


def test_null_is_misalignment_to_random_bases(monkeypatch):
    w = np.random.default_rng(0).standard_normal((2, 3, 4, 12)) * np.arange(1, 5)[:, None]
    sigma_w = filter_covariance(w, spatial=False)
    null = random_basis_misalignment(sigma_w, 6, seed=5)
    assert null.shape == (2, 3, 6)
    bases = random_bases(4, 6, 5)
    for basis in range(6):
        np.testing.assert_allclose(null[..., basis], misalignment(bases[basis], sigma_w))
    monkeypatch.setattr(nulls, "_MAX_NUMBERS", 32)  # batches of two bases
    np.testing.assert_allclose(random_basis_misalignment(sigma_w, 6, seed=5), null)


def test_p_value_counts_and_is_valid():
    null = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0]])
    np.testing.assert_allclose(permutation_p_value([2.0, 0.5], null), [3 / 5, 1 / 5])
    rng = np.random.default_rng(0)
    p = permutation_p_value(rng.random(5000), rng.random((5000, 19)))
    assert abs((p <= 0.05).mean() - 0.05) < 0.01
    assert abs((p <= 0.5).mean() - 0.5) < 0.03


def test_p_value_finds_planted_alignment_and_none_elsewhere():
    rng = np.random.default_rng(0)
    basis = random_bases(8, 1, 1)[0]
    w = basis @ (np.geomspace(2, 0.5, 8)[:, None] * rng.standard_normal((8, 200)))
    sigma_w = filter_covariance(w)
    null = random_basis_misalignment(sigma_w)
    assert permutation_p_value(misalignment(basis, sigma_w), null) == 1 / 201
    assert permutation_p_value(misalignment(random_bases(8, 1, 7)[0], sigma_w), null) > 0.05


@pytest.mark.parametrize(
    ("observed", "null", "message"),
    [
        ([1.0, 2.0], np.ones((3, 5)), "leading axes"),
        (1.0, 1.0, "leading axes"),
        (1.0, np.ones(0), "leading axes"),
        (np.nan, np.ones(5), "NaN"),
    ],
)
def test_p_value_refuses(observed, null, message):
    with pytest.raises(ValueError, match=message):
        permutation_p_value(observed, null)
