"""Distances of covariances against SciPy's matrix functions and against closed forms."""

import numpy as np
import pytest
import scipy.linalg

from randlabels.eigen import affine_invariant, bures_wasserstein, random_bases


def random_spd(*lead, dim=5, seed=0):
    factor = np.random.default_rng(seed).standard_normal((*lead, dim, dim + 2))
    return factor @ factor.swapaxes(-1, -2)


def test_equal_scipys_matrix_functions_for_every_pair():
    a, b = random_spd(3, 1), random_spd(2, seed=1)
    bures, affine = bures_wasserstein(a, b), affine_invariant(a, b)
    assert bures.shape == affine.shape == (3, 2)
    for i, j in np.ndindex(3, 2):
        first, second = a[i, 0], b[j]
        root = scipy.linalg.sqrtm(first)
        cross = scipy.linalg.sqrtm(root @ second @ root)
        expected = np.sqrt(np.trace(first) + np.trace(second) - 2 * np.trace(cross).real)
        np.testing.assert_allclose(bures[i, j], expected, rtol=1e-8)
        whitened = np.linalg.solve(root, np.linalg.solve(root, second).T)
        np.testing.assert_allclose(
            affine[i, j], np.linalg.norm(scipy.linalg.logm(whitened)), rtol=1e-8
        )


def test_commuting_matrices_have_closed_forms():
    basis = random_bases(4, 1, 0)[0]
    p, q = np.array([4.0, 2.0, 1.0, 0.25]), np.array([1.0, 3.0, 1.0, 9.0])
    a, b = basis * p @ basis.T, basis * q @ basis.T
    np.testing.assert_allclose(bures_wasserstein(a, b), np.linalg.norm(np.sqrt(p) - np.sqrt(q)))
    np.testing.assert_allclose(affine_invariant(a, b), np.linalg.norm(np.log(p / q)))


def test_invariances():
    a, b, transform = random_spd(), random_spd(seed=1), random_spd(seed=2) + np.tri(5)
    rotation = random_bases(5, 1, 0)[0]
    np.testing.assert_allclose(
        affine_invariant(transform @ a @ transform.T, transform @ b @ transform.T),
        affine_invariant(a, b),
        rtol=1e-7,
    )
    bures = bures_wasserstein(a, b)
    np.testing.assert_allclose(
        bures_wasserstein(rotation @ a @ rotation.T, rotation @ b @ rotation.T), bures, rtol=1e-10
    )
    np.testing.assert_allclose(bures_wasserstein(b, a), bures, rtol=1e-10)
    np.testing.assert_allclose(bures_wasserstein(9 * a, 9 * b), 3 * bures, rtol=1e-10)
    np.testing.assert_allclose(affine_invariant(9 * a, 9 * b), affine_invariant(a, b), rtol=1e-10)


def test_near_equal_matrices_keep_their_digits():
    """The trace formula leaves 1e-8; the distance of diag(1 + e) to the identity is |e| / 2."""
    a = random_spd()
    assert bures_wasserstein(a, a) < 1e-13
    assert affine_invariant(a, a) < 1e-12
    tiny = np.array([1e-9, 0, 0])
    np.testing.assert_allclose(bures_wasserstein(np.eye(3), np.diag(1 + tiny)), 0.5e-9, rtol=1e-5)


def test_bures_allows_singular_matrices():
    one, other = np.diag([4.0, 0.0]), np.diag([0.0, 9.0])
    np.testing.assert_allclose(bures_wasserstein(one, other), np.sqrt(13))


@pytest.mark.parametrize("distance", [bures_wasserstein, affine_invariant])
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.triu(np.ones((3, 3))), np.eye(3), "a is not symmetric"),
        (np.eye(3), np.full((3, 3), np.inf), "b holds infinite"),
        (np.eye(3), np.eye(4), "dimensions 3 and 4"),
        (np.ones((3, 2)), np.eye(3), "square"),
    ],
)
def test_refuse(distance, a, b, message):
    with pytest.raises(ValueError, match=message):
        distance(a, b)


def test_refuse_what_is_not_definite():
    with pytest.raises(ValueError, match="negative eigenvalue"):
        bures_wasserstein(np.eye(2), np.diag([1.0, -1.0]))
    with pytest.raises(ValueError, match="b is singular"):
        affine_invariant(np.eye(2), np.diag([1.0, 0.0]))


def test_many_pairs_on_few_cores_do_not_lock_each_other_out():
    """Two eigh of one program once waited for each other's threads: this test never ended then."""
    rng = np.random.default_rng(0)
    first, second = (x @ x.swapaxes(-1, -2) for x in rng.standard_normal((2, 50, 27, 60)))
    expected = bures_wasserstein(first, second)
    for _ in range(60):
        np.testing.assert_array_equal(bures_wasserstein(first, second), expected)
