"""The forms in which CIFAR comes, each read completely into memory and checked.

* the official binary archive (`cifar-10-binary.tar.gz`, `cifar-100-binary.tar.gz`): records of one
  byte per label and 3072 bytes of one 32x32 image, channel by channel (red, green, blue), row by
  row; see https://www.cs.toronto.edu/~kriz/cifar.html;
* a folder or tar with `train/<class>/<file>` and `test/<class>/<file>` (cifar10);
* a .npz or .npz.xz with train_images, train_labels, test_images, test_labels (cifar10).
"""

import contextlib
import hashlib
import io
import math
import warnings
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from randlabels.data import bounded
from randlabels.data.errors import DataError

IMAGE_SHAPE = (32, 32, 3)
CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
SPLITS = ("train", "test")

_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_LARGEST = 2**28  # bytes of one file of an official archive; CIFAR-100's has 154 MB


@dataclass(frozen=True)
class Examples:
    """One split: images uint8 [n, 32, 32, 3]; labels: feature name -> int64 [n]."""

    images: np.ndarray
    labels: dict[str, np.ndarray]


@dataclass(frozen=True)
class RawData:
    """Both splits in the order of the source; label_names: feature name -> names in order."""

    train: Examples
    test: Examples
    label_names: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class ArchiveLayout:
    """What the official binary archive of one data set holds, as its web page describes it."""

    folder: str
    train_files: tuple[str, ...]
    test_files: tuple[str, ...]
    names_files: dict[str, str]  # feature name -> text file of names; in the order of label bytes


LAYOUTS = {
    "cifar10": ArchiveLayout(
        "cifar-10-batches-bin",
        tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        ("test_batch.bin",),
        {"label": "batches.meta.txt"},
    ),
    "cifar100": ArchiveLayout(
        "cifar-100-binary",
        ("train.bin",),
        ("test.bin",),
        {"coarse_label": "coarse_label_names.txt", "label": "fine_label_names.txt"},
    ),
}


def check_file(path: Path, size: int, sha256: str) -> None:
    """Raises DataError unless the file has this size in bytes and this sha256."""
    bounded.check_regular(path, bounded.MAX_BYTES)
    found = path.stat().st_size
    if found != size:
        raise DataError(
            f"{path} has {found} bytes where the official archive has {size}; "
            "it is incomplete or another file: fetch it again."
        )
    digest = hashlib.sha256()
    with path.open("rb") as file, tqdm(total=size, unit="B", unit_scale=True, disable=None) as bar:
        bar.set_description(f"checking {path.name}")
        while block := file.read(2**20):
            digest.update(block)
            bar.update(len(block))
    if digest.hexdigest() != sha256:
        raise DataError(
            f"{path} is damaged or not the official archive: its sha256 is "
            f"{digest.hexdigest()}, not {sha256}; fetch it again."
        )


def tar_top_folder(path: Path) -> str:
    """First component of the first path in a tar, by which the archives are told apart.

    Raises:
      DataError: the file is no readable tar.
    """
    with contextlib.closing(bounded.tar_files(path, _LARGEST)) as files:
        for file, _ in files:
            parts = [part for part in file.parts if part != "."]
            if parts:
                return parts[0]
    raise DataError(f"{path} is an empty archive.")


def read_official(path: Path, name: str) -> RawData:
    """Reads the official binary archive of cifar10 or cifar100 (checked by `check_file` before).

    Raises:
      DataError: the archive is damaged or lacks one of its files.
    """
    layout = LAYOUTS[name]
    wanted = (*layout.train_files, *layout.test_files, *layout.names_files.values())
    contents = {}
    with tqdm(total=len(wanted), disable=None, desc=f"reading {path.name}") as bar:
        for file, content in bounded.tar_files(path, _LARGEST):
            if file.parts[-2:-1] == (layout.folder,) and file.name in wanted:
                contents[file.name] = content()
                bar.update()
    missing = [file for file in wanted if file not in contents]
    if missing:
        raise DataError(f"{path} lacks {layout.folder}/{missing[0]}; it is not that archive.")

    label_names = {
        feature: tuple(filter(None, contents[file].decode().split("\n")))
        for feature, file in layout.names_files.items()
    }
    train, test = (
        _parse_records(path, b"".join(contents[file] for file in files), label_names)
        for files in (layout.train_files, layout.test_files)
    )
    return RawData(train, test, label_names)


def _parse_records(path: Path, data: bytes, label_names: dict[str, tuple[str, ...]]) -> Examples:
    length = len(label_names) + int(np.prod(IMAGE_SHAPE))
    if not data or len(data) % length:
        raise DataError(f"{path} is damaged: its records are not of {length} bytes each.")
    records = np.frombuffer(data, np.uint8).reshape(-1, length)
    height, width, channels = IMAGE_SHAPE
    planes = records[:, len(label_names) :].reshape(-1, channels, height, width)
    labels = {
        feature: records[:, column].astype(np.int64) for column, feature in enumerate(label_names)
    }
    for feature, values in labels.items():
        _check_labels(path, feature, values, len(label_names[feature]))
    return Examples(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels)


def _check_labels(path: Path, feature: str, labels: np.ndarray, num_classes: int) -> None:
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise DataError(
            f"{path} holds the value {wrong[0]} as {feature}; the classes are "
            f"0 .. {num_classes - 1}."
        )


