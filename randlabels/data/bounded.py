"""Reading of files that may be damaged or made to harm: no more than stated bounds, to the end.

An archive is read as a stream of at most MAX_BYTES, decompressed at most MAX_RATIO-fold, with at
most MAX_MEMBERS members, which must be folders and plain files. Python's tarfile takes an archive
whose header is damaged, or that is cut where a header should be, for one that ends there; here it
has to end with the block of zeros that every archive has, and nothing may follow.
"""

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self

from randlabels.data.errors import DataError
from randlabels.host_memory import available_memory, readable

MAX_BYTES = 2**38  # of an archive without its compression; ImageNet has 150 GB
MAX_MEMBERS = 2_000_000  # ImageNet has 1.3 million files
MAX_IMAGE = 2**26  # bytes of the file of one image
MAX_HEADER = 2**20  # bytes of a member of a tar that describes others; they hold long names
MAX_RATIO = 200  # of decompression, from _RATIO_FROM on
_RATIO_FROM = 2**26  # bytes
_BLOCK = 2**16
_ASKED_EVERY = 2**28  # bytes, after which free memory is asked for
_MOST_FIELDS = 100  # that headers set for all members after them
_UTF8 = 0x800  # the flag of a zip's member whose name is in UTF-8
_EACH = 1000  # bytes that Python needs for the name and place of one file that is held
_FEWER = "give fewer or smaller images (--size)"

# What the readers of archives raise for damaged ones.
DAMAGED = (
    OSError,
    EOFError,
    tarfile.TarError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    RecursionError,  # of headers of headers
)


def check_memory(what: str, size: int, advice: str = _FEWER) -> None:
    """Make sure that as many bytes can be held in memory.

    Args:
      what: would take them, as the begin of a sentence.
      size: bytes.
      advice: its end.

    Raises:
      DataError: they cannot.
    """
    free = available_memory()
    if size > free:
        raise DataError(
            f"{what} takes {readable(size)} of memory, and {readable(free)} are free; {advice}."
        )


class Held:
    """What is kept in memory of a file that is read bit by bit, against what is free.

    Args:
      what: is held, as the begin of a sentence.
      advice: its end.
    """

    def __init__(self, what: str, advice: str = _FEWER) -> None:
        self._what, self._advice, self._granted, self._size = what, advice, 0.0, 0

    def add(self, size: int, each: int = _EACH) -> None:
        """Count bytes that are about to be held, and `each` for what Python needs beside them.

        Raises:
          DataError: there is no memory for them.
        """
        size += each
        if size > self._granted:  # asking takes long beside the reading of a small picture
            free = available_memory()
            if size > free:
                raise DataError(
                    f"{self._what} than memory holds ({readable(self._size)} are read and "
                    f"{readable(free)} free); {self._advice}."
                )
            self._granted = min(_ASKED_EVERY, free)
        self._granted -= size
        self._size += size


def check_regular(path: Path, largest: int) -> None:
    """Make sure that a path is a plain file of a reasonable size, or leads to one.

    Raises:
      DataError: it is a pipe, a device or a folder, too large, or cannot be looked at.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({reason(error)}).") from error
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path} is no plain file; give one.")
    if status.st_size > largest:
        raise DataError(f"{path} has {status.st_size} bytes; at most {largest} are read.")


class Bounded:
    """What a stream decompresses to, within MAX_BYTES and MAX_RATIO."""

    def __init__(self, path: Path, raw: IO[bytes], stream: Any) -> None:
        self._path, self._raw, self._stream, self._count = path, raw, stream, 0

    def read(self, size: int) -> bytes:
        """At most `size` bytes; b"" at the end.

        Raises:
          DataError: there are more than may be.
        """
        block: bytes = self._stream.read(size)
        self._count += len(block)
        if self._count > MAX_BYTES:
            raise DataError(f"{self._path} holds more than {MAX_BYTES} bytes, which is refused.")
        if self._count > max(_RATIO_FROM, MAX_RATIO * self._raw.tell()):
            raise DataError(
                f"{self._path} decompresses more than {MAX_RATIO}-fold, which no images do."
            )
        return block


@contextlib.contextmanager
def decompressed(path: Path) -> Iterator[Bounded]:
    """What a file holds without its gzip, bzip2 or xz compression, if it has one.

    Raises:
      DataError: the file is no plain file, too large or damaged.
    """
    check_regular(path, MAX_BYTES)
    openers: dict[bytes, Callable[[Any], Any]] = {
        b"\x1f\x8b": gzip.open,
        b"BZh": bz2.open,
        b"\xfd7zXZ\0": lzma.open,
    }
    try:
        with path.open("rb") as raw:
            start = raw.read(6)
            raw.seek(0)
            found = [opener for magic, opener in openers.items() if start.startswith(magic)]
            yield Bounded(path, raw, found[0](raw) if found else raw)
    except DataError:
        raise
    except DAMAGED as error:
        raise DataError(f"{path} is damaged ({reason(error)}); fetch it again.") from error


def read_all(path: Path) -> io.BytesIO:
    """All that a file holds without its compression, within the bounds and held once.

    Raises:
      DataError: as `decompressed`.
    """
    content = io.BytesIO()
    held = Held(f"{path} has more bytes")
    with decompressed(path) as stream:
        while block := stream.read(_BLOCK):
            held.add(len(block), each=len(block) // 8 + 1)  # it grows by an eighth at a time
            content.write(block)
    content.seek(0)
    return content


_DESCRIBING = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class _StrictHeader(tarfile.TarInfo):
    """A header that is damaged or missing is an error, not the end of the archive.

    What describes other members is read whole by tarfile, so its size is looked at before.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        found = super().frombuf(buf, encoding, errors)
        if found.type in _DESCRIBING and not 0 <= found.size <= MAX_HEADER:
            raise tarfile.ReadError(
                f"a header of {found.size} bytes, where at most {MAX_HEADER} are read"
            )
        return found

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise  # the block of zeros
        except tarfile.EmptyHeaderError:  # type: ignore[attr-defined]
            raise tarfile.ReadError("its end is missing") from None
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"no tar archive, or a header is damaged: {error}") from None


