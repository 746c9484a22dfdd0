"""What a prepared data set held when it was made, so that a damaged one is noticed.

`manifest.json` beside the records names their source, and for each split the number of examples
and the size and SHA-256 of each file; likewise for the small files that hold class names and
counts. Whenever the data are read, sizes and the digests of the small files are compared; those of
the records are whenever they are decoded, which is once for each preparation, since what was
decoded is kept (see `stored`). Data sets that TFDS itself has prepared have no manifest.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from randlabels.data.errors import DataError
from randlabels.records import file_digest

FILE = "manifest.json"
_RECORDS = "array_record"  # in the names of the files that hold examples


def write_manifest(
    directory: Path,
    source: str,
    examples: Mapping[str, int],
    label_names: Mapping[str, Sequence[str]],
    asked: Mapping[str, Any] | None = None,
) -> None:
    """Write the manifest of a data set that has just been prepared.

    Args:
      directory: of the prepared version.
      source: the name of what it was made from.
      examples: {split: their number}.
      label_names: {feature: names of its classes in order}.
      asked: what it was asked to become, such as the size of the images.
    """
    files = sorted(path for path in directory.iterdir() if path.is_file())
    records = [path for path in files if _RECORDS in path.name]
    splits = {
        split: {
            "examples": count,
            "files": {p.name: _describe(p) for p in records if f"-{split}." in p.name},
        }
        for split, count in examples.items()
    }
    description = {
        "source": source,
        "asked": dict(asked or {}),
        "label_names": {feature: list(names) for feature, names in label_names.items()},
        "splits": splits,
        "texts": {path.name: _describe(path) for path in files if path not in records},
    }
    (directory / FILE).write_text(json.dumps(description, indent=1) + "\n")


def source_of(directory: Path) -> str:
    """What a prepared data set was made from; "" where it has no manifest.

    Raises:
      DataError: the manifest is damaged.
    """
    return str(_read(directory).get("source", ""))


def asked_of(directory: Path) -> dict[str, Any]:
    """What a prepared data set was asked to become; {} where that is not known.

    Raises:
      DataError: the manifest is damaged.
    """
    asked = _read(directory).get("asked", {})
    return asked if isinstance(asked, dict) else {}


def check_names(directory: Path, feature: str, names: Sequence[str], command: str) -> None:
    """Compare the names of classes with the manifest, if there is one.

    Raises:
      DataError: they are others.
    """
    wanted = _read(directory).get("label_names", {}).get(feature)
    if wanted and list(wanted) != list(names):
        _refuse(directory, f"the names of its {feature}", "are others", command)


def check_texts(directory: Path, command: str) -> None:
    """Compare sizes of all files and digests of the small ones with the manifest, if there is one.

    Args:
      directory: of the prepared version.
      command: that prepares it again.

    Raises:
      DataError: a file is missing or is another.
    """
    manifest = _read(directory)
    for name, wanted in _files(manifest):
        path = directory / name
        found = path.stat().st_size if path.is_file() else None
        if found != wanted["bytes"]:
            _refuse(
                directory, name, "is missing" if found is None else f"has {found} bytes", command
            )
    for name, wanted in manifest.get("texts", {}).items():
        if file_digest(directory / name) != wanted["sha256"]:
            _refuse(directory, name, "was changed", command)


def check_records(directory: Path, command: str) -> None:
    """Compare the digests of the records with the manifest, if there is one.

    Raises:
      DataError: a file is another.
    """
    for split in _read(directory).get("splits", {}).values():
        for name, wanted in split["files"].items():
            if file_digest(directory / name) != wanted["sha256"]:
                _refuse(directory, name, "was changed", command)


def check_count(directory: Path, split: str, found: int, command: str) -> None:
    """Compare how many examples a split was read to have with the manifest, if there is one.

    Raises:
      DataError: they are others.
    """
    wanted = _read(directory).get("splits", {}).get(split, {}).get("examples", found)
    if wanted != found:
        _refuse(directory, f"its {split} split", f"has {found} examples, not {wanted}", command)


def _files(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for split in manifest.get("splits", {}).values():
        yield from split["files"].items()
    yield from manifest.get("texts", {}).items()


def _read(directory: Path) -> dict[str, Any]:
    """The manifest; {} where there is none."""
    path = directory / FILE
    try:
        manifest = json.loads(path.read_text())
        # Both are asked here whether they have the form that is relied on.
        shapes = [(name, file["bytes"], file["sha256"]) for name, file in _files(manifest)]
        if not shapes or any("/" in name for name, _, _ in shapes):
            raise ValueError("it lists no files")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is damaged; delete {directory} and prepare the data set again."
        ) from error
    return manifest


def _describe(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": file_digest(path)}


def _refuse(directory: Path, name: str, what: str, command: str) -> None:
    raise DataError(
        f"the data set in {directory} is damaged ({name} {what}); delete that directory and run "
        f"`{command}`, with its --source if it was made from one."
    )
