"""Data sets whose official archives are known by address, size and SHA-256, as TFDS lists them."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from randlabels.data import bounded
from randlabels.data.download import check_file, download
from randlabels.data.errors import DataError
from randlabels.data.forms.cifar import LAYOUTS, PYTHON_VERSIONS, read_cifar
from randlabels.data.forms.idx import read_idx
from randlabels.data.forms.mat import read_svhn
from randlabels.data.forms.raw import RawData
from randlabels.data.forms.stl10 import FOLDER, read_stl10

_LARGEST = 2**32  # bytes of one file; STL-10's unlabelled images have 2.8 GB


@dataclass(frozen=True)
class Official:
    """How the official files of a data set are read.

    Attributes:
      read: from the archive, or the folder that holds the files, and the data set's name.
      top: the folder in the archive, by which it is told from other tars; "" if there are files.
      omitted: files that TFDS lists and that are not read, by their name.
    """

    read: Callable[[Path, str], RawData]
    top: str = ""
    omitted: tuple[str, ...] = ()


OFFICIAL = {
    "cifar10": Official(read_cifar, LAYOUTS["cifar10"].folder),
    "cifar100": Official(read_cifar, LAYOUTS["cifar100"].folder),
    "svhn_cropped": Official(lambda path, _: read_svhn(path), omitted=("extra_32x32.mat",)),
    "mnist": Official(lambda path, _: read_idx(path)),
    "fashion_mnist": Official(lambda path, _: read_idx(path)),
    "stl10": Official(read_stl10, FOLDER),
}


def fetch(builder: Any, folder: Path) -> tuple[RawData, str]:
    """Downloads what is not in `folder` yet, and reads it.

    Args:
      builder: TFDS's, which knows addresses and checksums.
      folder: for the files; those of a set of several files get a folder below it.

    Returns:
      The data, and the name of what they came from.

    Raises:
      DataError: no connection, or the files are damaged.
    """
    name = builder.name
    known, files = OFFICIAL[name], _files(builder)
    place = folder if known.top else folder / name
    for url, info in files.items():
        download(url, place / info.filename, int(info.size), info.checksum)
    if known.top:
        (info,) = files.values()
        return known.read(place / info.filename, name), info.filename
    return known.read(place, name), f"the official files of {name}"


def read_given(builder: Any, path: Path) -> tuple[RawData, str] | None:
    """Reads official files that lie on this machine; None if `path` is something else.

    Args:
      builder: TFDS's.
      path: the archive, or a folder that holds all files.

    Returns:
      As `fetch`.

    Raises:
      DataError: it calls itself official and is not, or is damaged.
    """
    name = builder.name
    known, files = OFFICIAL[name], _files(builder)
    if known.top:
        if path.is_dir() or path.name.endswith((".npz", ".npz.xz", ".zip", ".parquet")):
            return None
        top = tar_top_folder(path)
        ((url, info),) = files.items()
        if top in PYTHON_VERSIONS:
            raise DataError(
                f"{path} is the official Python version, which cannot be verified (TFDS holds only "
                f"the checksum of the binary version); give {info.filename} ({url})."
            )
        if top != known.top:
            return None
        check_file(path, int(info.size), info.checksum)
        return known.read(path, name), path.name
    if not path.is_dir() or not all((path / info.filename).exists() for info in files.values()):
        return None
    for info in files.values():
        check_file(path / info.filename, int(info.size), info.checksum)
    return known.read(path, name), f"the official files of {name}"


def _files(builder: Any) -> dict[str, Any]:
    """Address -> TFDS's size, checksum and file name, of what is read."""
    omitted = OFFICIAL[builder.name].omitted
    return {url: info for url, info in builder.url_infos.items() if info.filename not in omitted}


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
