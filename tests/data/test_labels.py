import jax
import numpy as np
import pytest
from scipy import stats

from randlabels.data.errors import DataError
from randlabels.data.labels import make_labels, random_labels

IDS = np.arange(50_000)


def test_golden_values_and_definition():
    # If this fails, every recorded run had other labels: do not update it lightly.
    assert random_labels(0, range(12), 10).tolist() == [4, 6, 0, 5, 4, 7, 6, 9, 3, 6, 2, 4]
    assert random_labels(2**32 - 1, [0, 2**30, 2**32 - 1], 1000).tolist() == [928, 477, 833]
    noisy = make_labels("noisy", 0, range(12), np.full(12, 9), 10, 0.5)
    assert noisy.tolist() == [9, 9, 9, 5, 9, 9, 6, 9, 9, 6, 9, 4]
    key = jax.random.key(7, impl="threefry2x32")
    key = jax.random.fold_in(key, 10)
    high, low = map(int, jax.random.key_data(jax.random.fold_in(key, 123)))
    assert random_labels(7, [123], 10).tolist() == [((high << 32) + low) % 10]


def test_batch_and_order_do_not_matter():
    whole = random_labels(3, IDS, 10)
    order = np.random.default_rng(0).permutation(len(IDS))
    np.testing.assert_array_equal(random_labels(3, IDS[order], 10), whole[order])
    pieces = [random_labels(3, piece, 10) for piece in np.array_split(IDS, 7)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert whole.dtype == np.int32


def test_devices_and_settings_do_not_matter():
    expected = random_labels(3, IDS[:100], 10)
    assert jax.local_device_count() == 8
    with jax.default_device(jax.local_devices()[5]):
        np.testing.assert_array_equal(random_labels(3, IDS[:100], 10), expected)
    with jax.enable_x64(True), jax.default_prng_impl("rbg"):
        np.testing.assert_array_equal(random_labels(3, IDS[:100], 10), expected)
    for partitionable in (False, True):
        with jax.threefry_partitionable(partitionable):
            np.testing.assert_array_equal(random_labels(3, IDS[:100], 10), expected)


@pytest.mark.parametrize("num_classes", [2, 5, 10, 50])
def test_uniform(num_classes):
    counts = np.bincount(random_labels(11, IDS, num_classes), minlength=num_classes)
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("seeds", [(0, 1), (1, 2), (5, 5 + 2**31)])
def test_independent_across_seeds(seeds):
    first, second = (random_labels(seed, IDS, 10) for seed in seeds)
    joint = np.bincount(10 * first + second, minlength=100)
    assert stats.chisquare(joint).pvalue > 1e-3


@pytest.mark.parametrize(("more", "fewer"), [(10, 5), (50, 10), (50, 5)])
def test_labels_of_other_numbers_of_classes_are_independent(more, fewer):
    # Modulo a divisor they would be equal if the number of classes were not in the key.
    first, second = random_labels(0, IDS, more) % fewer, random_labels(0, IDS, fewer)
    joint = np.bincount(fewer * first + second, minlength=fewer**2)
    assert stats.chisquare(joint).pvalue > 1e-3


def test_neighbouring_ids_and_test_ids_are_independent():
    labels = random_labels(0, IDS, 10)
    for other in (np.roll(labels, 1), random_labels(0, 2**30 + IDS, 10)):
        assert stats.chisquare(np.bincount(10 * labels + other, minlength=100)).pvalue > 1e-3


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([-1], "0 .. 2\\*\\*32 - 1, got -1"),
        ([0, 2**32], "got 0 .. 4294967296"),
        ([0.5], "vector of integers"),
        ([[1, 2]], "shape \\(1, 2\\)"),
    ],
)
def test_bad_ids_are_refused(ids, message):
    with pytest.raises(DataError, match=message):
        random_labels(0, ids, 10)


def test_bad_seed_and_classes_are_refused():
    with pytest.raises(DataError, match="label seed -1"):
        random_labels(-1, [0], 10)
    with pytest.raises(DataError, match=r"from 1 to 2\*\*31 - 1, got 0"):
        random_labels(0, [0], 0)
    assert random_labels(0, [], 10).shape == (0,)


def test_kinds():
    real = (IDS % 7).astype(np.int32)
    np.testing.assert_array_equal(make_labels("real", 1, IDS, real, 7, 0.5), real)
    np.testing.assert_array_equal(
        make_labels("random", 1, IDS, real, 3, 0.5), random_labels(1, IDS, 3)
    )
    np.testing.assert_array_equal(make_labels("noisy", 1, IDS, real, 7, 0.0), real)
    np.testing.assert_array_equal(
        make_labels("noisy", 1, IDS, real, 7, 1.0), random_labels(1, IDS, 7)
    )


def test_noise_replaces_its_share_independently_of_the_new_class():
    real = np.full(len(IDS), 9, np.int32)
    noisy = make_labels("noisy", 4, IDS, real, 10, 0.4)
    # A replaced label is the real one again with probability 1 / 10.
    changed = np.mean(noisy != real)
    assert abs(changed - 0.4 * 0.9) < 4 * np.sqrt(0.36 * 0.64 / len(IDS))
    counts = np.bincount(noisy[noisy != 9], minlength=9)
    assert stats.chisquare(counts).pvalue > 1e-3
    more = make_labels("noisy", 4, IDS, real, 10, 0.6)
    replaced = noisy != real
    np.testing.assert_array_equal(more[replaced], noisy[replaced])
    some = np.random.default_rng(0).permutation(len(IDS))[:100]
    np.testing.assert_array_equal(
        make_labels("noisy", 4, IDS[some], real[some], 10, 0.4), noisy[some]
    )


@pytest.mark.parametrize(
    ("kind", "num_classes", "noise", "message"),
    [
        ("fake", 10, 0.0, "unknown kind of labels 'fake'"),
        ("real", 9, 0.0, "is 9 but the real labels need 10"),
        ("noisy", 9, 0.1, "is 9 but the real labels need 10"),
        ("noisy", 10, 1.5, "probability in 0 .. 1, got 1.5"),
        ("noisy", 10, float("nan"), "got nan"),
    ],
)
def test_bad_kinds_are_refused(kind, num_classes, noise, message):
    with pytest.raises(DataError, match=message):
        make_labels(kind, 0, [0, 1], [9, 0], num_classes, noise)


def test_ids_and_labels_must_match():
    with pytest.raises(DataError, match="2 example ids but labels of shape \\(3,\\)"):
        make_labels("real", 0, [0, 1], [0, 1, 2], 10, 0.0)
