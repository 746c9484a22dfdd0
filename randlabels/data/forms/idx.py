"""idx files, the form of MNIST and Fashion-MNIST: two for each split, with or without gzip.

A big-endian header (two zero bytes, type 8 for bytes, the number of axes, the length of each), then
the bytes, last axis fastest; see http://yann.lecun.com/exdb/mnist/.
"""

import re
import struct
from pathlib import Path

import numpy as np

from randlabels.data import bounded
from randlabels.data.errors import DataError
from randlabels.data.forms.raw import Examples, RawData

_BYTES = 8  # the type of unsigned bytes
_SPLITS = {"train": "train", "t10k": "test", "test": "test"}
_NAME = re.compile(r"(?:^|[-_.])(train|t10k|test)[-_.](images|labels)[-_.]idx([13])[-_.]ubyte")


def idx_files(folder: Path) -> dict[tuple[str, str], Path]:
    """(split, "images" or "labels") -> file, of the idx files that lie in a folder.

    Raises:
      DataError: two files are the same part.
    """
    found: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.iterdir()):
        match = _NAME.search(path.name)
        if not match or path.name.endswith(".part"):
            continue
        key = _SPLITS[match[1]], match[2]
        if key in found:
            raise DataError(f"{folder} has {found[key].name} and {path.name}; keep one of them.")
        found[key] = path
    return found


def read_idx(folder: Path) -> RawData:
    """Reads the images and labels of the splits that lie in a folder.

    Raises:
      DataError: a file is missing, damaged, or of another form, or the two of a split do not fit.
    """
    files = idx_files(folder)
    splits = {}
    for split in ("train", "test"):
        absent = [kind for kind in ("images", "labels") if (split, kind) not in files]
        if absent == ["images", "labels"] and split == "test":
            continue
        if absent:
            raise DataError(f"{folder} has no idx file of the {split} {absent[0]}.")
        images, labels = (_read(files[split, kind]) for kind in ("images", "labels"))
        if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels) or 0 in images.shape:
            raise DataError(
                f"{folder}: the {split} images are {images.shape} and the labels {labels.shape}; "
                "they must be (n, height, width) and (n,)."
            )
        bounded.check_memory(f"{folder}: the {split} labels", 8 * len(labels))
        splits[split] = Examples(images[..., None], {"label": labels.astype(np.int64)})
    return RawData(splits, {})


def _read(path: Path) -> np.ndarray:
    content = bounded.read_all(path).getbuffer()
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _BYTES:
        raise DataError(f"{path} is damaged or no idx file of bytes.")
    axes = content[3]
    start = 4 + 4 * axes
    shape = struct.unpack(f">{axes}I", content[4:start]) if len(content) >= start else (-1,)
    if int(np.prod(shape, dtype=object)) != len(content) - start:
        raise DataError(
            f"{path} is damaged: it has {len(content)} bytes where its header says {shape}."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
