"""Arrays that were made of a prepared data set, kept beside it.

A cache is of one preparation: it is made again when the files of the data set change, or when its
own bytes are not those that were written. A directory that cannot be written to costs work only.
"""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from absl import logging


def preparation_key(directory: Path) -> str:
    """Digest that changes whenever the prepared directory does: texts, shard sizes and times."""
    digest = hashlib.sha256()
    for path in sorted(directory.iterdir()):
        stat = path.stat()
        digest.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        if path.suffix in (".json", ".txt"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def read_cache(path: Path, key: str, names: Sequence[str]) -> dict[str, np.ndarray] | None:
    """The arrays of these names, or None if there are none of this key, or they are damaged."""
    if not path.exists():
        return None
    try:
        with zipfile.ZipFile(path) as archive:  # NumPy does not compare all checksums
            spoiled = archive.testzip()
        if spoiled:
            raise zipfile.BadZipFile(f"{spoiled} is not what was written")
        # NumPy leaves open a file that it cannot parse.
        with path.open("rb") as file, np.load(file) as stored:
            if str(stored["key"]) == key:
                arrays = {name: stored[name] for name in names}
                if str(stored["digest"]) == _digest(arrays):
                    return arrays
                raise ValueError("its arrays are not those that were written")
        logging.info("%s is of an earlier preparation and is made again.", path)
    except Exception as error:  # flipped bytes lead zipfile and NumPy to nearly any
        logging.warning("%s is damaged (%s) and is made again.", path, error)
    return None


def write_cache(path: Path, key: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Write all of them or nothing; where that fails, say so and go on."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    except OSError as error:
        logging.warning("cannot keep the decoded images in %s (%s).", path.parent, error.strerror)
        return
    try:
        with os.fdopen(handle, "wb") as file:
            extra = {"key": np.array(key), "digest": np.array(_digest(arrays))}
            np.savez(file, allow_pickle=False, **arrays, **extra)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        logging.warning("cannot keep the decoded images in %s (%s).", path, error.strerror)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of what a cache holds: names, types, shapes and numbers, in the arrays' order."""
    digest = hashlib.sha256()
    for name, values in arrays.items():
        array = np.ascontiguousarray(values)
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
