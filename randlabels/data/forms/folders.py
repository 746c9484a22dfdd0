"""Class folders: one folder of pictures for each class, as a folder, a tar or a zip.

Either `<class>/...` or `train/<class>/...` beside `test/` and `val/`; one folder around it all is
looked through. The classes are numbered in the alphabetical order of their names, and examples are
in the order of split, class and path.
"""

import functools
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from randlabels import progress
from randlabels.data import bounded
from randlabels.data.errors import DataError
from randlabels.data.forms.pictures import SUFFIXES, read_splits
from randlabels.data.forms.raw import RawData, Wishes, is_text
from randlabels.errors import cut, shown

SPLIT_OF = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
}

# (split, class, path below the source)
Place = tuple[str, str, str]
Content = Callable[[], bytes]
Entry = tuple[PurePosixPath, Content | None]  # None is a folder

_OF_MACOS = ("__MACOSX", "Icon\r")


def read_folders(path: Path, wishes: Wishes, allowed: tuple[str, ...] = ()) -> RawData:
    """Reads a folder, tar or zip of class folders.

    Args:
      path: of it.
      wishes: what images shall become.
      allowed: the names of the classes, if they are given; "train" then is the only split if there
        are none.

    Raises:
      DataError: there are no pictures in class folders, a class is unknown or missing, or more
        pictures cannot be used than may be.
    """
    files, others, folders = _files(path)
    places = _placed(path, files)
    names = allowed or tuple(sorted({label for _, label, _ in places}))
    number = {name: i for i, name in enumerate(names)}
    _check_classes(path, places, names, whole=bool(allowed))
    labels: dict[str, dict[str, int]] = {}
    for split, label, file in places:
        labels.setdefault(split, {})[file] = number[label]
    splits, notes = read_splits(path, labels, files, wishes)
    bare = _without_pictures(places, folders)
    if bare:
        notes.append(f"no images in {cut(', '.join(bare))}")
    if others:
        notes.append(f"{len(others)} other files ignored, such as {others[0]}")
    return RawData(splits, {"label": names}, tuple(notes))


def _files(path: Path) -> tuple[dict[str, Content], list[str], set[str]]:
    """The pictures of a source by their path in it, the names of other files, and all folders."""
    entries = _entries(path)
    files: dict[str, Content] = {}
    others: list[str] = []
    folders: set[str] = set()
    for file, content in progress.bar(entries, desc="reading files", unit="file", disable=None):
        parts = file.parts
        if any((part.startswith(".") and part != "..") or part in _OF_MACOS for part in parts):
            continue
        if ".." in parts or not is_text(str(file)):
            raise DataError(f"{path}: {shown(str(file))} is no usable name; rename it.")
        folders.update(map(str, file.parents))
        if content is None:
            folders.add(str(file))
        elif file.suffix.lower() not in SUFFIXES:
            others.append(str(file))
        elif str(file) in files:
            raise DataError(f"{path} has two files {file}; it is damaged.")
        else:
            files[str(file)] = content
    if not files:
        raise DataError(
            f"{path} has no images ({', '.join(SUFFIXES)}); give a folder, tar or zip with one "
            "folder of images for each class."
        )
    return files, others, folders


def _without_pictures(places: list[Place], folders: set[str]) -> list[str]:
    """The folders beside those of classes in which no picture lies."""
    full: set[str] = set()
    beside: set[str] = set()
    for _, label, file in places:
        above = [*PurePosixPath(file).parents]
        full.update(map(str, above))
        beside.update(str(folder.parent) for folder in above if folder.name == label)
    return sorted(f for f in folders - full if str(PurePosixPath(f).parent) in beside)


def _entries(path: Path) -> Iterable[Entry]:
    """Each file and, of a folder, each folder in it."""
    if path.is_dir():
        return _in_tree(path)
    bounded.check_regular(path, bounded.MAX_BYTES)
    return _in_zip(path) if zipfile.is_zipfile(path) else _in_tar(path)


def _in_tree(path: Path) -> Iterable[Entry]:
    try:
        for count, file in enumerate(sorted(path.rglob("*")), start=1):
            if count > bounded.MAX_MEMBERS:
                raise DataError(f"{path} has more than {bounded.MAX_MEMBERS} files.")
            if file.is_symlink() and file.is_dir():
                raise DataError(f"{file} is a link to a folder; put the folder itself there.")
            name = PurePosixPath(file.relative_to(path))
            if file.is_dir():
                yield name, None
                continue
            if file.suffix.lower() in SUFFIXES:
                bounded.check_regular(file, bounded.MAX_IMAGE)
            yield name, functools.partial(_of_file, file)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({bounded.reason(error)}).") from error


def _of_file(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read ({bounded.reason(error)}).") from error


def _in_tar(path: Path) -> Iterable[Entry]:
    """A tar can be read only from its begin to its end, so its pictures are held."""
    held = bounded.Held(f"{path} has more pictures", "unpack it and give the folder")
    for file, content in bounded.tar_files(path, bounded.MAX_IMAGE):
        data = content() if file.suffix.lower() in SUFFIXES else b""
        held.add(len(data))
        yield PurePosixPath(*(p for p in file.parts if p != ".")), functools.partial(bytes, data)


def _in_zip(path: Path) -> Iterable[Entry]:
    yield from bounded.zip_files(path, bounded.MAX_IMAGE)


def _placed(path: Path, files: Mapping[str, Any]) -> list[Place]:
    """Where each picture belongs, in the order of split, class and path."""
    parts = {file: PurePosixPath(file).parts for file in files}
    while len({p[0] for p in parts.values()}) == 1:
        (only,) = {p[0] for p in parts.values()}
        if only.lower() in SPLIT_OF or min(map(len, parts.values())) < 3:
            break
        parts = {file: p[1:] for file, p in parts.items()}
    # A class may be called "test", but then its pictures lie in it directly.
    deep = {p[0].lower() for p in parts.values() if len(p) > 2}
    with_splits = bool(deep & SPLIT_OF.keys())
    places = []
    for file, p in parts.items():
        split, *rest = p if with_splits else ("train", *p)
        if len(rest) < 2:
            raise DataError(
                f"{path}: {file} lies in no class folder; put each image in a folder that has the "
                "name of its class."
            )
        if split.lower() not in SPLIT_OF:
            raise DataError(
                f"{path} has the folder {split}/ beside those of splits; keep train/, val/ and "
                "test/ alone."
            )
        places.append((SPLIT_OF[split.lower()], rest[0], file))
    if not any(place[0] == "train" for place in places):
        raise DataError(f"{path} has no images in train/.")
    order = ("train", "validation", "test")
    return sorted(places, key=lambda place: (order.index(place[0]), place[1], place[2]))


def _check_classes(path: Path, places: list[Place], names: tuple[str, ...], whole: bool) -> None:
    """Every class is known, in training, and in each split if there shall be all."""
    found: dict[str, set[str]] = {}
    known = set(names)
    for split, label, _ in places:
        if label not in known:
            raise DataError(
                f"{path} has a class {label!r} in {split}/; the classes are {', '.join(names)}."
            )
        found.setdefault(split, set()).add(label)
    for split, labels in found.items():
        absent = [name for name in names if name not in labels]
        if absent and (whole or split == "train"):
            raise DataError(f"{path} has no images in {split}/{absent[0]}/.")
    if whole and "test" not in found:
        raise DataError(f"{path} has no images in test/{names[0]}/.")
