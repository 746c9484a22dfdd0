"""The official binary archive of STL-10, without its unlabelled images.

Images are 96x96, channel by channel, column by column (as MATLAB stores them); labels are 1 to 10;
see https://cs.stanford.edu/~acoates/stl10/.
"""

from pathlib import Path

import numpy as np

from randlabels.data import bounded
from randlabels.data.errors import DataError
from randlabels.data.forms.raw import Examples, RawData, check_labels

FOLDER = "stl10_binary"
_SIDE = 96
_IMAGE_BYTES = 3 * _SIDE * _SIDE
_LARGEST = 2**32  # bytes of one file; that of the unlabelled images has 2.8 GB
_NAMES = "class_names.txt"


def read_stl10(path: Path, name: str = "stl10") -> RawData:
    """Reads the archive, of which the caller has compared the checksum.

    Raises:
      DataError: the archive is damaged or lacks one of its files.
    """
    wanted = {f"{split}_{kind}.bin" for split in ("train", "test") for kind in "Xy"} | {_NAMES}
    contents = {
        file.name: content()
        for file, content in bounded.tar_files(path, _LARGEST)
        if file.parts[-2:-1] == (FOLDER,) and file.name in wanted
    }
    missing = sorted(wanted - contents.keys())
    if missing:
        raise DataError(f"{path} lacks {FOLDER}/{missing[0]}; it is not that archive of {name}.")
    names = tuple(filter(None, contents[_NAMES].decode().split("\n")))
    return RawData(
        {split: _split(path, contents, split, len(names)) for split in ("train", "test")},
        {"label": names},
        ("its unlabelled images are left out",),
    )


def _split(path: Path, contents: dict[str, bytes], split: str, num_classes: int) -> Examples:
    images = np.frombuffer(contents[f"{split}_X.bin"], np.uint8)
    labels = np.frombuffer(contents[f"{split}_y.bin"], np.uint8).astype(np.int64) - 1
    if images.size == 0 or images.size != len(labels) * _IMAGE_BYTES:
        raise DataError(f"{path} is damaged: {split}_X.bin and {split}_y.bin do not fit together.")
    check_labels(path, f"{split}_y.bin minus 1", labels, num_classes)
    columns = images.reshape(-1, 3, _SIDE, _SIDE)  # [n, c, w, h]
    return Examples(np.ascontiguousarray(columns.transpose(0, 3, 2, 1)), {"label": labels})
