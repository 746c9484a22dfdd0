"""Dead leaves: occluding shapes with a power law of sizes, natural-image statistics for free.

The model is that of Lee, Mumford & Huang, "Occlusion models for natural images" (2001): shapes fall
on each other, the density of their radii goes with r^-3, which makes the pictures nearly free of
scale: power spectrum near f^-2, heavy-tailed spectrum of patch covariances. All shapes of a picture
are of one kind, and the kind is its real label.
"""

import numpy as np

from randlabels.data.errors import DataError

CLASS_NAMES = ("disc", "square", "diamond", "vertical strip", "horizontal strip")

NUM_SHAPES = 40
SMALLEST_RADIUS = 1.5  # pixels
LARGEST_RADIUS = 0.6  # of the picture's width
GREY_SHARE = 1 / 3  # of a colour; correlates the channels, as in photographs
NOISE = 0.02  # standard deviation; colours are 0 .. 1
SMALLEST_SIZE = 4  # pixels; below, LARGEST_RADIUS would be near or under SMALLEST_RADIUS

_CHUNK = 512  # images painted together; part of the data's definition, as each chunk has a stream
_BACKGROUND = NUM_SHAPES  # the colour seen where no shape fell


def _top_shape(x: np.ndarray, y: np.ndarray, radius: np.ndarray, kind: str) -> np.ndarray:
    """Index of the uppermost shape at every pixel, uint8 [n, size, size].

    Args:
      x: horizontal distance of each pixel column from each centre, [n, shapes, size].
      y: the same for rows.
      radius: [n, shapes]; a shape of radius r covers about 4 r^2 (a disc pi r^2) pixels.
      kind: one of CLASS_NAMES.
    """
    num, shapes, size = x.shape
    top = np.full((num, size, size), _BACKGROUND, np.uint8)
    for k in range(shapes):
        dx, dy, r = np.abs(x[:, k]), np.abs(y[:, k]), radius[:, k, None]
        if kind == "disc":
            inside = (dx**2)[:, None, :] <= (r**2 - dy**2)[:, :, None]
        elif kind == "diamond":
            # The half diagonal sqrt(2) r gives it the area of the square.
            inside = dx[:, None, :] <= (np.sqrt(2).astype(dy.dtype) * r - dy)[:, :, None]
        else:
            wide, high = {"square": (1, 1), "vertical strip": (0.5, 2)}.get(kind, (2, 0.5))
            inside = (dx <= wide * r)[:, None, :] & (dy <= high * r)[:, :, None]
        np.copyto(top, np.uint8(k), where=inside)
    return top


def _random_colours(rng: np.random.Generator, count: int) -> np.ndarray:
    """Colours float32 [_CHUNK, count, 3] in 0 .. 1, each partly grey and partly of any hue."""
    grey = rng.random((_CHUNK, count, 1), np.float32)
    hue = rng.random((_CHUNK, count, 3), np.float32)
    return np.float32(GREY_SHARE) * grey + np.float32(1 - GREY_SHARE) * hue


def _paint_chunk(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """One chunk: images uint8 [_CHUNK, size, size, 3] and labels int32 [_CHUNK]."""
    labels = rng.integers(len(CLASS_NAMES), size=_CHUNK, dtype=np.int32)
    # Inverse of the distribution function of p(r) ~ r^-3 between the two radii.
    near, far = SMALLEST_RADIUS**-2, (LARGEST_RADIUS * size) ** -2
    radius = (near - rng.random((_CHUNK, NUM_SHAPES), np.float32) * (near - far)) ** -0.5
    centres = rng.random((2, _CHUNK, NUM_SHAPES, 1), np.float32) * size
    x, y = np.arange(size, dtype=np.float32) + np.float32(0.5) - centres
    colours = (_random_colours(rng, 1) + _random_colours(rng, NUM_SHAPES + 1)) / 2

    top = np.empty((_CHUNK, size, size), np.uint8)
    for label, kind in enumerate(CLASS_NAMES):
        rows = np.flatnonzero(labels == label)
        top[rows] = _top_shape(x[rows], y[rows], radius[rows], kind)
    images = colours[np.arange(_CHUNK)[:, None, None], top]
    images += np.float32(NOISE) * rng.standard_normal(images.shape, np.float32)
    return np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8), labels


def dead_leaves(seed: int, num_images: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Dead-leaves pictures, uint8 [n, size, size, 3], and kinds of shape, int32 [n].

    Every picture holds NUM_SHAPES shapes of one kind with centres uniform over the picture; a
    shape's colour is half a random colour of the picture and half one of its own. Picture i does
    not depend on `num_images`.

    Raises:
      DataError: size is below SMALLEST_SIZE or num_images is negative.
    """
    if size < SMALLEST_SIZE:
        raise DataError(
            f"dead_leaves needs image_size of at least {SMALLEST_SIZE} pixels, got {size}."
        )
    if num_images < 0:
        raise DataError(f"dead_leaves cannot make {num_images} images.")
    images = np.empty((num_images, size, size, 3), np.uint8)
    labels = np.empty(num_images, np.int32)
    for start in range(0, num_images, _CHUNK):
        stream = np.random.SeedSequence(seed, spawn_key=(start // _CHUNK,))
        chunk_images, chunk_labels = _paint_chunk(np.random.default_rng(stream), size)
        stop = min(start + _CHUNK, num_images)
        images[start:stop] = chunk_images[: stop - start]
        labels[start:stop] = chunk_labels[: stop - start]
    return images, labels
