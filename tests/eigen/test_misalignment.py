"""Misalignment and eigenvalue map against their definitions and against planted truth."""

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from randlabels.eigen import (
    alignment,
    descending_eigh,
    eigenspaces,
    eigenvalue_map,
    filter_covariance,
    misalignment,
    random_bases,
)


def random_spd(*lead, dim=5, seed=0):
    factor = np.random.default_rng(seed).standard_normal((*lead, dim, dim + 2))
    return factor @ factor.swapaxes(-1, -2)


def minimised(vectors, sigma_w, groups):
    """Definition 2: least 1/2 tr(S^-1 B + B^-1 S) - d over S with these eigenspaces, by BFGS."""

    def objective(log_eigenvalues):
        s = vectors * np.exp(log_eigenvalues)[groups] @ vectors.T
        solved = np.linalg.solve(s, sigma_w), np.linalg.solve(sigma_w, s)
        return (np.trace(solved[0]) + np.trace(solved[1])) / 2 - len(s)

    start = np.zeros(len(np.unique(groups)))
    return scipy.optimize.minimize(objective, start, tol=1e-10).fun


@pytest.mark.parametrize("groups", [[0, 1, 2, 3, 4], [0, 1, 1, 2, 2], [0, 0, 0, 0, 0]])
def test_equals_minimisation_of_the_definition(groups):
    sigma_w, vectors = random_spd(), random_bases(5, 1, 1)[0]
    expected = minimised(vectors, sigma_w, np.array(groups))
    assert expected > 0.5
    np.testing.assert_allclose(misalignment(vectors, sigma_w, groups), expected, rtol=1e-7)


def test_distinct_groups_are_the_plain_misalignment():
    sigma_w, vectors = random_spd(), random_bases(5, 1, 1)[0]
    np.testing.assert_allclose(
        misalignment(vectors, sigma_w, np.arange(5)), misalignment(vectors, sigma_w), rtol=1e-14
    )


def test_eigenspaces_hide_the_basis_within_and_never_lower_misalignment():
    sigma_w, vectors = random_spd(), random_bases(5, 1, 1)[0]
    rotated = vectors.copy()
    rotated[:, 1:3] = vectors[:, 1:3] @ random_bases(2, 1, 3)[0]
    groups = [0, 1, 1, 2, 2]
    by_space = misalignment(vectors, sigma_w, groups)
    np.testing.assert_allclose(misalignment(rotated, sigma_w, groups), by_space, rtol=1e-12)
    assert abs(misalignment(rotated, sigma_w) - misalignment(vectors, sigma_w)) > 1e-3
    assert by_space > misalignment(vectors, sigma_w)
    np.testing.assert_allclose(
        eigenvalue_map(rotated, sigma_w, groups), eigenvalue_map(vectors, sigma_w, groups)
    )


def test_zero_exactly_when_aligned():
    vectors = random_bases(6, 1, 2)[0]
    planted = np.array([3.0, 0.1, 2.0, 2.0, 5.0, 1.0])  # any order, with a tie
    aligned = vectors * planted @ vectors.T
    assert misalignment(vectors, aligned) < 1e-12
    tilt = np.eye(6)
    tilt[:2, :2] = [[np.cos(1e-3), -np.sin(1e-3)], [np.sin(1e-3), np.cos(1e-3)]]
    assert misalignment(vectors @ tilt, aligned) > 1e-6
    assert misalignment(vectors, aligned, [0, 0, 1, 1, 2, 2]) > 0.1  # 3 and .1 in one eigenspace


def test_unchanged_by_scale_and_by_rotating_both():
    vectors, sigma_w, rotation = random_bases(5, 1, 0)[0], random_spd(), random_bases(5, 1, 9)[0]
    expected = misalignment(vectors, sigma_w)
    np.testing.assert_allclose(misalignment(vectors, 1e-9 * sigma_w), expected, rtol=1e-12)
    turned = rotation @ sigma_w @ rotation.T
    np.testing.assert_allclose(misalignment(rotation @ vectors, turned), expected, rtol=1e-11)
    np.testing.assert_allclose(
        eigenvalue_map(rotation @ vectors, turned), eigenvalue_map(vectors, sigma_w), rtol=1e-12
    )


def loop_misalignment(vectors, sigma_w):
    inverse = np.linalg.inv(sigma_w)
    return sum(np.sqrt((v @ sigma_w @ v) * (v @ inverse @ v)) for v in vectors.T) - len(vectors)


@pytest.mark.parametrize("max_products", [2**25, 60])
def test_leading_axes_broadcast(monkeypatch, max_products):
    """Also when the batch is split to bound memory."""
    monkeypatch.setattr(alignment, "_MAX_PRODUCTS", max_products)
    sigma_w, bases = random_spd(3, 2), random_bases(5, 4, 0)
    result = misalignment(bases[:, None, None], sigma_w)
    tau = eigenvalue_map(bases[:, None, None], sigma_w)
    assert result.shape == (4, 3, 2)
    assert tau.shape == (4, 3, 2, 5)
    for index in np.ndindex(4, 3, 2):
        vectors, sigma = bases[index[0]], sigma_w[index[1:]]
        np.testing.assert_allclose(result[index], loop_misalignment(vectors, sigma), rtol=1e-10)
        np.testing.assert_allclose(tau[index] ** 2, np.diag(vectors.T @ sigma @ vectors))
    pairs = misalignment(bases[:3, None], sigma_w)
    np.testing.assert_allclose(pairs[2, 1], result[2, 2, 1], rtol=1e-12)


