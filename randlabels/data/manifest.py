"""What a prepared data set held when it was made, so that a damaged one is noticed.

`manifest.json` beside the records names their source, and for each split the number of examples
and the size and SHA-256 of each file; likewise for the small files that hold class names and
counts. Whenever the data are read, sizes and the digests of the small files are compared; those of
the records are whenever they are decoded, which is once for each preparation, since what was
decoded is kept (see `stored`). Data sets that TFDS itself has prepared have no manifest.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from randlabels.data.errors import DataError
from randlabels.records import file_digest, read_json, typed, write_json

FILE = "manifest.json"
_RECORDS = "array_record"  # in the names of the files that hold examples
# What is read of a prepared data set.
_READ = (f"*{_RECORDS}*", "dataset_info.json", "features.json", "*.labels.txt")


@dataclasses.dataclass(frozen=True)
class _File:
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class _Split:
    examples: int
    files: dict[str, _File]


@dataclasses.dataclass(frozen=True)
class _Manifest:
    """What the file holds; without a default what every one has."""

    source: str
    label_names: dict[str, tuple[str, ...]]
    splits: dict[str, _Split]
    texts: dict[str, _File]
    asked: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def files(self) -> dict[str, _File]:
        """All files that it lists."""
        parts = (split.files for split in self.splits.values())
        return {name: file for part in (*parts, self.texts) for name, file in part.items()}


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
        split: _Split(count, {p.name: _describe(p) for p in records if f"-{split}." in p.name})
        for split, count in examples.items()
    }
    names = {feature: tuple(names) for feature, names in label_names.items()}
    texts = {path.name: _describe(path) for path in files if path not in records}
    description = _Manifest(source, names, splits, texts, dict(asked or {}))
    write_json(directory / FILE, dataclasses.asdict(description))


def source_of(directory: Path) -> str:
    """What a prepared data set was made from; "" where it has no manifest.

    Raises:
      DataError: the manifest is damaged.
    """
    manifest = _read(directory)
    return manifest.source if manifest else ""


def asked_of(directory: Path) -> dict[str, Any]:
    """What a prepared data set was asked to become; {} where that is not known.

    Raises:
      DataError: the manifest is damaged.
    """
    manifest = _read(directory)
    return manifest.asked if manifest else {}


def check_names(directory: Path, feature: str, names: Sequence[str], command: str) -> None:
    """Compare the names of classes with the manifest, if there is one.

    Raises:
      DataError: they are others.
    """
    manifest = _read(directory)
    wanted = manifest.label_names.get(feature) if manifest else None
    if wanted and wanted != tuple(names):
        _refuse(directory, f"the names of its {feature}", "are others", command)


def check_texts(directory: Path, command: str) -> None:
    """Compare sizes of all files and digests of the small ones with the manifest, if there is one.

    Args:
      directory: of the prepared version.
      command: that prepares it again.

    Raises:
      DataError: a file is missing, is another or is not listed, or the manifest has other splits
        than the description.
    """
    manifest = _read(directory)
    if manifest is None:
        return
    for name, wanted in manifest.files.items():
        path = directory / name
        found = path.stat().st_size if path.is_file() else None
        if found != wanted.bytes:
            _refuse(
                directory, name, "is missing" if found is None else f"has {found} bytes", command
            )
    for path in (path for pattern in _READ for path in directory.glob(pattern)):
        if path.name not in manifest.files:
            _refuse(directory, path.name, f"is not in {FILE}", command)
    for name, wanted in manifest.texts.items():
        if file_digest(directory / name) != wanted.sha256:
            _refuse(directory, name, "was changed", command)
    if manifest.splits.keys() != _described_splits(directory):
        _refuse(directory, FILE, "has other splits than dataset_info.json", command)


def _described_splits(directory: Path) -> set[str]:
    """The splits that the description names; it is as it was written."""
    description = read_json(directory / "dataset_info.json")
    return {split.get("name", "") for split in description.get("splits", [])}


def check_records(directory: Path, command: str) -> None:
    """Compare the digests of the records with the manifest, if there is one.

    Raises:
      DataError: a file is another.
    """
    manifest = _read(directory)
    for split in manifest.splits.values() if manifest else ():
        for name, wanted in split.files.items():
            if file_digest(directory / name) != wanted.sha256:
                _refuse(directory, name, "was changed", command)


def check_count(directory: Path, split: str, found: int, command: str) -> None:
    """Compare how many examples a split was read to have with the manifest, if there is one.

    Raises:
      DataError: they are others.
    """
    manifest = _read(directory)
    wanted = manifest.splits[split].examples if manifest else found
    if wanted != found:
        _refuse(directory, f"its {split} split", f"has {found} examples, not {wanted}", command)


def _read(directory: Path) -> _Manifest | None:
    """The manifest; None where there is none."""
    path = directory / FILE
    try:
        manifest: _Manifest = typed(_Manifest, read_json(path))
        if any("/" in name for name in manifest.files):
            raise ValueError("it lists files of other folders")
        if not all(split.files for split in manifest.splits.values()):
            raise ValueError("it lists no files of a split")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{path} is damaged; delete {directory} and prepare the data set again."
        ) from error
    return manifest


def _describe(path: Path) -> _File:
    return _File(path.stat().st_size, file_digest(path))


def _refuse(directory: Path, name: str, what: str, command: str) -> None:
    raise DataError(
        f"the data set in {directory} is damaged ({name} {what}); delete that directory and run "
        f"`{command}`, with its --source if it was made from one."
    )