def tar_files(
    path: Path, largest: int
) -> Generator[tuple[PurePosixPath, Callable[[], bytes]], None, None]:
    """The plain files of a tar in their order, as (path, content), read to its very end.

    A content can be called until the next file is asked for.

    Args:
      path: of the tar, compressed or not.
      largest: bytes of one file.

    Raises:
      DataError: the archive is damaged, cut, followed by something, or exceeds a bound, or a
        member is neither a file nor a folder.
    """
    with (
        decompressed(path) as stream,
        tarfile.open(str(path), "r|", stream, tarinfo=_StrictHeader) as tar,  # type: ignore
    ):
        for count, member in enumerate(tar, start=1):
            _check_member(path, member, count, largest)
            tar.members.clear()  # else all headers are kept
            if len(tar.pax_headers) > _MOST_FIELDS:
                raise DataError(f"{path} sets more than {_MOST_FIELDS} fields for all its members.")
            if member.isfile():
                yield PurePosixPath(member.name), functools.partial(_content, path, tar, member)
        _check_end(path, tar.fileobj)


def _content(path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    try:
        file = tar.extractfile(member)
        content = file.read() if file else b""
    except DataError:
        raise
    except DAMAGED as error:
        raise DataError(f"{path} is damaged ({reason(error)}); fetch it again.") from error
    if len(content) != member.size:
        raise DataError(f"{path} is damaged ({member.name} is cut short); fetch it again.")
    return content


def _check_member(path: Path, member: tarfile.TarInfo, count: int, largest: int) -> None:
    if count > MAX_MEMBERS:
        raise DataError(f"{path} has more than {MAX_MEMBERS} members, which is refused.")
    name = member.name[:80]
    if member.issparse() or not (member.isfile() or member.isdir()):
        raise DataError(f"{path}: {name} is neither a plain file nor a folder.")
    if not 0 <= member.size <= largest:
        raise DataError(f"{path}: {name} has {member.size} bytes; at most {largest} are read.")


def _check_end(path: Path, rest: Any) -> None:
    """After the first block of zeros nothing but zeros may follow."""
    while block := rest.read(_BLOCK):
        if block.count(0) != len(block):
            raise DataError(
                f"{path} is damaged (something follows the end of the archive); fetch it again."
            )


def zip_files(
    path: Path, largest: int
) -> Generator[tuple[PurePosixPath, Callable[[], bytes]], None, None]:
    """The plain files of a zip in their order, as (path, content).

    A content can be called as long as the generator lives; its checksum is compared.

    Args:
      path: of the zip.
      largest: bytes of one file.

    Raises:
      DataError: the archive is damaged or exceeds a bound, or a member is encrypted or a link.
    """
    check_regular(path, MAX_BYTES)
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGED as error:
        raise DataError(f"{path} is damaged ({reason(error)}); fetch it again.") from error
    members = [info for info in archive.infolist() if not info.is_dir()]
    if len(members) > MAX_MEMBERS:
        raise DataError(f"{path} has more than {MAX_MEMBERS} members, which is refused.")
    for info in members:
        whole = _name_in_zip(info)
        name = whole[:80]
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.flag_bits & 1 or kind not in (0, stat.S_IFREG):
            raise DataError(f"{path}: {name} is encrypted, or neither a plain file nor a folder.")
        if info.file_size > largest:
            raise DataError(
                f"{path}: {name} has {info.file_size} bytes; at most {largest} are read."
            )
        yield PurePosixPath(whole), functools.partial(_of_zip, path, archive, info)


def _name_in_zip(info: zipfile.ZipInfo) -> str:
    """The name of a member; many programs write UTF-8 without its flag, which is read as cp437."""
    if info.flag_bits & _UTF8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode()
    except UnicodeError:
        return info.filename


def _of_zip(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(info) as file:
            content = file.read(info.file_size + 1)
    except (*DAMAGED, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{path} is damaged ({info.filename}: {reason(error)}); fetch it again."
        ) from error
    if len(content) != info.file_size:
        raise DataError(f"{path} is damaged ({info.filename} is cut short); fetch it again.")
    return content


def reason(error: BaseException) -> str:
    """What an exception says, in one short line."""
    return " ".join(str(error).split())[:100] or type(error).__name__
