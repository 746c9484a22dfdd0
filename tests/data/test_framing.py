"""Pictures of any size become squares; random crops are those of their seed."""

import io

import numpy as np
import pytest
from PIL import Image

from randlabels.data.framing import Framing


def encoded(pixels, form="PNG"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


def gradient(height, width):
    """Red grows with the column and green with the row, both linearly from 0 to 240."""
    rows, columns = np.mgrid[:height, :width]
    channels = [240 * columns / (width - 1), 240 * rows / (height - 1), np.full_like(rows, 50)]
    return np.stack(channels, -1).round().astype(np.uint8)


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (33, 33), (41, 200)])
def test_the_shorter_side_is_resized_and_the_centre_cut_out(shape):
    height, width = shape
    image = Framing((None, None, 3), 20, 16).image(encoded(gradient(*shape)))
    assert image.shape == (16, 16, 3)
    scale = 20 / min(shape)
    for axis, length, channel in ((1, width, 0), (0, height, 1)):
        # The middle of each new pixel, in pixels of the picture.
        places = (np.arange(16) + 0.5 - 8) / scale + length / 2 - 0.5
        seen = image[..., channel].mean(axis=1 - axis)
        np.testing.assert_allclose(seen, 240 * places / (length - 1), atol=0.6 * 240 / length + 1)


def test_a_square_as_large_as_the_shorter_side_is_all_of_it():
    pixels = gradient(12, 12)
    assert np.array_equal(Framing((None, None, 3), 12).image(encoded(pixels)), pixels)


def test_pictures_of_one_size_stay_as_they_are():
    pixels = gradient(9, 14)
    framing = Framing((9, 14, 3))
    assert framing.shape == (9, 14, 3)
    assert np.array_equal(framing.image(encoded(pixels)), pixels)


def test_grey_pictures_among_coloured_ones_are_coloured():
    grey = np.arange(30 * 30, dtype=np.uint8).reshape(30, 30)
    image = Framing((None, None, 3), 30).image(encoded(grey))
    assert np.array_equal(image, np.repeat(grey[..., None], 3, axis=-1))


def test_a_large_jpeg_is_decoded_smaller_and_looks_the_same():
    pixels = gradient(400, 400)
    draft = Framing((None, None, 3), 24).image(encoded(pixels, "JPEG"))
    exact = Framing((None, None, 3), 24).image(encoded(pixels))
    assert np.abs(draft.astype(int) - exact).max() <= 6


def test_random_crops_have_the_areas_and_shapes_that_they_should():
    """Read off linear ramps: where a crop begins and ends shows in its colours."""
    framing, file = Framing((None, None, 3), 64, 64), encoded(gradient(240, 240))
    crops = [framing.image(file, (3, 1, k)).astype(float) for k in range(300)]
    spans = np.array([[np.ptp(c[..., 0].mean(0)), np.ptp(c[..., 1].mean(1))] for c in crops])
    sides = spans / 240 * 64 / 63
    areas, ratios = sides.prod(axis=1), sides[:, 0] / sides[:, 1]
    assert 0.06 < areas.min() < 0.12
    assert areas.max() > 0.85
    # Large rectangles that do not fit are drawn again, so areas are a little below uniform.
    assert 0.42 < areas.mean() < 0.55
    assert 0.7 < ratios.min() < 0.8
    assert 1.25 < ratios.max() < 1.43
    flipped = np.mean([c[:, -1, 0].mean() < c[:, 0, 0].mean() for c in crops])
    assert 0.4 < flipped < 0.6


def test_a_random_crop_is_a_function_of_its_seed():
    framing, file = Framing((None, None, 3), 20, 16), encoded(gradient(50, 70))
    one, again, other = (framing.image(file, seed) for seed in ((0, 1, 5), (0, 1, 5), (0, 2, 5)))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
