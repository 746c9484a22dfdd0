"""Pictures as files: decoded to pixels of one shape, with a count of those that cannot be used."""

import functools
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from randlabels import progress
from randlabels.data import bounded
from randlabels.data.errors import DataError
from randlabels.data.forms.raw import Examples, Wishes

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
MAX_PIXELS = 2**26  # of one picture; a camera's have 2^24 to 2^25
MODES = {1: "L", 3: "RGB"}  # Pillow's, by the number of channels

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_DIRECT = ("L", "RGB")  # modes that are pixels of one byte each as they stand
_NAMED = 3  # pictures that a sentence names


class UnusableError(Exception):
    """A picture cannot be used; the message is the end of a sentence about it."""


def fit(pixels: np.ndarray, size: int) -> np.ndarray:
    """The centre square of an image, uint8 [h, w, c] -> [size, size, c]; size 0 leaves it as it is.

    Equal to making the short side `size` long and cutting the rest off at both ends, without the
    rounding of the long side in between. Smaller by the mean over each new pixel's area, in which
    old ones count by their share (Pillow's box filter takes whole ones), rounded half up; larger
    bilinearly.
    """
    height, width, channels = pixels.shape
    side = min(height, width)
    if size == 0 or height == width == size:
        return pixels
    if size > side:
        return _enlarged(pixels, size)
    rows, columns = _shares(height, side, size), _shares(width, side, size)
    means = np.einsum("ih,hx->ix", rows, pixels.reshape(height, -1).astype(np.float64))
    means = np.einsum("iwc,jw->ijc", means.reshape(size, width, channels), columns, optimize=True)
    # What is half but for rounding of the sums goes up on every machine.
    return np.floor(means + 0.5 + 1e-6).astype(np.uint8)


@functools.lru_cache(maxsize=64)
def _shares(length: int, side: int, size: int) -> np.ndarray:
    """The weights [size, length] of the mean over each of `size` parts of the centre `side`."""
    edges = (length - side) / 2 + np.arange(size + 1) * (side / size)
    places = np.arange(length)
    ends = np.minimum(edges[1:, None], places + 1)
    starts = np.maximum(edges[:-1, None], places)
    return np.maximum(ends - starts, 0) * (size / side)


def _enlarged(pixels: np.ndarray, size: int) -> np.ndarray:
    height, width, channels = pixels.shape
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    image = Image.fromarray(pixels if channels > 1 else pixels[..., 0])
    box = (left, top, left + side, top + side)
    larger = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(larger).reshape(size, size, channels)


