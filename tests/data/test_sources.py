from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from randlabels.data.errors import DataError
from randlabels.data.sources import FIRST_TEST_ID, box_average, channel_statistics, load
from randlabels.data.splits import split_indices


def make_config(**changes):
    fields = {
        "name": "dead_leaves",
        "data_dir": "",
        "shuffle_pixels": False,
        "seed": 0,
        "upstream_size": 50,
        "downstream_size": 30,
        "test_size": 20,
        "image_size": 8,
        "short_side": 0,
        "stream": False,
        "diagonal": (1.0, 2.0),
        "diagonal_holds": "variances",
        "rotation_seed": -1,
        "label_axes": "first",
    }
    return SimpleNamespace(**(fields | changes))


@pytest.mark.parametrize(
    ("name", "shape", "num_classes"), [("dead_leaves", (8, 8, 3), 5), ("gaussian", (2,), 10)]
)
def test_generated_sets_have_the_sizes_asked_for(name, shape, num_classes):
    data = load(make_config(name=name))
    assert data.train_images.shape == (80, *shape)
    assert data.test_images.shape == (20, *shape)
    assert (len(data.train_labels), len(data.test_labels)) == (80, 20)
    assert data.num_classes == len(data.class_names) == num_classes
    assert len(np.unique(np.concatenate([data.train_ids, data.test_ids]))) == 100
    assert data.test_ids.min() == FIRST_TEST_ID


def test_test_examples_are_new():
    data = load(make_config(name="gaussian", upstream_size=500, downstream_size=500, test_size=500))
    rows = np.concatenate([data.train_images, data.test_images])
    assert len(np.unique(rows, axis=0)) == 1500


@pytest.mark.parametrize("name", ["dead_leaves", "gaussian"])
def test_changing_downstream_size_moves_no_generated_example(name):
    def task(task_name, **changes):
        config = make_config(name=name, **changes)
        data = load(config)
        index = split_indices(
            config.seed, len(data.train_images), config.upstream_size, config.downstream_size
        )[task_name]
        return data.train_images[index], data.train_labels[index]

    for smaller, larger in zip(task("upstream"), task("upstream", downstream_size=70), strict=True):
        np.testing.assert_array_equal(smaller, larger)
    for smaller, larger in zip(
        task("downstream"), task("downstream", upstream_size=20), strict=True
    ):
        np.testing.assert_array_equal(smaller, larger)
    assert not np.array_equal(task("upstream")[0], task("upstream", seed=1)[0])


def test_gaussian_labels_follow_their_inputs():
    data = load(make_config(name="gaussian", diagonal=(4.0,)))
    expected = (stats.norm.cdf(data.train_images[:, 0], scale=2) * 10).astype(int)
    np.testing.assert_array_equal(data.train_labels, expected)


def test_channel_statistics_are_exact():
    images = np.random.default_rng(0).integers(0, 256, (5000, 4, 3, 3), np.uint8)
    images[..., 1] //= 2
    mean, std = channel_statistics(images)
    scaled = images.astype(np.float64) / 255
    np.testing.assert_array_equal(mean, scaled.mean(axis=(0, 1, 2)).astype(np.float32))
    np.testing.assert_allclose(std, scaled.std(axis=(0, 1, 2)), rtol=1e-7)
    assert (mean.dtype, std.dtype) == (np.float32, np.float32)


def test_channel_statistics_of_vectors_leave_them_as_they_are():
    mean, std = channel_statistics(np.full((10, 4), 3, np.float32))
    np.testing.assert_array_equal(mean, np.zeros(4))
    np.testing.assert_array_equal(std, np.ones(4))


def test_constant_channel_is_refused():
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 2), np.uint8)
    images[..., 1] = 7
    with pytest.raises(DataError, match="constant"):
        channel_statistics(images)


def test_box_average():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 2), np.uint8)
    small = box_average(images, 3)
    assert small.shape == (3, 2, 3, 2)
    assert small.dtype == np.uint8
    for i, j in np.ndindex(2, 3):
        box = images[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].astype(float).mean(axis=(1, 2))
        np.testing.assert_array_equal(small[:, i, j], np.floor(box + 0.5))
    assert box_average(images, 0) is images
    assert box_average(images, 6) is images
    assert box_average(np.full((1, 4, 4, 1), 255, np.uint8), 1).item() == 255


@pytest.mark.parametrize("size", [4, 7, 12, -1])
def test_box_average_refuses_what_does_not_divide(size):
    with pytest.raises(DataError, match=f"image_size {size} does not divide the native 4 x 6"):
        box_average(np.zeros((1, 4, 6, 1), np.uint8), size)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"upstream_size": -1}, "must not be negative"),
        ({"seed": -1}, "must not be negative"),
        ({"image_size": 0}, "at least 4 pixels, got 0"),
        ({"name": "gaussian", "diagonal": ()}, "diagonal must be"),
    ],
)
def test_bad_generated_sets_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        load(make_config(**changes))


def test_stored_set_is_cut_and_shrunk(write_tfds, tmp_path):
    truth = write_tfds(tmp_path, "mnist")
    config = make_config(
        name="mnist", data_dir=str(tmp_path), upstream_size=20, downstream_size=10, test_size=0
    )
    config.image_size = 0
    whole = load(config)
    assert whole.train_images.shape == (30, 28, 28, 1)
    assert whole.test_images.shape == (12, 28, 28, 1)
    assert whole.class_names == tuple(f"class{i:02d}" for i in range(10))
    assert sorted(whole.train_labels) == sorted(truth["train"][1])

    config.test_size, config.image_size = 5, 14
    part = load(config)
    np.testing.assert_array_equal(part.test_labels, whole.test_labels[:5])
    np.testing.assert_array_equal(part.test_images, box_average(whole.test_images[:5], 14))
    np.testing.assert_array_equal(part.train_images, box_average(whole.train_images, 14))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"upstream_size": 25},
            "25 \\+ downstream_size 10 must not exceed the 30 training images of mnist together",
        ),
        ({"test_size": 13}, "test_size 13 must lie in 0 .. 12"),
        ({"image_size": 5}, "image_size 5 does not divide the native 28 x 28"),
    ],
)
def test_bad_sizes_of_a_stored_set_are_refused(write_tfds, tmp_path, changes, message):
    write_tfds(tmp_path, "mnist")
    fields = {"upstream_size": 20, "downstream_size": 10, "test_size": 0, "image_size": 0}
    with pytest.raises(DataError, match=message):
        load(make_config(name="mnist", data_dir=str(tmp_path), **(fields | changes)))
