"""The forms in which sets of labelled images come, each read into memory and checked."""

from pathlib import Path

from randlabels.data.errors import DataError
from randlabels.data.forms.arrays import read_npz
from randlabels.data.forms.folders import read_folders
from randlabels.data.forms.idx import idx_files, read_idx
from randlabels.data.forms.mat import is_svhn, read_svhn
from randlabels.data.forms.parquet import parquet_files, read_parquet
from randlabels.data.forms.raw import Examples, RawData, Wishes

__all__ = ["Examples", "RawData", "Wishes", "read_form"]


def read_form(path: Path, wishes: Wishes, allowed: tuple[str, ...] = ()) -> RawData:
    """Reads a set of images in whatever form it comes.

    Args:
      path: a folder, tar or zip of class folders, a .npz or .npz.xz, a parquet file or folder, or a
        folder of idx files or of SVHN's .mat files.
      wishes: what images shall become.
      allowed: the names of the classes where they are given, in order.

    Raises:
      DataError: it is damaged, of no such form, or its images are not of one shape.
    """
    if path.name.endswith((".npz", ".npz.xz")):
        return read_npz(path, wishes, allowed)
    if path.is_dir() and idx_files(path):
        return _as_they_are(path, read_idx(path), wishes)
    if path.is_dir() and is_svhn(path):
        return _as_they_are(path, read_svhn(path), wishes)
    if parquet_files(path):
        return read_parquet(path, wishes)
    return read_folders(path, wishes, allowed)


def _as_they_are(path: Path, data: RawData, wishes: Wishes) -> RawData:
    if wishes.size or wishes.channels:
        raise DataError(
            f"{path} holds images of {data.shape}, which are read as they are; leave out --size "
            "and --channels (config.data.image_size averages boxes of pixels in training)."
        )
    return data
