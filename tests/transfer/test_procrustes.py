"""Channels of one network expressed in another's, against explicit loops, SciPy and known maps."""

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

from randlabels.eigen import filter_covariance
from randlabels.transfer.procrustes import cross_covariances, procrustes_rotation, rotate_filters

RNG = np.random.default_rng(0)
C = 5


def orthogonal(seed):
    """A random orthogonal matrix [C, C]; reflections occur."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(C, C)))[0]


@pytest.fixture(scope="module")
def maps():
    """Activations [n, h, w, C] of two networks: the second a noisy rotation of the first, and
    both with large means, which centring has to remove."""
    spread = np.array([3, 2, 1.5, 1, 0.5])
    ours = RNG.normal(size=(30, 4, 3, C)) * spread + 10 * np.arange(C)
    theirs = (ours - 7) @ orthogonal(1) + 0.8 * RNG.normal(size=ours.shape) - 20
    return ours, theirs


def rows(x):
    return x.reshape(-1, C)


def batches(x):
    return (x[i : i + 8].astype(np.float32) for i in range(0, len(x), 8))


@pytest.mark.parametrize("flat", [False, True])
def test_cross_covariance_is_numpys(maps, flat):
    """Images and positions alike count as samples, flattened maps as well."""
    shape = (30, -1) if flat else maps[0].shape
    ours, theirs = maps
    others = [theirs, ours[::-1], theirs]
    found = cross_covariances(
        batches(ours.reshape(shape)), [batches(x.reshape(shape)) for x in others], C
    )
    assert found.shape == (3, C, C)
    for other, cross in zip(others, found, strict=True):
        both = np.cov(np.hstack([rows(ours), rows(other)]).T, bias=True)
        np.testing.assert_allclose(cross, both[:C, C:], atol=1e-4)


def test_the_rotation_is_scipys_and_none_is_better(maps):
    x, y = (rows(m) - rows(m).mean(0) for m in maps)
    found = procrustes_rotation(x.T @ y / len(x))
    np.testing.assert_allclose(found, orthogonal_procrustes(x, y)[0], atol=1e-10)
    np.testing.assert_allclose(found.T @ found, np.eye(C), atol=1e-12)
    error = np.linalg.norm(x @ found - y)
    for seed in range(50):
        # A small rotation away from it: expm of a skew matrix, to first order by QR.
        step = np.random.default_rng(seed).normal(size=(C, C))
        near = found @ np.linalg.qr(np.eye(C) + 0.02 * (step - step.T))[0]
        near *= np.sign(np.sum(near * found, axis=0))
        assert np.linalg.norm(x @ near - y) > error


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_known_map_is_recovered(seed):
    """y = Q^T x: rotations and reflections alike, whatever the spread of x."""
    known = orthogonal(seed)
    x = RNG.normal(size=(200, C)) * np.geomspace(10, 0.1, C) + 3
    found = procrustes_rotation(cross_covariances([x], [[x @ known]], C)[0])
    np.testing.assert_allclose(found, known, atol=1e-9)


def test_rotated_filters_do_to_ours_what_the_old_ones_do_to_theirs():
    known, (kh, kw, m) = orthogonal(4), (3, 2, 7)
    patch = RNG.normal(size=(kh, kw, C))
    theirs = np.array([[known.T @ patch[i, j] for j in range(kw)] for i in range(kh)])
    filters = RNG.normal(size=(kh * kw * C, m))
    ours = rotate_filters(filters, known)
    np.testing.assert_allclose(patch.ravel() @ ours, theirs.ravel() @ filters, atol=1e-12)


def test_the_covariance_is_rotated_on_the_channel_axis_alone():
    known, filters = orthogonal(5), RNG.normal(size=(4 * C, 9))
    wide = np.kron(np.eye(4), known)
    expected = wide @ filter_covariance(filters) @ wide.T
    found = filter_covariance(rotate_filters(filters, known))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert np.abs(found - filter_covariance(filters)).max() > 0.1


def test_a_dead_channel_does_not_disturb_the_others():
    known = np.eye(C)[[0, 3, 1, 2, 4]]
    x = RNG.normal(size=(100, C)) * [1, 1, 1, 1, 0]
    found = procrustes_rotation(cross_covariances([x], [[x @ known]], C)[0])
    np.testing.assert_allclose(found[:4, :4], known[:4, :4], atol=1e-12)
    assert abs(found[4, 4]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (np.ones((4, 2, C)), np.ones((4, 3, C)), r"receives \(2, 5\), the other \(3, 5\)"),
        (np.zeros((4, C)), np.ones((4, C)), "does not covary"),
        (np.full((4, C), np.nan), np.ones((4, C)), "does not covary"),
    ],
)
def test_what_cannot_be_aligned_is_refused(ours, theirs, message):
    with pytest.raises(ValueError, match=message):
        procrustes_rotation(cross_covariances([ours], [[theirs]], C)[0])
