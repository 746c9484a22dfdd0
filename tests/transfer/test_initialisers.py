"""Filters of other initialisations, against what defines them."""

import jax
import numpy as np
import pytest

from randlabels.transfer.initialisers import orthogonal, patch_whitening, smooth

KEY = jax.random.key(3)


@pytest.mark.parametrize(("shape", "axis"), [((3, 3, 2, 7), 1), ((6, 20), 0)])
def test_orthogonal_filters_or_rows(shape, axis):
    matrix = orthogonal(KEY, shape).reshape(-1, shape[-1])
    gram = matrix.T @ matrix if axis else matrix @ matrix.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-6)
    assert np.abs(matrix).max() < 1


def test_orthogonal_is_a_uniform_draw():
    """QR alone makes the first diagonal entry always of one sign; its mean must be 0."""
    first = [orthogonal(jax.random.key(k), (3, 3))[0, 0] for k in range(200)]
    assert abs(np.mean(first)) < 4 / np.sqrt(3 * 200)  # entries have variance 1 / 3


def test_smooth_filters_have_the_covariance_of_the_formula():
    filters = smooth(KEY, (5, 5, 2, 40_000)).reshape(5, 5, 2, -1)
    found = np.einsum("abcm,decm->abde", filters, filters) / filters[0, 0].size
    width = 5 / 3
    for p, q in [((0, 0), (0, 1)), ((2, 2), (2, 2)), ((1, 2), (3, 4)), ((0, 0), (4, 4))]:
        apart = (p[0] - q[0]) ** 2 + (p[1] - q[1]) ** 2
        radii = sum((x - 2) ** 2 for x in (*p, *q))
        wanted = np.exp(-apart / (2 * width**2) - radii / (4 * width**2))
        assert found[p][q] == pytest.approx(wanted, abs=0.02)
    between_channels = np.mean(filters[2, 2, 0] * filters[2, 2, 1])
    assert abs(between_channels) < 0.02


def test_patch_whitening_whitens_and_comes_with_both_signs():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, 12)) * np.linspace(0.5, 3, 12)
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    values, vectors = values[::-1], vectors[:, ::-1]
    kernel = patch_whitening(values, vectors, (2, 2, 3, 30), epsilon=1e-9).reshape(12, 30)
    np.testing.assert_allclose(kernel[:, 0], -kernel[:, 1])
    np.testing.assert_array_equal(kernel[:, :6], kernel[:, 24:])  # 24 = 2 d, then again
    outputs = x @ kernel[:, 0:24:2]
    np.testing.assert_allclose(outputs.T @ outputs / len(x), np.eye(12), atol=1e-6)
    few = patch_whitening(values, vectors, (12, 4))
    assert np.abs(few[:, ::2].T @ vectors).argmax(1).tolist() == [0, 1]
