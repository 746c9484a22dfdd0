"""Arrays of images and labels in a .npz, alone or compressed as .npz.xz.

Named `train_images`, `train_labels` and so for `test` and `validation` (or `val`); or as Keras
names them, `x_train`, `y_train`, `x_test`, `y_test`; or `images` and `labels` without a split. The
names of the classes may be in `class_names`, `classes` or `label_names`.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from randlabels import npz
from randlabels.data import bounded
from randlabels.data.errors import DataError
from randlabels.data.forms.pictures import MAX_PIXELS, fit
from randlabels.data.forms.raw import (
    Examples,
    RawData,
    Wishes,
    check_labels,
    check_number,
)
from randlabels.errors import cut

_SPLITS = {"train": "train", "test": "test"} | dict.fromkeys(
    ("val", "valid", "validation", "dev"), "validation"
)
_NAMES = ("class_names", "classes", "label_names")
_GREY = np.array([19595, 38470, 7471])  # of 2^16, as Pillow weighs colours (ITU-R 601-2)


def read_npz(path: Path, wishes: Wishes, allowed: tuple[str, ...] = ()) -> RawData:
    """Reads a .npz or .npz.xz.

    Args:
      path: of it.
      wishes: what images shall become.
      allowed: the names of the classes, if they are given; labels are their numbers.

    Raises:
      DataError: the file is damaged, or an array is missing or of another shape, type or range.
    """
    try:
        with npz.opened(path) as archive:
            there = tuple(name.removesuffix(npz.SUFFIX) for name in archive.namelist())
            keys = _keys(path, there, bool(allowed))
            named = [name for name in _NAMES if name in there][:1]
            wanted = [key for pair in keys.values() for key in pair] + named
            arrays = {key: npz.read_array(path, archive, key) for key in wanted}
    except (DataError, MemoryError):
        raise
    except Exception as error:  # NumPy reads headers with a parser of Python, which raises anything
        raise DataError(f"{path} is damaged or no .npz file ({bounded.reason(error)}).") from error
    images = {split: _images(path, key, arrays[key], wishes) for split, (key, _) in keys.items()}
    shapes = {part.shape[1:] for part in images.values()}
    if len(shapes) > 1:
        raise DataError(f"{path} has images of several shapes: {sorted(shapes)}; give --size.")
    labels = {
        split: _labels(path, key, arrays[key], len(images[split]))
        for split, (_, key) in keys.items()
    }
    names = allowed or (_class_names(path, arrays[named[0]]) if named else ())
    numbered, names = _numbered(path, labels, names)
    splits = {split: Examples(images[split], {"label": numbered[split]}) for split in keys}
    others = sorted({*there} - {*wanted})
    notes = (f"arrays ignored: {cut(', '.join(others))}",) if others else ()
    return RawData(splits, {"label": names}, notes)


def _class_names(path: Path, names: np.ndarray) -> tuple[str, ...]:
    if names.ndim != 1:
        raise DataError(
            f"{path}: the names of the classes are {names.shape}; give a list of texts."
        )
    check_number(path, len(names))
    if names.dtype.kind not in "USiu":
        raise DataError(f"{path}: the names of the classes are {names.dtype}; give texts.")
    try:
        texts = (one.decode() if isinstance(one, bytes) else str(one) for one in names.tolist())
        return tuple(texts)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: a name of a class is no text in UTF-8 ({error}).") from error


def _keys(path: Path, there: tuple[str, ...], both: bool) -> dict[str, tuple[str, str]]:
    """split -> the names of its images and labels, of what the file has."""
    for form in ("{}_images {}_labels", "x_{} y_{}", "X_{} y_{}"):
        found = {
            _SPLITS[name]: tuple(form.format(name, name).split())
            for name in _SPLITS
            if form.format(name, name).split()[0] in there
        }
        if "train" in found:
            wanted = [*found.values(), *([("test_images", "test_labels")] if both else [])]
            for key in (key for pair in wanted for key in pair if key not in there):
                raise DataError(f"{path} has no array {key}.")
            return {split: (pair[0], pair[1]) for split, pair in found.items()}
    if {"images", "labels"} <= set(there) and not both:
        return {"train": ("images", "labels")}
    wanted_names = "train_images" if both else "train_images and train_labels, or images and labels"
    raise DataError(f"{path} has no array {wanted_names}; it has {', '.join(sorted(there))}.")


def _labels(path: Path, key: str, labels: np.ndarray, count: int) -> np.ndarray:
    """Labels [n]; those of shape [n, 1], as some save them, too."""
    flat = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    typed = np.issubdtype(labels.dtype, np.integer) or labels.dtype.kind == "U"
    if flat.shape != (count,) or not typed:
        raise DataError(
            f"{path}: {key} is {labels.dtype} {labels.shape}; it must be integers or texts "
            f"({count},)."
        )
    # They are sorted for the values that there are, and become numbers of 8 bytes.
    bounded.check_memory(f"{path}: {key}", 2 * labels.nbytes + 16 * count)
    return flat


def _numbered(
    path: Path, labels: Mapping[str, np.ndarray], names: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Labels as numbers from 0, and their names: as given, or the values that there are."""
    texts = {values.dtype.kind == "U" for values in labels.values()}
    if len(texts) > 1:
        raise DataError(f"{path}: the labels are texts and numbers; make them one or the other.")
    if names and texts == {False}:
        for split, values in labels.items():
            check_labels(path, f"{split}_labels", values, len(names))
        return {split: values.astype(np.int64) for split, values in labels.items()}, names
    # Python's own, as NumPy makes doubles of integers of two kinds.
    values_there = sorted({one for of in labels.values() for one in np.unique(of).tolist()})
    check_number(path, len(values_there))
    found = tuple(map(str, values_there))
    if names and set(found) - set(names):
        raise DataError(
            f"{path} has the labels {cut(', '.join(map(repr, found)))} and the classes "
            f"{cut(', '.join(map(repr, names)))}."
        )
    ordered = names or found
    number = {name: i for i, name in reversed([*enumerate(ordered)])}  # of two, the first
    place = {value: number[name] for value, name in zip(values_there, found, strict=True)}
    numbered = {}
    for split, of in labels.items():
        there, places = np.unique(of, return_inverse=True)
        numbered[split] = np.array([place[one] for one in there.tolist()], np.int64)[places]
    return numbered, ordered


