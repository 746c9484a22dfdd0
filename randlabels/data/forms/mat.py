"""SVHN's cropped digits as MATLAB files: train_32x32.mat and test_32x32.mat.

Each has X uint8 [32, 32, 3, n] and y [n, 1], in which 10 stands for the digit 0; see
http://ufldl.stanford.edu/housenumbers/.
"""

from pathlib import Path

import numpy as np

from randlabels.data import bounded
from randlabels.data.errors import DataError
from randlabels.data.forms.raw import Examples, RawData, check_labels

_FILES = {"train": "train_32x32.mat", "test": "test_32x32.mat"}
_SHAPE = (32, 32, 3)


def is_svhn(folder: Path) -> bool:
    """Whether a folder holds such files."""
    return (folder / _FILES["train"]).exists()


def read_svhn(folder: Path) -> RawData:
    """Reads the two files of a folder.

    Raises:
      DataError: one is missing, damaged, or holds something else.
    """
    return RawData({split: _read(folder / name) for split, name in _FILES.items()}, {})


def _read(path: Path) -> Examples:
    from scipy.io import loadmat

    bounded.check_regular(path, bounded.MAX_BYTES)
    try:
        arrays = loadmat(path, variable_names=("X", "y"))
        images, labels = np.asarray(arrays["X"]), np.asarray(arrays["y"]).ravel()
    except MemoryError:
        raise
    except Exception as error:  # SciPy's parser raises nearly anything
        raise DataError(
            f"{path} is damaged or no .mat file with X and y ({bounded.reason(error)})."
        ) from error
    fits = images.ndim == 4 and images.shape[:3] == _SHAPE and images.shape[3] == len(labels) > 0
    if images.dtype != np.uint8 or not fits or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"{path}: X is {images.dtype} {images.shape} and y {labels.dtype} {labels.shape}; X "
            "must be uint8 (32, 32, 3, n), and y n integers."
        )
    labels = labels.astype(np.int64)
    check_labels(path, "y minus 1", labels - 1, 10)
    return Examples(np.ascontiguousarray(images.transpose(3, 0, 1, 2)), {"label": labels % 10})
