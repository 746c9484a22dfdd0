"""Arrays of a .npz, whose headers say how large they are before anything is decompressed."""

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from randlabels.data import bounded
from randlabels.data.errors import DataError

SUFFIX = ".npy"
_BLOCK = 2**20  # bytes that are decompressed at a time


@dataclass(frozen=True)
class Header:
    """What an array of a .npz is said to be.

    Attributes:
      shape: of it.
      dtype: of its numbers or texts.
      fortran_order: whether the first axis is the fastest.
      start: bytes before its content.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran_order: bool
    start: int

    @property
    def size(self) -> int:
        """Bytes of its content."""
        return math.prod(self.shape) * self.dtype.itemsize


def opened(path: Path) -> zipfile.ZipFile:
    """A .npz, or a .npz.xz, which is decompressed into memory.

    Raises:
      DataError: it is no plain file, too large or damaged.
    """
    if path.name.endswith(".xz"):
        return zipfile.ZipFile(bounded.read_all(path))
    bounded.check_regular(path, bounded.MAX_BYTES)
    return zipfile.ZipFile(path)


def read_header(path: Path, archive: zipfile.ZipFile, key: str) -> Header:
    """The header of an array, which its content must fit.

    Raises:
      DataError: it is none of numbers or texts, or does not fit.
    """
    info = archive.getinfo(key + SUFFIX)
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise DataError(f"{path}: {key} is of version {version}; save it with numpy.savez.")
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran_order, dtype = read(file)
        found = Header(shape, dtype, fortran_order, file.tell())
    if dtype.hasobject or not 0 <= found.size == info.file_size - found.start:
        raise DataError(f"{path} is damaged or no .npz file ({key} is no array of numbers).")
    return found


def read_array(path: Path, archive: zipfile.ZipFile, key: str) -> np.ndarray:
    """One array, which is held once.

    Raises:
      DataError: as `read_header`, or it is damaged or larger than memory.
    """
    header = read_header(path, archive, key)
    bounded.check_memory(f"{path}: {key}", header.size)
    content = np.empty(header.size, np.uint8)
    with archive.open(key + SUFFIX) as file:
        file.read(header.start)
        place = 0
        while block := file.read(_BLOCK):  # to the end, where the checksum is compared
            content[place : place + len(block)] = np.frombuffer(block, np.uint8)
            place += len(block)
    if place != header.size:
        raise DataError(f"{path} is damaged ({key} is cut short); fetch it again.")
    array = content.view(header.dtype)
    return array.reshape(header.shape, order="F" if header.fortran_order else "C")