def _images(path: Path, key: str, images: np.ndarray, wishes: Wishes) -> np.ndarray:
    """Images [n, h, w, c] of an array [n, h, w] or [n, h, w, c], as wished."""
    stacked = images[..., None] if images.ndim == 3 else images
    if (
        images.dtype != np.uint8
        or stacked.ndim != 4
        or stacked.shape[-1] not in (1, 3)
        or (stacked.size == 0)
    ):
        first = images.ndim == 4 and images.shape[1] in (1, 3)
        hint = "; its channels come first: save images.transpose(0, 2, 3, 1)" if first else ""
        raise DataError(
            f"{path}: {key} is {images.dtype} {images.shape}; it must be uint8 (n, height, width, "
            f"3), or (n, height, width) if grey{hint}."
        )
    if math.prod(stacked.shape[1:3]) > MAX_PIXELS:
        raise DataError(f"{path}: images of {key} have more than {MAX_PIXELS} pixels.")
    return _as_wished(f"{path}: {key}", stacked, wishes)


def _as_wished(what: str, images: np.ndarray, wishes: Wishes) -> np.ndarray:
    """Images [n, h, w, c] of which each is `pictures.fit`, and of the wished channels."""
    sides = (wishes.size, wishes.size) if wishes.size else images.shape[1:3]
    shape = (len(images), *sides, wishes.channels or images.shape[-1])
    if shape == images.shape:
        return images
    bounded.check_memory(f"{what} as {shape}", math.prod(shape))
    out = np.empty(shape, np.uint8)
    for made, image in zip(out, images, strict=True):
        made[:] = fit(_with_channels(image, shape[-1]), wishes.size)
    return out


def _with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """An image [h, w, c] of as many channels."""
    if channels == image.shape[-1]:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=-1)
    return ((image @ _GREY + 2**15) >> 16).astype(np.uint8)[..., None]
