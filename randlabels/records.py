"""JSON files and JSON lines, written so that a crash leaves the old file or the new one."""

import contextlib
import dataclasses
import functools
import json
import os
import types
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


def append_json_line(path: Path, record: dict[str, Any]) -> None:
    """Append one record and make sure that it is on disk."""
    with path.open("a") as file:
        file.write(json.dumps(plain(record)) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The records of a JSON-lines file; a line cut short by a crash is left out."""
    records = []
    for line in path.read_text().splitlines() if path.exists() else []:
        with contextlib.suppress(json.JSONDecodeError):
            records.append(json.loads(line))
    return records


def replace_text(path: Path, text: str) -> None:
    """Put a file in the place of another in one step."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")  # another process has its own
    temporary.write_text(text)
    os.replace(temporary, path)
