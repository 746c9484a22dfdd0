"""Descending eigen-decomposition and eigenspaces."""

import jax.numpy as jnp
import numpy as np
import pytest

from randlabels.eigen import descending_eigh, eigenspaces


def random_spd(*shape, seed=0):
    factor = np.random.default_rng(seed).standard_normal((*shape, shape[-1] + 3))
    return factor @ factor.swapaxes(-1, -2)


def test_equals_lapack_in_descending_order():
    matrices = random_spd(3, 2, 6)
    values, vectors = descending_eigh(matrices)
    assert values.dtype == vectors.dtype == np.float64
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrices)[..., ::-1], rtol=1e-12)
    np.testing.assert_allclose(
        vectors * values[..., None, :] @ vectors.swapaxes(-1, -2), matrices, atol=1e-12 * 30
    )
    np.testing.assert_allclose(
        vectors.swapaxes(-1, -2) @ vectors, np.eye(6) + 0 * matrices, atol=1e-13
    )


def test_planted_eigenvectors_are_recovered_with_their_sign_rule():
    basis = np.linalg.qr(np.random.default_rng(1).standard_normal((5, 5)))[0]
    basis *= np.sign(basis[np.abs(basis).argmax(0), np.arange(5)])
    planted = np.array([9.0, 4.0, 3.0, 1.0, 0.5])
    values, vectors = descending_eigh(basis * planted @ basis.T)
    np.testing.assert_allclose(values, planted, rtol=1e-13)
    np.testing.assert_allclose(vectors, basis, atol=1e-13)


def test_float32_input_is_computed_in_float64():
    matrix = jnp.asarray(random_spd(8), jnp.float32)
    values, _ = descending_eigh(matrix)
    exact = np.linalg.eigvalsh(np.asarray(matrix, np.float64))[::-1]
    np.testing.assert_allclose(values, exact, rtol=1e-12)


def test_float64_stays_inside():
    descending_eigh(random_spd(3))
    assert jnp.zeros(1).dtype == jnp.float32


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((2, 3)), "square"),
        (np.ones(3), "square"),
        (np.ones((0, 0)), "square"),
        (np.array([[1.0, 2.0], [2.1, 1.0]]), "not symmetric"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "NaN"),
        (np.eye(2) * 1j, "real numbers"),
    ],
)
def test_refuses(matrix, message):
    with pytest.raises(ValueError, match=message):
        descending_eigh(matrix)


def test_one_asymmetric_matrix_of_a_batch_is_refused():
    matrices = random_spd(4, 3)
    matrices[2, 0, 1] += 1e-6
    with pytest.raises(ValueError, match="not symmetric"):
        descending_eigh(matrices)


def test_rounding_of_float32_is_no_asymmetry():
    matrix = random_spd(4).astype(np.float32)
    matrix[0, 1] *= 1 + 3e-7
    assert descending_eigh(matrix)[0].shape == (4,)


def test_eigenspaces_group_near_ties_without_chaining():
    values = [10.0, 9.6, 9.2, 5.0, 5.0, 1.0, 0.0, 0.0]
    assert eigenspaces(values, 0.05).tolist() == [0, 0, 1, 2, 2, 3, 4, 4]
    assert eigenspaces(values, 0.0).tolist() == [0, 1, 2, 3, 3, 4, 5, 5]
    assert eigenspaces(values, 0.1).tolist() == [0, 0, 0, 1, 1, 2, 3, 3]


@pytest.mark.parametrize(
    ("values", "tolerance", "message"),
    [
        ([1.0, 2.0], 0.1, "descending"),
        ([[2.0, 1.0]], 0.1, "descending"),
        ([], 0.1, "descending"),
        ([2.0, -1.0], 0.1, "negative"),
        ([2.0, 1.0], 1.0, "tolerance"),
        ([2.0, 1.0], -0.5, "tolerance"),
        ([2.0, np.inf], 0.1, "NaN"),
    ],
)
def test_eigenspaces_refuse(values, tolerance, message):
    with pytest.raises(ValueError, match=message):
        eigenspaces(values, tolerance)
