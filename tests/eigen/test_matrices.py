"""Where a covariance counts as singular, and what is no matrix at all."""

import numpy as np
import pytest

from randlabels.eigen.matrices import cholesky_factors, square_matrices

EPSILON = np.finfo(np.float64).eps


@pytest.mark.parametrize("dim", [4, 27])
def test_a_pivot_within_ten_roundings_for_each_dimension_is_lost(dim):
    variances = np.full(dim, 3.0)
    variances[1] = 3 * 10 * dim * EPSILON * 1.1
    factors = cholesky_factors(np.diag(variances), EPSILON, "sigma_w")
    np.testing.assert_allclose(np.diag(factors) ** 2, variances)
    variances[1] = 3 * 10 * dim * EPSILON * 0.9
    with pytest.raises(ValueError, match="sigma_w is singular in 1 of 1 cases"):
        cholesky_factors(np.diag(variances), EPSILON, "sigma_w")


def test_singular_cases_are_counted():
    whole, lost = np.eye(3), np.diag([1.0, 1.0, 0.0])
    with pytest.raises(ValueError, match="singular in 2 of 3 cases .* more than 3 filters"):
        cholesky_factors(np.stack([lost, whole, lost]), EPSILON, "sigma_w")


@pytest.mark.parametrize("shape", [(3,), (3, 4), (0, 0), (2, 3, 0, 0)])
def test_what_is_no_square_matrix_is_refused(shape):
    with pytest.raises(ValueError, match="give square matrices"):
        square_matrices(np.zeros(shape), "sigma_w")
