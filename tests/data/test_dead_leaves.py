import numpy as np
import pytest
from scipy import stats

from randlabels.data import dead_leaves as module
from randlabels.data.dead_leaves import CLASS_NAMES, dead_leaves
from randlabels.data.errors import DataError


@pytest.fixture(scope="module")
def pictures():
    return dead_leaves(0, 2000, 32)


def test_shapes_types_and_uniform_classes(pictures):
    images, labels = pictures
    assert images.shape == (2000, 32, 32, 3)
    assert (images.dtype, labels.dtype) == (np.uint8, np.int32)
    assert stats.chisquare(np.bincount(labels, minlength=5)).pvalue > 1e-3


def test_picture_depends_on_seed_and_position_only(pictures):
    images, labels = dead_leaves(0, 600, 32)  # ends inside the second chunk
    np.testing.assert_array_equal(images, pictures[0][:600])
    np.testing.assert_array_equal(labels, pictures[1][:600])
    other = dead_leaves(1, 600, 32)[0]
    assert not np.any(np.all(images == other, axis=(1, 2, 3)))
    assert len(np.unique(pictures[0].reshape(2000, -1), axis=0)) == 2000


@pytest.mark.parametrize("kind", CLASS_NAMES)
def test_one_shape_covers_what_geometry_says(kind):
    size, radius = 200, 30.0
    distance = np.arange(size) + 0.5 - 100
    x = np.broadcast_to(distance, (1, 1, size))
    inside = module._top_shape(x, x, np.full((1, 1), radius), kind)[0] == 0
    area = {"disc": np.pi * radius**2}.get(kind, 4 * radius**2)
    assert abs(inside.sum() / area - 1) < 0.02
    rows, columns = np.nonzero(inside)
    high, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
    side = {
        "disc": (60, 60),
        "square": (60, 60),
        "diamond": (60 * np.sqrt(2), 60 * np.sqrt(2)),
        "vertical strip": (120, 30),
        "horizontal strip": (30, 120),
    }[kind]
    np.testing.assert_allclose((high, wide), side, atol=2)


def test_later_shapes_occlude_earlier_ones():
    distance = np.broadcast_to(np.arange(9.0) - 4, (1, 2, 9))
    top = module._top_shape(distance, distance, np.array([[1.0, 3.0]]), "square")[0]
    assert set(np.unique(top)) == {1, module.NUM_SHAPES}
    top = module._top_shape(distance, distance, np.array([[3.0, 1.0]]), "square")[0]
    assert (top == 1).sum() == 9
    assert (top == 0).sum() == 49 - 9


def test_radii_follow_the_power_law(monkeypatch):
    radii = []
    original = module._top_shape
    monkeypatch.setattr(
        module, "_top_shape", lambda x, y, r, kind: radii.append(r) or original(x, y, r, kind)
    )
    dead_leaves(0, 512, 32)
    values = np.concatenate([r.ravel() for r in radii])
    low, high = 1.5, 0.6 * 32
    assert values.min() >= low - 1e-5
    assert values.max() <= high + 1e-4

    def distribution(r):
        return (low**-2 - r**-2) / (low**-2 - high**-2)  # the integral of r^-3, normalised

    assert stats.kstest(values, distribution).pvalue > 1e-3


def test_strips_make_their_direction(pictures):
    images, labels = pictures[0].astype(float), pictures[1]
    down = np.abs(np.diff(images, axis=1)).mean(axis=(1, 2, 3))
    right = np.abs(np.diff(images, axis=2)).mean(axis=(1, 2, 3))
    ratio = [np.median(down[labels == k] / right[labels == k]) for k in range(5)]
    assert ratio[3] < 0.6 < 0.9 < min(ratio[:3])
    assert max(ratio[:3]) < 1.1 < 1.6 < ratio[4]


def test_statistics_are_those_of_natural_images(pictures):
    # Natural images: power falls about as f^-2 (slopes of -1.8 to -2.5 are found, Torralba &
    # Oliva 2003); a few directions carry nearly all the variance of small patches.
    images = pictures[0].astype(float)
    grey = images.mean(axis=-1) - images.mean()
    window = np.hanning(32)
    power = (np.abs(np.fft.fft2(grey * window[:, None] * window)) ** 2).mean(axis=0)
    cycles = np.fft.fftfreq(32) * 32
    frequency = np.hypot(cycles[:, None], cycles)
    rings = np.arange(2, 13)
    spectrum = [power[np.abs(frequency - ring) < 0.5].mean() for ring in rings]
    slope = np.polyfit(np.log(rings), np.log(spectrum), 1)[0]
    assert -2.6 < slope < -1.8

    standard = (images - images.mean(axis=(0, 1, 2))) / images.std(axis=(0, 1, 2))
    patches = np.lib.stride_tricks.sliding_window_view(standard, (3, 3), axis=(1, 2))
    patches = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 27)
    values = np.linalg.eigvalsh(patches.T @ patches / len(patches))[::-1]
    assert values[0] > 8
    assert values[:3].sum() > 0.75 * 27
    assert values[0] / values[-1] > 100


def test_bad_sizes_are_refused():
    with pytest.raises(DataError, match="at least 4 pixels, got 3"):
        dead_leaves(0, 1, 3)
    with pytest.raises(DataError, match="cannot make -1 images"):
        dead_leaves(0, -1, 16)
