"""JSON files and JSON lines, written so that a crash leaves the old file or the new one."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np


def plain(value: Any) -> Any:
    """Python numbers, lists and dicts for JSON; non-finite numbers become None."""
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "__array__"):
        return plain(np.asarray(value).tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def typed(kind: Any, value: Any) -> Any:
    """The inverse of `plain`: what JSON holds, as the type `kind` that an annotation names.

    Dicts become dataclasses, lists tuples or arrays (`NDArray[...]`), and None becomes NaN where a
    float must be; of a union with None, it stays None.

    Raises:
        TypeError, ValueError: if the value is of another form.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        fields = _annotations(kind)
        return kind(**{k: typed(fields.get(k, Any), v) for k, v in _of(dict, value).items()})
    if origin in (Union, types.UnionType):
        return None if value is None else typed(arguments[0], value)
    if origin is np.ndarray:
        return np.array(_of(list, value), get_args(arguments[1])[0])
    if origin is tuple:
        return tuple(typed(arguments[0], v) for v in _of(list, value))
    if origin is dict:
        return {k: typed(arguments[1], v) for k, v in _of(dict, value).items()}
    if kind is float:
        return np.nan if value is None else float(_of(int | float, value))
    return _of(kind, value)


_annotations = functools.cache(get_type_hints)


def _of(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} where {kind} must be")
    return value


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file as a whole or not at all."""
    replace_text(path, json.dumps(plain(value), indent=1) + "\n")


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is not JSON.
    """
    try:
        return json.loads(_contents(path))
    except RecursionError as error:  # a file of brackets
        raise ValueError(f"{path.name} is nested too deeply") from error


def line_of(record: dict[str, Any]) -> bytes:
    """A record as one line of a JSON-lines file."""
    return (json.dumps(plain(record)) + "\n").encode()


def append_line(path: Path, line: bytes) -> None:
    """Append a line to a file, which is there, and make sure that it is on disk."""
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def read_bytes(path: Path) -> bytes:
    """The contents of a file, b"" if it is not there; ValueError if it is a pipe or a device."""
    try:
        return _contents(path)
    except FileNotFoundError:
        return b""


def _contents(path: Path) -> bytes:
    if path.is_fifo() or path.is_char_device():  # reading one might never end
        raise ValueError(f"{path.name} is no file")
    return path.read_bytes()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_text(path: Path, text: str) -> None:
    """Put a file in the place of another in one step."""
    replace_bytes(path, text.encode())


def replace_bytes(path: Path, content: bytes) -> None:
    """Put a file in the place of another in one step; where that fails nothing is left behind."""
    with replacement(path) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """A temporary path; what the body writes there takes the place of a file in one step."""
    # Another process, and another thread, has its own.
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
