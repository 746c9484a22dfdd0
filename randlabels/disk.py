"""What the disk may refuse, in one sentence: full, read-only, not permitted, gone."""

import contextlib
import errno
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from randlabels.errors import InputError

_REASONS = {
    errno.ENOSPC: "the disk is full; make space",
    errno.EDQUOT: "your quota of the disk is used up; make space",
    errno.EFBIG: "a file is larger than the system allows; raise the limit (ulimit -f)",
    errno.EROFS: "the file system is read-only; make it writable, or work on a copy",
    errno.EACCES: "permission is denied; change the permissions, or work on a copy",
    errno.EPERM: "permission is denied; change the permissions, or work on a copy",
    errno.EIO: "the disk reports an error of reading or writing; see to it",
    errno.ESTALE: "the file system was disconnected; connect it",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ELOOP: "its links lead in a circle; choose another folder",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n)",
    errno.ENFILE: "too many files are open on this machine; close some",
    errno.ENOTDIR: "a part of the path is a file; choose another folder",
    errno.EEXIST: "a file stands where a folder must be; remove it",
    errno.EISDIR: "a folder stands where a file must be; remove it",
    errno.ENOTEMPTY: "a folder stands where a file must be; remove it",
}

# How tensorstore, under Orbax, names an error of the system.
_CODE = re.compile(r"os_error_code='(\d+)'|OS error (\d+)|\[Errno (\d+)\]")

_TEMPORARY = re.compile(r"\.\d+\.\d+\.tmp$")  # as `records.replacement` names them

_ATTEMPTS, _BETWEEN = 40, 0.05  # of removing such a folder, and seconds between them
_SPARE = 2**20  # bytes that a run needs beside its checkpoints


def sentence_about(error: BaseException, workdir: Path) -> str | None:
    """What to tell the user if an exception comes from the disk below a workdir, else None."""
    seen: BaseException | None = error
    while seen is not None:
        code = _code(seen)
        if code == errno.ENOENT and not workdir.is_dir():
            return f"{workdir} is gone or cannot be made; bring it back, or use another workdir."
        name = getattr(seen, "filename", None)
        if code == errno.ENOENT and _below(name, workdir):
            return f"{name} was removed by another; bring it back, or use another workdir."
        if code in _REASONS:
            replaced = getattr(seen, "filename2", None)  # else a temporary name is given
            name = replaced or name or workdir
            return f"{name} cannot be written or read: {_REASONS[code]}, and give the same command."
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return None


def _below(file: object, folder: Path) -> bool:
    return isinstance(file, str | Path) and Path(file).is_relative_to(folder)


def _code(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = _CODE.search(str(error))
    if found:
        return int(next(filter(None, found.groups())))
    if isinstance(error, RuntimeError):  # array_record gives the system's words alone
        return next((code for code in _REASONS if os.strerror(code) in str(error)), None)
    return None


@contextlib.contextmanager
def told(workdir: Path) -> Iterator[None]:
    """Turn what the disk refuses within the body into one sentence.

    Raises:
        InputError: in place of an exception that comes from the disk.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        sentence = sentence_about(error, workdir)
        if sentence is None:
            raise
        raise InputError(sentence) from error


@contextlib.contextmanager
def folder_made(folder: Path) -> Iterator[None]:
    """Make a folder and those above it; those made here that stay empty are removed again."""
    above = [path for path in (folder, *folder.absolute().parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # not empty, or gone
            for path in above:
                path.rmdir()


def check_space(workdir: Path, size: int, count: int) -> None:
    """Make sure that checkpoints find room.

    Args:
        workdir: where, a folder that is there.
        size: of one, in bytes.
        count: how many are still to be written and kept.

    Raises:
        InputError: if there is less space than they need.
    """
    free, needed = shutil.disk_usage(workdir).free, size * count + _SPARE
    if free < needed:
        raise InputError(
            f"{workdir} has {_megabytes(free)} free, but {count} checkpoints of "
            f"{_megabytes(size)} need {_megabytes(needed)}; make space, or keep fewer "
            f"(config.train.checkpoint_epochs)."
        )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def remove_temporaries(folder: Path) -> None:
    """Remove the half-written files that a killed process left in a folder that is owned."""
    for path in folder.glob("*.tmp"):
        if _TEMPORARY.search(path.name):
            with contextlib.suppress(OSError):
                path.unlink()
    for path in folder.glob("*.orbax-checkpoint-tmp*"):
        _remove_tree(path)


def _remove_tree(path: Path) -> None:
    """Remove a folder into which threads that nobody waits for may still write for a moment.

    Orbax gives up at the first array that fails, while others are on their way to the disk.
    """
    for _ in range(_ATTEMPTS):
        shutil.rmtree(path, ignore_errors=True)
        time.sleep(_BETWEEN)
        if not path.exists():
            return


def writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or the nearest one above it that is there."""
    try:
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        return existing.is_dir() and os.access(existing, os.W_OK)
    except OSError:  # a name that is too long
        return False
