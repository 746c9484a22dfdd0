"""Keeps what XLA compiles, so that a machine compiles the same program once.

JAX writes an entry of its cache in place, and never again one that is there: a process that is
killed meanwhile would leave a cut one for ever, and others would read half of one. So each process
works in a folder of its own, to which the programs kept are linked, and at its end links the new
ones back, which is atomic. What a killed process leaves is removed by the next one.
"""

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

MOST_BYTES = 10**9  # of all programs kept; the ones not used for longest go first
_LEAST_SECONDS = 0.2  # of compiling, for a program that is kept
_LEAST_FREE = 2 * MOST_BYTES  # a full disk would cut programs, too
_OWN = "process-"  # how folders of processes begin
_LOCK = "lock"
_PROGRAM = "-cache"  # how JAX's entries end


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Within the body JAX has the programs of earlier processes, and its new ones are kept.

    They are under $XDG_CACHE_HOME/randlabels (~/.cache/randlabels), apart for each kind of
    processor. JAX's own variables go first: with JAX_COMPILATION_CACHE_DIR it keeps them there, and
    JAX_ENABLE_COMPILATION_CACHE=false keeps nothing. Nor is anything kept, or said, where the
    folder cannot be written or has little space: results are the same.
    """
    import jax

    settings = jax.config.values
    with contextlib.ExitStack() as stack:
        own = None
        if settings["jax_enable_compilation_cache"] and not settings["jax_compilation_cache_dir"]:
            with contextlib.suppress(OSError):
                own = stack.enter_context(_own_folder(_shared()))
        if own is not None:
            jax.config.update("jax_compilation_cache_dir", str(own))
            jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_SECONDS)
            # XLA's own ones would put the path of this folder into the names of the programs.
            jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
        yield


@contextlib.contextmanager
def _own_folder(shared: Path) -> Iterator[Path]:
    """A folder for this process, with all of `shared`; its new entries go there at the end."""
    shared.mkdir(parents=True, exist_ok=True)
    _remove_left(shared)
    if shutil.disk_usage(shared).free < _LEAST_FREE:
        raise OSError(f"{shared} has little space")
    _make_room(shared)
    own = Path(tempfile.mkdtemp(prefix=_OWN, dir=shared))
    lock = os.open(own / "locking", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.rename(own / "locking", own / _LOCK)  # seen by `_remove_left` when it is held
        _link_new(shared, own)
        try:
            yield own
        finally:
            with contextlib.suppress(OSError):
                _link_new(own, shared)
    finally:
        os.close(lock)
        shutil.rmtree(own, ignore_errors=True)


def _link_new(source: Path, target: Path) -> None:
    """Link the programs of a folder into another where it lacks them."""
    there = set(os.listdir(target))
    for name in os.listdir(source):
        if name.endswith(_PROGRAM) and name not in there:
            with contextlib.suppress(FileExistsError, FileNotFoundError):  # other processes
                os.link(source / name, target / name)


def _remove_left(shared: Path) -> None:
    """Remove the folders of processes that were killed: nobody holds their locks."""
    for own in shared.glob(f"{_OWN}*"):
        with contextlib.suppress(OSError):  # it has no lock yet, or the process lives
            lock = os.open(own / _LOCK, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(own, ignore_errors=True)
            finally:
                os.close(lock)


def _make_room(shared: Path) -> None:
    """Remove the programs that were not used for longest, down to MOST_BYTES."""
    found = []
    for path in shared.glob(f"*{_PROGRAM}"):
        with contextlib.suppress(FileNotFoundError):  # other processes make room, too
            status = path.stat()
            found.append((max(status.st_atime, status.st_mtime), status.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= MOST_BYTES:
            break
        path.unlink(missing_ok=True)
        total -= size


def _shared() -> Path:
    """The folder of this processor: another one may not know the instructions of a program."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    known = hashlib.sha256(f"{platform.machine()} {_instructions()}".encode()).hexdigest()
    return Path(home) / "randlabels" / f"compiled-{known[:12]}"


def _instructions() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):  # x86, ARM
                return line
    return platform.processor()
