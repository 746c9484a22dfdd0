"""Noise with the spectrum of photographs: Gaussian images whose amplitude falls as 1 / f^a.

They have the second moments of natural images and nothing else: no edges, no objects. The real
label is the exponent a; photographs have a near 1 (Field 1987).
"""

import numpy as np

from randlabels.data.errors import DataError

EXPONENTS = (0.5, 0.75, 1.0, 1.25, 1.5)
CLASS_NAMES = tuple(f"1/f^{a:g}" for a in EXPONENTS)

GREY_SHARE = 0.5  # of a pixel's variance, common to the channels
CONTRAST = 0.2  # standard deviation of an image; colours are 0 .. 1, so 1.2% of pixels are clipped
SMALLEST_SIZE = 4

_CHUNK = 512  # images drawn together; part of the data's definition, as each chunk has a stream


def pink_noise(seed: int, num_images: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw images and their real labels; a longer set begins with the same images.

    Args:
      seed: not negative.
      num_images: how many.
      size: width and height in pixels.

    Returns:
      Images uint8 [n, size, size, 3] and labels int32 [n], the exponents' indices.

    Raises:
      DataError: the size or the number of images is too small.
    """
    if size < SMALLEST_SIZE:
        raise DataError(
            f"pink_noise needs image_size of at least {SMALLEST_SIZE} pixels, got {size}."
        )
    if num_images < 0:
        raise DataError(f"pink_noise cannot make {num_images} images.")
    chunks = -(-num_images // _CHUNK)
    streams = np.random.SeedSequence(seed).spawn(chunks)
    drawn = [_draw_chunk(np.random.default_rng(stream), size) for stream in streams]
    images = np.concatenate([np.empty((0, size, size, 3), np.uint8), *(d[0] for d in drawn)])
    labels = np.concatenate([np.empty(0, np.int32), *(d[1] for d in drawn)])
    return images[:num_images], labels[:num_images]


def _draw_chunk(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.integers(len(EXPONENTS), size=_CHUNK, dtype=np.int32)
    grey = rng.standard_normal((_CHUNK, size, size, 1), np.float32)
    colour = rng.standard_normal((_CHUNK, size, size, 3), np.float32)
    white = np.sqrt(GREY_SHARE) * grey + np.sqrt(1 - GREY_SHARE) * colour
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = np.inf  # the mean of an image says nothing about its spectrum
    amplitude = frequency[None] ** -np.array(EXPONENTS)[labels, None, None]
    spectrum = np.fft.rfft2(white, axes=(1, 2)) * amplitude[..., None]
    noise = np.fft.irfft2(spectrum, s=(size, size), axes=(1, 2))
    noise *= CONTRAST / noise.std(axis=(1, 2, 3), keepdims=True)
    return np.round(255 * np.clip(0.5 + noise, 0, 1)).astype(np.uint8), labels
