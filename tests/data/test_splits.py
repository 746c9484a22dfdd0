import numpy as np
import pytest

from randlabels.data.errors import DataError
from randlabels.data.splits import epoch_order, split_indices


def test_split_is_disjoint_seeded_and_random():
    split = split_indices(0, 1000, 400, 600)
    assert np.unique(np.concatenate(list(split.values()))).tolist() == list(range(1000))
    np.testing.assert_array_equal(split["upstream"], split_indices(0, 1000, 400, 600)["upstream"])
    other = split_indices(1, 1000, 400, 600)["upstream"]
    # Two random sets of 400 share 160 on average, with standard deviation 9.8.
    assert abs(len(np.intersect1d(split["upstream"], other)) - 160) < 50
    assert abs(split["upstream"].mean() - 499.5) < 50


def test_one_size_does_not_change_the_other_set():
    reference = split_indices(5, 1000, 300, 200)
    np.testing.assert_array_equal(
        split_indices(5, 1000, 300, 700)["upstream"], reference["upstream"]
    )
    np.testing.assert_array_equal(
        split_indices(5, 1000, 800, 200)["downstream"], reference["downstream"]
    )
    assert len(split_indices(5, 1000, 300, 0)["downstream"]) == 0


def test_bad_splits_are_refused():
    with pytest.raises(DataError, match="600 \\+ downstream_size 401 must not exceed the 1000"):
        split_indices(0, 1000, 600, 401)
    with pytest.raises(DataError, match="must not be negative"):
        split_indices(0, 1000, -1, 10)
    with pytest.raises(DataError, match="seed -1 is negative"):
        split_indices(-1, 1000, 1, 1)


def test_epoch_order_is_a_permutation_without_its_remainder():
    order = epoch_order(0, 3, 103, 10)
    assert order.shape == (10, 10)
    assert order.dtype == np.int32
    assert len(np.unique(order)) == 100
    assert order.max() < 103
    np.testing.assert_array_equal(order, epoch_order(0, 3, 103, 10))


def test_epochs_seeds_and_the_split_differ():
    orders = {
        tuple(epoch_order(seed, epoch, 50, 50).ravel()) for seed in (0, 1) for epoch in (0, 1, 2)
    }
    orders.add(tuple(split_indices(0, 50, 50, 0)["upstream"]))
    assert len(orders) == 7


def test_every_position_is_equally_likely_anywhere():
    orders = np.stack([epoch_order(9, epoch, 8, 8).ravel() for epoch in range(4000)])
    counts = np.stack([np.bincount(column, minlength=8) for column in orders.T])
    expected = 4000 / 8
    # Chi-square with (8 - 1)^2 = 49 degrees of freedom: mean 49, standard deviation 9.9.
    assert np.sum((counts - expected) ** 2 / expected) * 7 / 8 < 49 + 5 * 9.9


def test_golden_order():
    # If this fails, recorded runs can no longer be continued with the same batches.
    assert epoch_order(0, 0, 8, 4).tolist() == [[4, 6, 3, 5], [2, 1, 0, 7]]
    split = split_indices(0, 8, 3, 2)
    assert split["upstream"].tolist() == [1, 4, 5]
    assert split["downstream"].tolist() == [3, 7]


@pytest.mark.parametrize("batch_size", [0, 11])
def test_bad_batch_size_is_refused(batch_size):
    with pytest.raises(DataError, match=f"batch_size {batch_size} must be at least 1"):
        epoch_order(0, 0, 10, batch_size)
    with pytest.raises(DataError, match="epoch -1"):
        epoch_order(0, -1, 10, 5)
