import numpy as np
import pytest
from scipy import stats

from randlabels.data.errors import DataError
from randlabels.data.gaussian import gaussian

DIAGONAL = (0.1, 1.0, 3.0)


@pytest.mark.parametrize(
    ("holds", "deviations"),
    [("variances", np.sqrt(DIAGONAL)), ("standard_deviations", np.array(DIAGONAL))],
)
def test_coordinates_are_independent_gaussians(holds, deviations):
    x, _ = gaussian(0, 20_000, DIAGONAL, holds)
    assert x.shape == (20_000, 3)
    assert x.dtype == np.float32
    for column, deviation in zip(x.T, deviations, strict=True):
        assert stats.kstest(column, stats.norm(0, deviation).cdf).pvalue > 1e-3
    correlation = np.corrcoef(x.T) - np.eye(3)
    assert np.abs(correlation).max() < 4 / np.sqrt(20_000)


def test_labels_are_deciles_of_the_first_coordinate():
    x, labels = gaussian(1, 20_000, DIAGONAL, "standard_deviations")
    edges = stats.norm.ppf(np.arange(1, 10) / 10, scale=0.1)
    np.testing.assert_array_equal(labels, np.searchsorted(edges, x[:, 0].astype(float)))
    assert stats.chisquare(np.bincount(labels, minlength=10)).pvalue > 1e-3
    assert labels.dtype == np.int32


def test_example_does_not_depend_on_their_number():
    few, many = (gaussian(2, n, DIAGONAL, "variances") for n in (10, 1000))
    for a, b in zip(few, many, strict=True):
        np.testing.assert_array_equal(a, b[:10])


@pytest.mark.parametrize("diagonal", [(), (1.0, 0.0), (-1.0,), (float("nan"),), ((1.0,),)])
def test_bad_diagonal_is_refused(diagonal):
    with pytest.raises(DataError, match="diagonal must be a tuple of positive numbers"):
        gaussian(0, 10, diagonal, "variances")


def test_bad_holds_is_refused():
    with pytest.raises(DataError, match="diagonal_holds is 'variance'"):
        gaussian(0, 10, DIAGONAL, "variance")


def test_rotation_rotates_the_covariance_and_keeps_the_labels():
    plain, labels = gaussian(3, 4000, (1.0, 2.0, 3.0), "standard_deviations")
    rotated, same_labels = gaussian(3, 4000, (1.0, 2.0, 3.0), "standard_deviations", 7)
    np.testing.assert_array_equal(labels, same_labels)
    turn = np.linalg.lstsq(plain.astype(float), rotated.astype(float), rcond=None)[0]
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
    assert np.abs(turn - np.eye(3)).max() > 0.1
    np.testing.assert_allclose(plain @ turn, rotated, atol=1e-5)


@pytest.mark.parametrize(("axes", "direction"), [("first", [1, 0]), ("first_and_last", [1, 1])])
def test_labels_follow_the_axes(axes, direction):
    inputs, labels = gaussian(0, 20_000, (1.0, 1.0), "variances", label_axes=axes)
    means = np.array([inputs[labels == k].mean(axis=0) for k in range(10)])
    slope = means[9] - means[0]
    expected = np.array(direction) / np.linalg.norm(direction)
    np.testing.assert_allclose(slope / np.linalg.norm(slope), expected, atol=0.05)