def decode(data: bytes, wishes: Wishes) -> tuple[np.ndarray, bool]:
    """The pixels of a picture, uint8 [h, w, c], and whether it was made larger.

    Turned upright as its EXIF data say. The header says how many pixels there are before any is
    decoded.

    Raises:
      UnusableError: it is damaged, of another format, too large, transparent, moving, or deeper
        than a byte a channel.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow finds odd and reads all the same
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                _check_header(image, data)
                upright = ImageOps.exif_transpose(image)
                plain = _without_palette(upright)
                pixels = np.asarray(plain.convert(MODES.get(wishes.channels, plain.mode)))
    except (UnusableError, MemoryError):
        raise
    except Exception as error:  # Pillow's words for bad files are of many types
        raise UnusableError("is a damaged image") from error
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    return fit(pixels, wishes.size), wishes.size > min(plain.size)


def _bits(image: Image.Image, data: bytes) -> int:
    """Bits of a channel; Pillow cuts some pictures of 16 to 8 without a word."""
    if image.format == "PNG":
        return data[24]
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(258, (8,))))  # type: ignore[attr-defined]
    if image.format == "PPM":
        header = re.match(rb"P[1-6](?:\s+(?:#.*\n)?)+\d+\s+\d+\s+(\d+)\s", data)
        return 16 if header and int(header[1]) > 255 and data[1:2] not in b"14" else 8
    return 8


def _check_header(image: Image.Image, data: bytes) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise UnusableError(f"has {image.width} x {image.height} pixels, more than {MAX_PIXELS}")
    if getattr(image, "n_frames", 1) > 1:
        raise UnusableError(f"has {getattr(image, 'n_frames', 0)} frames, not one")
    if image.mode.startswith(("I", "F")) or _bits(image, data) > 8:
        raise UnusableError(f"has more than one byte a channel (Pillow's mode {image.mode})")


def _without_palette(image: Image.Image) -> Image.Image:
    """The image in grey or in red, green and blue."""
    if image.mode in _DIRECT:
        return image
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        if image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
            raise UnusableError("is transparent in places; lay it on a background first")
        return image.convert("L" if image.mode in ("LA", "La") else "RGB")
    return image.convert("L" if image.mode == "1" else "RGB")


def read_splits(
    source: object,
    splits: Mapping[str, Mapping[str, int]],
    files: Mapping[str, Callable[[], bytes]],
    wishes: Wishes,
) -> tuple[dict[str, Examples], list[str]]:
    """The pictures of each split that can be used, and notes on the others.

    Args:
      source: for sentences.
      splits: split -> the labels of its files by their names, in order.
      files: name -> what reads its bytes.
      wishes: what the pictures shall become.

    Returns:
      split -> its examples, whose images are parts of one array; and clauses for `RawData.notes`.

    Raises:
      DataError: as `decode_all`, or if a split has no picture that can be used.
    """
    ordered = {name: files[name] for labels in splits.values() for name in labels}
    images, kept, notes = decode_all(source, ordered, wishes)
    usable, found, start = set(kept), {}, 0
    for split, labels in splits.items():
        names = tuple(name for name in labels if name in usable)
        if not names:
            raise DataError(f"{source} has no {split} image that can be read.")
        numbers = np.array([labels[name] for name in names], np.int64)
        found[split] = Examples(images[start : start + len(names)], {"label": numbers}, names)
        start += len(names)
    return found, notes


def decode_all(
    source: object, files: Mapping[str, Callable[[], bytes]], wishes: Wishes
) -> tuple[np.ndarray, list[str], list[str]]:
    """The pixels of all pictures that can be used, of one shape, and notes on the others.

    Args:
      source: for sentences.
      files: name -> what reads its bytes.

    Returns:
      uint8 [n, h, w, c] in the order of `files`, the n names, and clauses for `RawData.notes`.

    Raises:
      DataError: more than the allowed share cannot be used, or two are of different shapes.
    """
    images = np.empty((0,), np.uint8)
    kept: list[str] = []
    unusable: list[str] = []
    enlarged = 0
    bar = progress.bar(files.items(), desc="decoding images", unit="image", disable=None)
    for name, content in bar:
        try:
            pixels, larger = decode(content(), wishes)
        except UnusableError as problem:
            unusable.append(f"{name} {problem}")
            if len(unusable) > wishes.largest_unusable * len(files):
                raise _too_many(source, unusable, len(files), wishes) from problem
            continue
        if not kept:
            images = _room_for(source, len(files), pixels.shape)
        elif pixels.shape != images.shape[1:]:
            raise _other_shape(source, (kept[0], images.shape[1:]), (name, pixels.shape))
        images[len(kept)] = pixels
        kept.append(name)
        enlarged += larger
    if not kept:
        raise DataError(f"{source} has no image that can be read.")
    notes = [_left_out(unusable)] if unusable else []
    notes += [f"{enlarged} images were smaller and were enlarged"] if enlarged else []
    return images[: len(kept)], kept, notes


def _room_for(source: object, count: int, shape: tuple[int, ...]) -> np.ndarray:
    size = count * int(np.prod(shape))
    bounded.check_memory(f"{source} has {count} images of {shape}, which", size)
    return np.empty((count, *shape), np.uint8)


def _left_out(unusable: Sequence[str]) -> str:
    more = f", and {len(unusable) - _NAMED} more" if len(unusable) > _NAMED else ""
    return f"{len(unusable)} left out: {', '.join(unusable[:_NAMED])}{more}"


def _too_many(source: object, unusable: Sequence[str], count: int, wishes: Wishes) -> DataError:
    if wishes.largest_unusable == 0:
        return DataError(
            f"{source}: {unusable[0]}; mend or remove it, or allow a share of such images with "
            "--max_unusable."
        )
    return DataError(
        f"{source}: more than {wishes.largest_unusable:.2%} of {count} images cannot be used "
        f"(--max_unusable): {', '.join(unusable[-_NAMED:])}; mend or remove them."
    )


def _other_shape(source: object, one: tuple[str, Any], other: tuple[str, Any]) -> DataError:
    if one[1][:2] != other[1][:2]:
        advice = "give --size, such as --size=32, to bring them to one size"
    else:
        advice = "give --channels=3 to make all of them colour, or --channels=1 to make them grey"
    return DataError(
        f"{source} has images of several shapes: {one[0]} is {one[1]} and {other[0]} is "
        f"{other[1]}; {advice}."
    )
