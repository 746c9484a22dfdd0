"""A lease of a workdir, for file systems without locks: a file that its holder keeps renewing.

A lease that was not renewed for a minute is that of a process that died, and may be taken over.
Ages are compared by the clock of the file system, since clocks of hosts differ.
"""

import contextlib
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from randlabels.errors import InputError

LEASE = ".lease"
RENEWED_EVERY = 10.0  # seconds
STALE_AFTER = 60.0  # seconds


@contextlib.contextmanager
def lease(
    workdir: Path, signature: str, refusal: Callable[[Path, str], Exception]
) -> Iterator[None]:
    """Hold the lease of a workdir while the body runs; a thread renews it.

    If another takes it over, since this process was suspended for too long, the process ends at
    once: going on would mix two runs.

    Args:
        workdir: a folder that is there.
        signature: who holds it, for the refusal of others.
        refusal: (workdir, what the holder signed) -> the exception to raise.
    """
    path = workdir / LEASE
    token = f"{signature}\n{uuid.uuid4().hex}"
    if path.is_symlink():
        raise InputError(f"{path} is no file that randlabels made; remove it.")
    while not _created(path, token):
        holder = _read(path)
        if holder is None:
            continue
        if _age(path) < STALE_AFTER:
            raise refusal(workdir, holder.partition("\n")[0])
        _remove_stale(path, holder)
    ended = threading.Event()
    thread = threading.Thread(target=_renew, args=(path, token, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(RENEWED_EVERY)
        if _read(path) == token:
            path.unlink(missing_ok=True)


def _created(path: Path, token: str) -> bool:
    """Make the file with its content in one step; False if there is one."""
    prepared = path.with_name(f"{LEASE}.{uuid.uuid4().hex}.tmp")
    prepared.write_text(token)
    try:
        os.link(prepared, path)
    except FileExistsError:
        return False
    finally:
        prepared.unlink()
    return True


def _remove_stale(path: Path, holder: str) -> None:
    """Take a stale lease away; one that was renewed or replaced meanwhile is put back."""
    taken = path.with_name(f"{LEASE}.{uuid.uuid4().hex}.tmp")
    with contextlib.suppress(FileNotFoundError):  # another was quicker
        os.rename(path, taken)
        if taken.read_text() != holder:
            with contextlib.suppress(FileExistsError):
                os.link(taken, path)
        taken.unlink()


def _age(path: Path) -> float:
    """Seconds since a file was renewed, by the clock of its file system."""
    probe = path.with_name(f"{LEASE}.{uuid.uuid4().hex}.tmp")
    probe.touch()
    try:
        return probe.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
    finally:
        probe.unlink()


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return None


def _renew(path: Path, token: str, ended: threading.Event) -> None:
    while not ended.wait(RENEWED_EVERY):
        with contextlib.suppress(OSError):  # a server that is away for a moment
            if _read(path) == token:
                os.utime(path)
                continue
            sentence = f"randlabels: {path.parent} was taken over by another process; this one ends"
            print(f"{sentence} here.", file=sys.stderr, flush=True)
            os._exit(1)
