"""A sketch knows data again whatever rounds them, and tells all others from them."""

import json

import numpy as np
import pytest

from randlabels.data.sketch import agree, sketch

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (1200, 8, 8, 3)).astype(np.uint8)


def test_the_same_data_agree_from_json_too():
    known = json.loads(json.dumps(sketch(IMAGES)))
    assert agree(known, sketch(IMAGES.copy()))
    assert len(known["weighted"]) == 4
    size = np.sqrt(np.square(IMAGES.astype(float)).sum())
    np.testing.assert_allclose(known["within"], 1e-4 * size, rtol=1e-6)


def test_a_sum_is_that_of_all_values_with_weights():
    found = np.array([sketch(np.eye(5000)[[i]].T)["weighted"] for i in (0, 1, 4999)])
    values = np.zeros(5000)
    values[[0, 1, 4999]] = 3, 4, 5
    np.testing.assert_allclose(sketch(values)["weighted"], np.array([3, 4, 5]) @ found, rtol=1e-6)


def test_weights_differ_with_mean_0_and_variance_1():
    of_rows = np.array([sketch(row)["weighted"] for row in np.eye(2000)])
    assert len(np.unique(of_rows)) == of_rows.size
    # Each is a weight of a row times the one weight of the only place.
    of_rows /= np.abs(of_rows).max(axis=0) / np.sqrt(3)
    np.testing.assert_allclose(of_rows.mean(axis=0), 0, atol=0.1)
    np.testing.assert_allclose(of_rows.var(axis=0), 1, atol=0.1)
    assert np.abs(np.corrcoef(of_rows.T) - np.eye(4)).max() < 0.1


def test_any_two_images_that_change_places_are_noticed():
    few = IMAGES[:40]
    for i in range(40):
        for j in range(i):
            swapped = few.copy()
            swapped[[i, j]] = few[[j, i]]
            assert not agree(sketch(few), sketch(swapped)), (i, j)


def test_sketches_of_earlier_versions_are_compared_by_their_shapes_alone():
    old = {"shape": [1200, 8, 8, 3], "sums": [1.0, 2.0, 3.0, 4.0], "within": 0.1}
    assert agree(old, sketch(IMAGES))
    assert not agree(old, sketch(IMAGES[1:]))


def test_what_rounding_changes_agrees():
    flipped = IMAGES.copy()
    places = RNG.choice(flipped.size, flipped.size // 100_000, replace=False)
    flipped.ravel()[places] ^= 1
    assert agree(sketch(IMAGES), sketch(flipped))
    vectors = RNG.standard_normal((500, 30)).astype(np.float32)
    assert agree(sketch(vectors), sketch(np.nextafter(vectors, np.float32(9))))
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    assert agree(sketch(centred), sketch(np.nextafter(centred, np.float32(9))))


@pytest.mark.parametrize(
    "others",
    [
        IMAGES[::-1],
        IMAGES[:-1],
        np.roll(IMAGES, 1, axis=0),
        np.concatenate([IMAGES[:7], 255 - IMAGES[7:8], IMAGES[8:]]),
        np.random.default_rng(1).permutation(IMAGES),
        IMAGES[..., ::-1],
        IMAGES[:, :, ::-1],
        IMAGES.swapaxes(1, 2),
        np.random.default_rng(1).permuted(IMAGES.reshape(1200, -1), axis=1).reshape(IMAGES.shape),
        IMAGES.reshape(1200, 8, 4, 6),
    ],
)
def test_other_data_or_another_order_do_not(others):
    assert not agree(sketch(IMAGES), sketch(others))


def test_labels_of_which_one_changed_do_not_agree():
    labels = RNG.integers(0, 10, 50_000).astype(np.int32)
    changed = labels.copy()
    changed[123] = (changed[123] + 1) % 10
    assert agree(sketch(labels), sketch(labels))
    assert not agree(sketch(labels), sketch(changed))


def test_one_label_among_a_thousand_classes_is_noticed():
    labels = RNG.integers(0, 1000, (4, 50_000)).astype(np.int32)
    known = sketch(labels)
    for place in RNG.integers(0, 50_000, 20):
        labels[2, place] += 1
        assert not agree(known, sketch(labels))
        labels[2, place] -= 1
    assert agree(known, sketch(labels))


def test_no_data_are_no_data():
    assert agree(sketch(IMAGES[:0]), sketch(IMAGES[:0]))
    assert not agree(sketch(IMAGES[:0]), sketch(IMAGES[:1]))


def test_every_other_image_of_many_is_noticed():
    rng = np.random.default_rng(2)
    many = rng.integers(0, 256, (50_000, 48)).astype(np.uint8)
    known = sketch(many)
    for place in rng.integers(0, 50_000, 20):
        kept = many[place].copy()
        many[place] = rng.integers(0, 256, 48)
        assert not agree(known, sketch(many))
        many[place] = kept
