"""Filters drawn from a covariance."""

import jax
import numpy as np
import pytest

from randlabels.transfer import draw_filters

DIM = 12


@pytest.fixture(scope="module")
def sigma_w():
    """Eigenvalues from 0.05 to 4 in a random basis."""
    basis, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((DIM, DIM)))
    return (basis * np.geomspace(0.05, 4, DIM)) @ basis.T


def test_many_filters_have_the_covariance(sigma_w):
    """Whitened, the sample covariance is Wishart: entries deviate by 1/sqrt(m), 2/sqrt(m) at most
    on the diagonal. The flattening must be (row, column, channel) for the kernel's last axis to
    come back as columns."""
    count = 40_000
    kernel = draw_filters(jax.random.key(0), sigma_w, (2, 2, 3, count))
    assert kernel.shape == (2, 2, 3, count)
    assert kernel.dtype == np.float32
    filters = kernel.reshape(DIM, count).astype(np.float64)
    values, vectors = np.linalg.eigh(sigma_w)
    white = (vectors / np.sqrt(values)).T @ filters
    assert np.abs(white.mean(axis=1)).max() < 5 / count**0.5
    gap = white @ white.T / count - np.eye(DIM)
    assert np.abs(gap).max() < 5 * (2 / count) ** 0.5
    assert abs((white**4).mean() - 3) < 5 * (96 / white.size) ** 0.5  # normal
    # Filters are independent of each other.
    assert abs((white[:, :-1] * white[:, 1:]).mean()) < 5 / white.size**0.5


def test_a_singular_covariance_confines_the_filters():
    direction = np.array([3.0, 0.0, 4.0]) / 5
    filters = draw_filters(jax.random.key(0), np.outer(direction, direction), (3, 50))
    np.testing.assert_allclose(filters - np.outer(direction, direction @ filters), 0, atol=1e-6)
    assert np.abs(filters).max() > 1


def test_filters_depend_on_the_key_alone(sigma_w):
    first = draw_filters(jax.random.key(1), sigma_w, (DIM, 4))
    np.testing.assert_array_equal(draw_filters(jax.random.key(1), sigma_w, (DIM, 4)), first)
    other = draw_filters(jax.random.key(2), sigma_w, (DIM, 4))
    assert not np.isclose(other, first).any()


@pytest.mark.parametrize(
    ("change", "shape", "message"),
    [
        (lambda s: s, (3, 3, 3, 4), r"have 27 weights, but sigma_w has shape \(12, 12\)"),
        (lambda s: s[0], (DIM, 4), "sigma_w has shape"),
        (lambda s: s + np.triu(np.ones_like(s), 1), (DIM, 4), "finite and symmetric"),
        (lambda s: s * np.nan, (DIM, 4), "finite and symmetric"),
        (lambda s: s - np.eye(DIM), (DIM, 4), "positive semi-definite"),
        (lambda s: 0 * s, (DIM, 4), "positive semi-definite"),
    ],
)
def test_what_is_no_covariance_is_refused(sigma_w, change, shape, message):
    with pytest.raises(ValueError, match=message):
        draw_filters(jax.random.key(0), change(sigma_w), shape)