def read_class_folders(path: Path) -> RawData:
    """Reads cifar10 from `train/<class>/<file>` and `test/<class>/<file>`, a folder or a tar.

    The order is by class (the official numbering), then by file name.

    Raises:
      DataError: a file is damaged or of another size, or a class is unknown or missing.
    """
    files = _tree_files(path) if path.is_dir() else _tar_files(path)
    for split in SPLITS:
        found = {label for where, label, _ in files if where == split}
        absent = [c for i, c in enumerate(CIFAR10_CLASSES) if i not in found]
        if absent:
            raise DataError(f"{path} has no images in {split}/{absent[0]}/.")
    with tqdm(total=len(files), desc="decoding images", unit="image", disable=None) as bar:
        splits = []
        for split in SPLITS:
            rows = sorted(key for key in files if key[0] == split)
            images = np.empty((len(rows), *IMAGE_SHAPE), np.uint8)
            for image, key in zip(images, rows, strict=True):
                image[:] = _decode_image(f"{path}: {key[2]}", files[key])
                bar.update()
            splits.append(Examples(images, {"label": np.array([label for _, label, _ in rows])}))
    return RawData(splits[0], splits[1], {"label": CIFAR10_CLASSES})


def _class_file(path: Path, file: PurePosixPath) -> tuple[str, int, str] | None:
    """(split, class, path) of an image of the tree; None for whatever is no image of a split."""
    if len(file.parts) < 3 or file.parts[-3] not in SPLITS or file.name.startswith("."):
        return None
    split, label = file.parts[-3:-1]
    if label not in CIFAR10_CLASSES:
        raise DataError(
            f"{path} has a class {label!r} in {split}/; "
            f"the classes of cifar10 are {', '.join(CIFAR10_CLASSES)}."
        )
    if file.suffix.lower() not in _IMAGE_SUFFIXES:
        raise DataError(f"{path}: {file} is no image ({', '.join(_IMAGE_SUFFIXES)}).")
    return split, CIFAR10_CLASSES.index(label), str(file)


def _tree_files(path: Path) -> dict[tuple[str, int, str], bytes]:
    found = {}
    try:
        paths = [file for split in SPLITS for file in sorted((path / split).glob("*/*"))]
        for file in _progress(paths[: bounded.MAX_MEMBERS + 1]):
            if key := _class_file(path, PurePosixPath(file.relative_to(path))):
                bounded.check_regular(file, bounded.MAX_IMAGE)
                found[key] = file.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}).") from error
    if len(paths) > bounded.MAX_MEMBERS:
        raise DataError(f"{path} has more than {bounded.MAX_MEMBERS} files, which no CIFAR has.")
    return found


def _tar_files(path: Path) -> dict[tuple[str, int, str], bytes]:
    files = {}
    for file, content in _progress(bounded.tar_files(path, bounded.MAX_IMAGE)):
        if key := _class_file(path, file):
            files[key] = content()
    return files


def _progress(items: Iterable[Any]) -> Iterable[Any]:
    return tqdm(items, desc="reading files", unit="file", disable=None)


def _decode_image(name: str, data: bytes) -> np.ndarray:
    """The pixels, of which the header says how many there are before any is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
                bands = len(image.getbands())
                shape = (image.height, image.width, *([bands] if bands > 1 else []))
                if shape == IMAGE_SHAPE and image.mode == "RGB":
                    return np.asarray(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{name} has far more pixels than {IMAGE_SHAPE[:2]}.") from error
    except Exception as error:  # Pillow's words for bad files are of many types
        raise DataError(f"{name} is a damaged image.") from error
    raise DataError(f"{name} is of shape {shape}; cifar10 images are {IMAGE_SHAPE}, RGB.")


def read_npz(path: Path) -> RawData:
    """Reads cifar10 from a .npz or .npz.xz with train_images, train_labels and so for test.

    Raises:
      DataError: the file is damaged, or an array is missing or of another shape, type or range.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(io.BytesIO(bounded.read_all(path))) as archive:
            for key in (f"{split}_{kind}" for split in SPLITS for kind in ("images", "labels")):
                if f"{key}.npy" not in archive.namelist():
                    raise DataError(f"{path} has no array {key}.")
                arrays[key] = _read_array(path, archive, key)
    except DataError:
        raise
    except Exception as error:  # NumPy reads headers with a parser of Python, which raises anything
        raise DataError(f"{path} is damaged or no .npz file ({bounded.reason(error)}).") from error
    splits = []
    for split in SPLITS:
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        if images.dtype != np.uint8 or images.shape[1:] != IMAGE_SHAPE or len(images) == 0:
            raise DataError(
                f"{path}: {split}_images is {images.dtype} {images.shape}; "
                f"it must be uint8 (n, 32, 32, 3)."
            )
        if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
            raise DataError(
                f"{path}: {split}_labels is {labels.dtype} {labels.shape}; "
                f"it must be integers ({len(images)},)."
            )
        _check_labels(path, f"{split}_labels", labels, len(CIFAR10_CLASSES))
        splits.append(Examples(images, {"label": labels.astype(np.int64)}))
    return RawData(splits[0], splits[1], {"label": CIFAR10_CLASSES})


def _read_array(path: Path, archive: zipfile.ZipFile, key: str) -> np.ndarray:
    """One array of a .npz, whose header says how large it is before it is decompressed."""
    info = archive.getinfo(f"{key}.npy")
    if info.file_size > bounded.MAX_BYTES:
        raise DataError(f"{path}: {key} has {info.file_size} bytes, which no CIFAR has.")
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise DataError(f"{path}: {key} is of version {version}; save it with numpy.savez.")
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran_order, dtype = read_header(file)
        size = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or not 0 <= size == info.file_size - file.tell():
            raise DataError(f"{path} is damaged or no .npz file ({key} is no array of numbers).")
        content = file.read(size + 1)
    array = np.frombuffer(content, dtype, count=math.prod(shape))
    return array.reshape(shape, order="F" if fortran_order else "C")
