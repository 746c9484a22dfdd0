"""Leading eigenvectors against all of them, and against NumPy's singular vectors."""

import numpy as np
import pytest

from randlabels.eigen.leading import leading_eigh, leading_eigh_of_examples
from randlabels.eigen.spectra import descending_eigh


def examples(number, dim, seed=0):
    """Rows with a steep spectrum, and means that are far from 0."""
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((number, dim)) * np.geomspace(5, 0.01, dim)
    return mixed @ np.linalg.qr(rng.standard_normal((dim, dim)))[0] + 3 * rng.standard_normal(dim)


@pytest.mark.parametrize("count", [1, 7, 30, 40])
def test_leading_ones_are_the_first_of_all(count):
    matrix = np.cov(examples(200, 30).T, bias=True)
    values, vectors = descending_eigh(matrix)
    ours = leading_eigh(matrix, count)
    np.testing.assert_allclose(ours[0], values[:count], rtol=1e-10)
    np.testing.assert_allclose(ours[1], vectors[:, :count], atol=1e-9)


@pytest.mark.parametrize(("count", "kept"), [(5, 5), (19, 19), (100, 19)])
def test_few_examples_have_the_eigenvectors_of_their_covariance(count, kept):
    rows = examples(20, 90)
    values, vectors, trace = leading_eigh_of_examples([rows[:13], rows[13:]], count)
    covariance = np.cov(rows.T, bias=True)
    all_values, all_vectors = descending_eigh(covariance)
    np.testing.assert_allclose(values, all_values[:kept], rtol=1e-9)
    assert vectors.shape == (90, kept)
    np.testing.assert_allclose(vectors, all_vectors[:, :kept], atol=1e-8)
    np.testing.assert_allclose(trace, np.trace(covariance))
    # NumPy's singular vectors, without any covariance.
    singular = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    np.testing.assert_allclose(values, singular.S[:kept] ** 2 / 20, rtol=1e-9)
    np.testing.assert_allclose(np.abs((singular.Vh[:kept] * vectors.T).sum(1)), 1, atol=1e-9)


def test_directions_without_variance_are_orthogonal_to_the_others():
    rows = np.repeat(examples(6, 40), 3, axis=0)  # 18 examples, 5 directions
    values, vectors, trace = leading_eigh_of_examples(rows, 12)
    assert (values[:5] > 1e-6).all()
    np.testing.assert_array_equal(values[5:], 0)
    np.testing.assert_allclose(values.sum(), trace)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(12), atol=1e-12)
    np.testing.assert_allclose((rows - rows.mean(0)) @ vectors[:, 5:], 0, atol=1e-9)


def test_weak_eigenvectors_stay_orthogonal():
    """Products of examples lose half of the digits: 1e-12 of the largest eigenvalue is left."""
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((30, 29)) * np.geomspace(1, 1e-5, 29)
    rows = rows @ np.linalg.qr(rng.standard_normal((70, 29)))[0].T
    values, vectors, _ = leading_eigh_of_examples(rows, 29)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(29), atol=1e-12)
    singular = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    np.testing.assert_allclose(values, singular.S[:29] ** 2 / 30, rtol=1e-4)
    np.testing.assert_allclose(np.abs((singular.Vh[:29] * vectors.T).sum(1)), 1, atol=1e-4)


def test_errors():
    for rows in (np.zeros((1, 4)), np.zeros(4), []):
        with pytest.raises(ValueError, match="at least two"):
            leading_eigh_of_examples(rows, 2)
    with pytest.raises(ValueError, match="infinite or NaN"):
        leading_eigh_of_examples(np.full((3, 4), np.nan), 2)
    with pytest.raises(ValueError, match="not symmetric"):
        leading_eigh(np.arange(9.0).reshape(3, 3), 2)