@pytest.mark.parametrize("max_products", [300, 2**20])
@pytest.mark.parametrize(
    ("of_bases", "of_matrices"),
    [((4, 1, 1), (3, 5)), ((4, 1, 3), (6, 1)), ((), (11,)), ((2, 3), (12, 1, 1)), ((3,), (3,))],
)
def test_forms_of_many_matrices_are_those_of_each(monkeypatch, of_bases, of_matrices, max_products):
    """By products of the bases' entries where all are crossed and one by one, also in parts."""
    monkeypatch.setattr(alignment, "_MAX_PRODUCTS", max_products)
    vectors = random_bases(5, int(np.prod(of_bases, initial=1)), 1).reshape(*of_bases, 5, 5)
    sigma_w = random_spd(*of_matrices)
    expected = np.sqrt(np.einsum("...ji,...jk,...ki->...i", vectors, sigma_w, vectors))
    for many in (2, np.inf):
        monkeypatch.setattr(alignment, "_MANY", many)
        found = eigenvalue_map(vectors, sigma_w)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_planted_map_is_recovered_from_filters():
    rng = np.random.default_rng(4)
    sigma_x = random_spd(dim=6)
    _, vectors = descending_eigh(sigma_x)
    planted = np.array([0.1, 0.2, 0.5, 0.4, 0.2, 0.1])
    z = np.linalg.qr(rng.standard_normal((50, 6)))[0].T * np.sqrt(50)  # z z^T / 50 = I exactly
    sigma_w = filter_covariance(vectors @ (planted[:, None] * z))
    np.testing.assert_allclose(eigenvalue_map(vectors, sigma_w), planted, rtol=1e-12)
    assert misalignment(vectors, sigma_w) < 1e-12


def test_map_by_eigenspace_is_the_root_mean_square():
    vectors, sigma_w = random_bases(5, 1, 0)[0], random_spd()
    tau = eigenvalue_map(vectors, sigma_w)
    grouped = eigenvalue_map(vectors, sigma_w, eigenspaces([4.0, 4.0, 2.0, 2.0, 2.0], 0.01))
    expected = [np.sqrt(np.mean(tau[:2] ** 2)), np.sqrt(np.mean(tau[2:] ** 2))]
    np.testing.assert_allclose(grouped, expected, rtol=1e-13)


def test_map_of_singular_covariance():
    w = np.random.default_rng(0).standard_normal((5, 2))
    vectors = random_bases(5, 1, 0)[0]
    tau = eigenvalue_map(vectors, filter_covariance(w))
    np.testing.assert_allclose(tau, np.sqrt(np.mean((vectors.T @ w) ** 2, axis=1)), rtol=1e-12)


def test_float32_arrays_of_jax_are_computed_in_float64():
    sigma_w, vectors = jnp.asarray(random_spd(), jnp.float32), random_bases(5, 1, 0)[0]
    expected = misalignment(vectors, np.asarray(sigma_w, np.float64))
    np.testing.assert_allclose(misalignment(vectors, sigma_w), expected, rtol=1e-12)


@pytest.mark.parametrize("num_filters", [3, 5, 19])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_singular_is_refused_with_advice(num_filters, dtype):
    sigma_w = filter_covariance(np.random.default_rng(0).standard_normal((20, num_filters)))
    with pytest.raises(ValueError, match=r"singular in 1 of 1 .* more than 20 filters .* pooling"):
        misalignment(np.eye(20), sigma_w.astype(dtype))


def test_ill_conditioned_but_definite_is_measured():
    vectors = random_bases(6, 1, 0)[0]
    aligned = vectors * np.geomspace(1, 1e-8, 6) @ vectors.T
    assert misalignment(vectors, aligned) < 1e-6


@pytest.mark.parametrize(
    ("vectors", "sigma_w", "message"),
    [
        (2 * np.eye(3), np.eye(3), "not orthonormal"),
        (np.eye(3)[:, :2], np.eye(3), "square"),
        (np.eye(3), np.triu(np.ones((3, 3))), "not symmetric"),
        (np.eye(3), np.diag([1.0, np.nan, 1.0]), "NaN"),
        (np.eye(3), np.ones(3), "square"),
        (np.eye(3), np.eye(4), "dimensions 3 and 4"),
        (np.stack([np.eye(3)] * 2), np.stack([np.eye(3)] * 4), "do not broadcast"),
    ],
)
@pytest.mark.parametrize("function", [misalignment, eigenvalue_map])
def test_refuses(function, vectors, sigma_w, message):
    with pytest.raises(ValueError, match=message):
        function(vectors, sigma_w)


def test_refuses_what_is_no_covariance():
    with pytest.raises(ValueError, match="negative variance"):
        eigenvalue_map(np.eye(2), np.diag([1.0, -0.1]))
    with pytest.raises(ValueError, match="singular"):
        misalignment(np.eye(2), np.diag([1.0, -0.1]))
    with pytest.raises(ValueError, match="groups has shape"):
        misalignment(np.eye(2), np.eye(2), [0, 0, 1])
