"""Control bases, entry by entry and on planted filters."""

import numpy as np
import pytest

from randlabels.eigen import (
    dct_opponent_basis,
    filter_covariance,
    misalignment,
    permuted_flattenings,
    random_bases,
)


@pytest.mark.parametrize("shape", [(3, 3, 3), (5, 5, 3), (3, 2, 3), (4, 4, 1), (3, 3, 2), (7,)])
def test_cosines_and_colours_are_orthonormal(shape):
    basis = dct_opponent_basis(shape)
    np.testing.assert_allclose(basis.T @ basis, np.eye(np.prod(shape)), atol=1e-14)


def test_cosines_times_colours_by_the_formula():
    basis = dct_opponent_basis((3, 4, 3)).reshape(3, 4, 3, 36)

    def wave(length, frequency):
        x = np.cos(np.pi * (np.arange(length) + 0.5) * frequency / length)
        return x / np.linalg.norm(x)

    colours = [(1, 1, 1), (1, -1, 0), (1, 1, -2)]
    order = sorted(
        ((u, v) for u in range(3) for v in range(4)),
        key=lambda pair: (pair[0] / 3) ** 2 + (pair[1] / 4) ** 2,
    )
    for number, (u, v) in enumerate(order):
        for rank, colour in enumerate(colours):
            expected = np.einsum("i,j,k->ijk", wave(3, u), wave(4, v), colour)
            expected /= np.linalg.norm(colour)
            np.testing.assert_allclose(basis[..., 3 * number + rank], expected, atol=1e-14)


def test_one_axis_has_cosines_and_no_wrong_order():
    basis = dct_opponent_basis((5,))
    np.testing.assert_allclose(basis[:, 0], np.full(5, 5**-0.5))
    assert permuted_flattenings(basis, (5,)) == {}


def test_wrong_orders_are_those_of_patches_flattened_wrongly():
    patches = np.random.default_rng(0).standard_normal((12, 2, 2, 3))
    basis = np.linalg.qr(patches.reshape(12, 12).T)[0]
    wrong = permuted_flattenings(basis, (2, 2, 3))
    as_patches = basis.T.reshape(12, 2, 2, 3)
    channel_first = as_patches.transpose(0, 3, 1, 2).reshape(12, 12).T
    np.testing.assert_array_equal(wrong["patches ordered channel, row, column"], channel_first)
    reversed_channels = as_patches[..., ::-1].reshape(12, 12).T
    np.testing.assert_array_equal(wrong["channels reversed"], reversed_channels)
    assert len(wrong) == 6
    for one in wrong.values():
        np.testing.assert_allclose(one.T @ one, np.eye(12), atol=1e-14)
        assert np.abs(one - basis).max() > 0.1


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ((3, 3, 1), {"patches ordered column, row, channel"}),  # grey: the patch transposed
        ((1, 1, 3), {"channels reversed"}),
        ((1, 1, 1), set()),
        ((1, 4, 2), {"patches ordered row, channel, column", "channels reversed"}),
    ],
)
def test_orders_that_are_the_same_are_there_once(shape, names):
    assert set(permuted_flattenings(np.eye(np.prod(shape)), shape)) == names


def test_weights_aligned_with_the_data_are_misaligned_with_every_control():
    rng = np.random.default_rng(0)
    shape, basis = (3, 3, 3), random_bases(27, 1, 1)[0]
    filters = basis @ (np.geomspace(3, 0.1, 27)[:, None] * rng.standard_normal((27, 500)))
    sigma_w = filter_covariance(filters)
    right = misalignment(basis, sigma_w)
    controls = permuted_flattenings(basis, shape) | {"dct": dct_opponent_basis(shape)}
    assert all(misalignment(wrong, sigma_w) > 10 * right for wrong in controls.values())


@pytest.mark.parametrize("shape", [(3, 3), (3, 0, 3), (2, 2, 2, 2), ()])
def test_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="patch_shape is"):
        dct_opponent_basis(shape)
    with pytest.raises(ValueError, match="patch_shape is"):
        permuted_flattenings(np.eye(9), shape)


def test_bases_of_other_patches_are_refused():
    with pytest.raises(ValueError, match="27 entries"):
        permuted_flattenings(np.eye(12), (3, 3, 3))
    with pytest.raises(ValueError, match="not orthonormal"):
        permuted_flattenings(np.ones((27, 27)), (3, 3, 3))
