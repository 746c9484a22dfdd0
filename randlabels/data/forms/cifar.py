"""The official binary archives of CIFAR-10 and CIFAR-100, each read into memory and checked.

Records are of one byte for each label and 3072 bytes of one 32x32 image, channel by channel (red,
green, blue), row by row; see https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from randlabels import progress
from randlabels.data import bounded
from randlabels.data.errors import DataError
from randlabels.data.forms.raw import Examples, RawData, check_labels

IMAGE_SHAPE = (32, 32, 3)
PYTHON_VERSIONS = ("cifar-10-batches-py", "cifar-100-python")  # of which TFDS has no checksum

_LARGEST = 2**28  # bytes of one file; CIFAR-100's has 154 MB


@dataclass(frozen=True)
class Layout:
    """What the archive of one data set holds, as its web page describes it."""

    folder: str
    train_files: tuple[str, ...]
    test_files: tuple[str, ...]
    names_files: dict[str, str]  # feature name -> text file of names; in the order of label bytes


LAYOUTS = {
    "cifar10": Layout(
        "cifar-10-batches-bin",
        tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        ("test_batch.bin",),
        {"label": "batches.meta.txt"},
    ),
    "cifar100": Layout(
        "cifar-100-binary",
        ("train.bin",),
        ("test.bin",),
        {"coarse_label": "coarse_label_names.txt", "label": "fine_label_names.txt"},
    ),
}


def read_cifar(path: Path, name: str) -> RawData:
    """Reads the archive of cifar10 or cifar100, of which the caller has compared the checksum.

    Raises:
      DataError: the archive is damaged or lacks one of its files.
    """
    layout = LAYOUTS[name]
    wanted = (*layout.train_files, *layout.test_files, *layout.names_files.values())
    contents = {}
    with progress.bar(total=len(wanted), disable=None, desc=f"reading {path.name}") as bar:
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
    return RawData({"train": train, "test": test}, label_names)


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
        check_labels(path, feature, values, len(label_names[feature]))
    return Examples(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels)
