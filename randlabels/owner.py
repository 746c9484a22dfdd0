"""One owner of a workdir at a time: whoever writes into it holds its lock, readers never wait.

The lock is the operating system's, on the file `.lock` in the workdir, so that it ends with the
process that holds it, however that ends. The file says who holds it; it is removed on release, and
one that a killed process left behind holds nothing. The folder is locked with it, so that whoever
removes the file lets nobody in. Where the file system knows no locks, a lease stands in their place
(`randlabels.lease`).
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from randlabels.disk import folder_made, told, writable
from randlabels.errors import InputError
from randlabels.lease import lease

LOCK = ".lock"

_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_PATIENCE = 0.5  # seconds, for the name of one who has just taken the lock


@contextlib.contextmanager
def owned(workdir: Path) -> Iterator[None]:
    """Own a workdir, which is made if it is not there, while the body runs.

    What the disk refuses meanwhile is told in one sentence.

    A folder that was made for it, and into which nothing was written, is removed again.

    Raises:
        InputError: if another process (or another call in this one) owns it, it cannot be written
            to, or the disk refuses what the body does.
    """
    if not writable(workdir):
        raise InputError(f"workdir {workdir} cannot be written to; choose another folder.")
    with told(workdir), folder_made(workdir), _locked(workdir):
        yield


@contextlib.contextmanager
def _locked(workdir: Path) -> Iterator[None]:
    path = workdir / LOCK
    handle = _take(path, workdir)
    if handle is None:
        path.unlink(missing_ok=True)
        with lease(workdir, _signature(), _refusal):
            yield
        return
    try:
        with _folder_locked(workdir):
            os.ftruncate(handle, 0)
            os.write(handle, _signature().encode())
            yield
    finally:
        # Before it is let go: whoever waits for this file finds that it is no longer the one.
        if _is_at(handle, path):
            with contextlib.suppress(OSError):
                path.unlink()
        os.close(handle)


@contextlib.contextmanager
def _folder_locked(workdir: Path) -> Iterator[None]:
    """Lock the folder itself, on the file systems that lock folders.

    Raises:
        InputError: if another holds it, whose file was removed.
    """
    handle = os.open(workdir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refusal(workdir, "") from None
        except OSError:  # NFS, which locks only what is open for writing
            pass
        yield
    finally:
        os.close(handle)


def _take(path: Path, workdir: Path) -> int | None:
    """A handle of the file whose lock is now held; None where there are no locks.

    Raises:
        InputError: if another holds it, or a link, a pipe or a folder stands in its place.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise InputError(f"{path} is no file that randlabels made; remove it.")
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(handle)
            os.close(handle)
            raise _refusal(workdir, holder) from None
        except OSError as error:
            os.close(handle)
            if error.errno in _WITHOUT_LOCKS:
                return None
            raise
        if _is_at(handle, path):
            return handle
        os.close(handle)  # its last holder removed it between the two calls


def _is_at(handle: int, path: Path) -> bool:
    """Whether an open file still is what its path names."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(handle), path.stat())
    return False


def _holder(handle: int) -> str:
    """What the holder wrote into the file, within a moment of taking it."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        written = os.pread(handle, 10_000, 0)
        if written:
            return written.decode(errors="replace")
        time.sleep(0.02)
    return ""


def _signature() -> str:
    """Who holds it and since when, as JSON."""
    record = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:500],
        "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
    }
    return json.dumps(record)


def _refusal(workdir: Path, holder: str) -> InputError:
    """The sentence for whoever finds a workdir taken."""
    try:
        record = json.loads(holder)
        who = (
            f"process {record['pid']} on {record['host']} ({record['command']}), since "
            f"{record['since']}"
        )
    except (ValueError, TypeError, KeyError):
        who = "another process"
    return InputError(
        f"{workdir} is in use by {who}; wait until it has ended, or use another workdir."
    )
