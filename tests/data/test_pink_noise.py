"""Noise with the spectrum of photographs: its slope, its channels, its streams."""

import numpy as np
import pytest

from randlabels.configs import base
from randlabels.data import sources
from randlabels.data.errors import DataError
from randlabels.data.pink_noise import EXPONENTS, pink_noise
from randlabels.data.splits import pixel_order


def test_the_spectrum_falls_with_the_exponent_of_the_label():
    images, labels = pink_noise(0, 1000, 32)
    spectrum = np.abs(np.fft.fft2(images.mean(-1) - images.mean((1, 2, 3))[:, None, None]))
    radius = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32)[None])
    chosen = (radius > 0.05) & (radius < 0.3)
    for label, exponent in enumerate(EXPONENTS):
        power = np.mean(spectrum[labels == label] ** 2, axis=0)
        slope = np.polyfit(np.log(radius[chosen]), np.log(power[chosen]) / 2, 1)[0]
        assert slope == pytest.approx(-exponent, abs=0.06)  # clipping flattens a little


def test_channels_share_half_of_the_variance():
    images, _ = pink_noise(1, 600, 16)
    flat = images.astype(float) - images.mean((1, 2), keepdims=True)
    correlation = np.corrcoef(flat.reshape(-1, 3).T)
    np.testing.assert_allclose(correlation[np.triu_indices(3, 1)], 0.5, atol=0.05)


def test_images_are_a_function_of_the_seed_and_their_number():
    images, labels = pink_noise(3, 700, 8)
    longer, more = pink_noise(3, 1300, 8)
    np.testing.assert_array_equal(images, longer[:700])
    np.testing.assert_array_equal(labels, more[:700])
    assert images.dtype == np.uint8
    assert labels.dtype == np.int32
    assert np.bincount(labels).min() > 90  # five classes of 140
    assert (pink_noise(4, 700, 8)[0] != images).mean() > 0.9
    assert 0.002 < np.isin(images, (0, 255)).mean() < 0.03


def test_the_images_of_a_seed_stay_what_they_were():
    images, labels = pink_noise(0, 2, 8)
    first = [[81, 118, 21], [112, 146, 52], [127, 149, 129], [46, 172, 140]]
    np.testing.assert_allclose(images[0, 0, :4].astype(int), first, atol=1)  # of rounding
    np.testing.assert_array_equal(labels, [4, 4])


def test_wrong_sizes_are_refused():
    with pytest.raises(DataError, match="at least 4 pixels, got 3"):
        pink_noise(0, 5, 3)
    with pytest.raises(DataError, match="cannot make -1 images"):
        pink_noise(0, -1, 8)


def data_config(**changes):
    config = base.get_config().data
    config.update({"name": "pink_noise", "upstream_size": 40, "downstream_size": 30,
                   "test_size": 20, "image_size": 8} | changes)  # fmt: skip
    return config


def test_shuffled_pixels_are_one_permutation_for_all_images():
    plain = sources.load(data_config())
    shuffled = sources.load(data_config(shuffle_pixels=True))
    order = pixel_order(0, 64)
    assert sorted(order) == list(range(64))
    assert (order != np.arange(64)).mean() > 0.9
    for name in ("train_images", "test_images"):
        ours, before = (getattr(d, name).reshape(-1, 64, 3) for d in (shuffled, plain))
        np.testing.assert_array_equal(ours, before[:, order])
    np.testing.assert_array_equal(plain.train_labels, shuffled.train_labels)
    other = sources.load(data_config(shuffle_pixels=True, seed=1))
    assert not np.array_equal(pixel_order(1, 64), order)
    assert other.train_images.shape == plain.train_images.shape


def test_shuffling_takes_neighbours_apart():
    """Adjacent pixels of pink noise are alike; after shuffling hardly more than any two."""

    def neighbours(images):
        grey = images.astype(float).mean(-1)
        return np.corrcoef(grey[:, :, :-1].ravel(), grey[:, :, 1:].ravel())[0, 1]

    settings = {"upstream_size": 400, "image_size": 16}
    before = neighbours(sources.load(data_config(**settings)).train_images)
    after = neighbours(sources.load(data_config(**settings, shuffle_pixels=True)).train_images)
    assert before > 0.5
    assert after < 0.2
