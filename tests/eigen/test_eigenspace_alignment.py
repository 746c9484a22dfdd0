"""Misalignment to eigenspaces of near-ties, against numerical minimisation and planted truth."""

import numpy as np
import pytest
import scipy.optimize

from randlabels.eigen import (
    eigenspace_alignment,
    eigenspace_misalignment,
    eigenspaces,
    filter_covariance,
    misalignment,
    random_bases,
    random_eigenspace_misalignment,
)


def random_spd(*lead, dim=5, seed=0):
    factor = np.random.default_rng(seed).standard_normal((*lead, dim, dim + 2))
    return factor @ factor.swapaxes(-1, -2)


def minimised(vectors, sigma_w, groups):
    """Least 1/2 tr(S^-1 B + B^-1 S) - d over block-diagonal S = L L^T, by BFGS over L."""
    groups = np.array(groups)
    dim = len(groups)
    free = np.tril(groups[:, None] == groups)

    def objective(entries):
        lower = np.zeros((dim, dim))
        lower[free] = entries
        np.fill_diagonal(lower, np.exp(np.diag(lower)))
        s = vectors @ lower @ lower.T @ vectors.T
        solved = np.linalg.solve(s, sigma_w), np.linalg.solve(sigma_w, s)
        return (np.trace(solved[0]) + np.trace(solved[1])) / 2 - dim

    return scipy.optimize.minimize(objective, np.zeros(free.sum()), tol=1e-9).fun


@pytest.mark.parametrize("groups", [[0, 1, 1, 2, 2], [0, 0, 0, 1, 2], [1, 0, 1, 0, 1]])
def test_equals_minimisation_over_block_diagonal_covariances(groups):
    sigma_w, vectors = random_spd(), random_bases(5, 1, 1)[0]
    expected = minimised(vectors, sigma_w, groups)
    found = eigenspace_misalignment(vectors, sigma_w, groups)
    assert 0.1 < expected < misalignment(vectors, sigma_w)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_blocks_of_one_vector_are_the_plain_misalignment_and_one_block_gives_none():
    sigma_w, vectors = random_spd(), random_bases(5, 1, 1)[0]
    plain = misalignment(vectors, sigma_w)
    np.testing.assert_allclose(
        eigenspace_misalignment(vectors, sigma_w, [4, 3, 0, 1, 2]), plain, rtol=1e-13
    )
    assert eigenspace_misalignment(vectors, sigma_w, [0] * 5) < 1e-12


def test_near_tie_with_other_eigenvalues_within_it_is_aligned():
    """Eigenvalues 4 and 3.9 of the data; weights differ there, in a turned basis of the space."""
    groups = eigenspaces([4.0, 3.9, 1.0, 0.2], 0.1)
    turn = np.eye(4)
    turn[:2, :2] = random_bases(2, 1, 3)[0]
    aligned = turn * np.array([9.0, 0.1, 2.0, 0.5]) @ turn.T
    assert eigenspace_misalignment(np.eye(4), aligned, groups) < 1e-12
    assert misalignment(np.eye(4), aligned, groups) > 2  # one eigenvalue forced on both
    assert misalignment(np.eye(4), aligned) > 0.5


def test_does_not_depend_on_the_basis_within_a_space_nor_on_scale():
    sigma_w, vectors, groups = random_spd(), random_bases(5, 1, 1)[0], [0, 0, 1, 1, 1]
    turned = vectors.copy()
    turned[:, 2:] = vectors[:, 2:] @ random_bases(3, 1, 5)[0]
    expected = eigenspace_misalignment(vectors, sigma_w, groups)
    assert abs(misalignment(turned, sigma_w) - misalignment(vectors, sigma_w)) > 0.01
    np.testing.assert_allclose(eigenspace_misalignment(turned, sigma_w, groups), expected)
    np.testing.assert_allclose(eigenspace_misalignment(turned, 1e-9 * sigma_w, groups), expected)


def test_keeps_its_digits_where_variances_span_decades():
    vectors = random_bases(6, 1, 0)[0]
    aligned = vectors * np.geomspace(1, 1e-10, 6) @ vectors.T
    assert eigenspace_misalignment(vectors, aligned, [0, 0, 1, 1, 2, 2]) < 1e-4


def test_null_is_that_of_random_bases(monkeypatch):
    w = np.random.default_rng(0).standard_normal((2, 3, 4, 12)) * np.arange(1, 5)[:, None]
    sigma_w, groups = filter_covariance(w, spatial=False), [0, 0, 1, 2]
    null = random_eigenspace_misalignment(sigma_w, groups, 6, seed=5)
    assert null.shape == (2, 3, 6)
    assert random_eigenspace_misalignment(sigma_w, groups).shape == (2, 3, 200)
    for number, basis in enumerate(random_bases(4, 6, 5)):
        expected = eigenspace_misalignment(basis, sigma_w, groups)
        np.testing.assert_allclose(null[..., number], expected, rtol=1e-10)
    monkeypatch.setattr(eigenspace_alignment, "_MAX_NUMBERS", 200)  # batches of two bases
    np.testing.assert_allclose(random_eigenspace_misalignment(sigma_w, groups, 6, 5), null)


@pytest.mark.parametrize(
    ("vectors", "sigma_w", "groups", "message"),
    [
        (2 * np.eye(3), np.eye(3), [0, 0, 1], "not orthonormal"),
        (np.eye(3), np.diag([1.0, 1.0, 0.0]), [0, 0, 1], "singular"),
        (np.eye(3), np.eye(4), [0, 0, 1], "dimensions 3 and 4"),
        (np.eye(3), np.eye(3), [0, 1], "groups has shape"),
    ],
)
def test_refuses(vectors, sigma_w, groups, message):
    with pytest.raises(ValueError, match=message):
        eigenspace_misalignment(vectors, sigma_w, groups)


def test_null_refuses_no_bases():
    with pytest.raises(ValueError, match="num_bases is 0"):
        random_eigenspace_misalignment(np.eye(3), [0, 0, 1], 0)
