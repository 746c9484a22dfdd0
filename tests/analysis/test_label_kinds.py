"""Distances between label kinds against plain loops, and on planted differences."""

import numpy as np
import pytest
import scipy.linalg

from randlabels.analysis.label_kinds import compare_label_kinds
from randlabels.eigen import filter_covariance


def networks(seed, root, count=6, filters=40):
    """Sigma_w [network, d, d] of Gaussian filters with covariance root root^T."""
    rng = np.random.default_rng(seed)
    return filter_covariance(root @ rng.standard_normal((count, len(root), filters)))


def bures(a, b):
    root = scipy.linalg.sqrtm(a)
    cross = np.trace(scipy.linalg.sqrtm(root @ b @ root).real)
    return np.sqrt(np.trace(a) + np.trace(b) - 2 * cross)


def affine(a, b):
    return np.linalg.norm(np.log(scipy.linalg.eigh(b, a, eigvals_only=True)))


def scaled(matrix):
    return matrix / np.trace(matrix)


@pytest.mark.parametrize(
    ("name", "distance", "scale"),
    [
        ("bures_wasserstein", bures, lambda x: x),
        ("bures_wasserstein_unit_trace", bures, scaled),
        ("affine_invariant", affine, lambda x: x),
        ("affine_invariant_unit_trace", affine, scaled),
    ],
)
def test_two_networks_have_one_split_that_loops_confirm(name, distance, scale):
    first, second = networks(0, np.eye(4), 2), networks(1, np.diag([1.0, 2, 3, 4]), 2)
    found = compare_label_kinds(first, second, num_splits=3)[name]
    assert found.pooled == pytest.approx(distance(scale(first.mean(0)), scale(second.mean(0))))
    crossed = [distance(scale(first[i]), scale(second[1 - i])) for i in (0, 1)]
    np.testing.assert_allclose(np.sort(np.unique(found.between.round(9))), np.sort(crossed))
    apart = [distance(scale(kind[0]), scale(kind[1])) for kind in (first, second)]
    np.testing.assert_allclose(found.within, np.repeat(apart, 3))


def test_halves_hold_half_of_the_networks_each_and_none_twice():
    """Orthogonal marks: a half's trace along a network's own axis is 1 / 3 if it is in it."""
    marks = np.stack([np.diag(row) for row in np.eye(7)]) + 1e-3 * np.eye(7)
    found = compare_label_kinds(marks, marks, num_splits=20)["bures_wasserstein"]
    # Two diagonals: sum of squared differences of roots, over three axes on each side.
    expected = np.sqrt(6) * (np.sqrt(1 / 3 + 1e-3) - np.sqrt(1e-3))
    np.testing.assert_allclose(found.within, expected)
    np.testing.assert_allclose(found.between, expected)


def test_other_labels_are_told_from_other_seeds():
    root = np.diag([3.0, 2, 1, 1, 1])
    same = compare_label_kinds(networks(0, root), networks(1, root))
    other = compare_label_kinds(networks(0, root), networks(1, root[::-1, ::-1]))
    for name in same:
        assert same[name].between.min() < same[name].within.max()
        assert other[name].between.min() > 1.5 * other[name].within.max()


def test_shared_starts_make_all_networks_closer_than_seeds_are():
    kind = networks(0, np.eye(5))
    for found in compare_label_kinds(kind, kind).values():
        assert found.pooled == pytest.approx(0, abs=1e-6)
        np.testing.assert_allclose(np.sort(found.between), np.sort(found.within), rtol=1e-9)
        assert found.within.min() > 0.1


def test_unit_trace_leaves_shapes_alone():
    first = networks(0, np.eye(4))
    found = compare_label_kinds(first, 9 * first)
    assert found["bures_wasserstein"].pooled == pytest.approx(2 * np.sqrt(np.trace(first.mean(0))))
    assert found["affine_invariant"].pooled == pytest.approx(np.log(9) * 2)
    for name in ("bures_wasserstein", "affine_invariant"):
        assert found[f"{name}_unit_trace"].pooled == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("first", "second", "splits", "message"),
    [
        (networks(0, np.eye(4), 1), networks(0, np.eye(4), 1), 3, "the same 2 or more networks"),
        (networks(0, np.eye(4), 3), networks(0, np.eye(4), 2), 3, "the same 2 or more networks"),
        (networks(0, np.eye(4)), networks(0, np.eye(4)), 0, "num_splits is 0"),
        (networks(0, np.eye(4), 2, 3), networks(1, np.eye(4), 2, 3), 3, "singular"),
    ],
)
def test_bad_input_is_refused(first, second, splits, message):
    with pytest.raises(ValueError, match=message):
        compare_label_kinds(first, second, splits)
