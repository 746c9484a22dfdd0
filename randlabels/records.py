"""JSON files and JSON lines, written so that a crash leaves the old file or the new one."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

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
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)
