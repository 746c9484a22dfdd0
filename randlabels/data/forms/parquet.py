"""Parquet files of images and labels, in the form in which public hubs store them.

A column of encoded pictures, bytes or {"bytes": ..., "path": ...}, and one of classes, numbers or
texts; the names of the classes are in the file's own description where the hub wrote it. A folder
holds one or more files a split, named `train-00000-of-00002.parquet` and so on.
"""

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from randlabels.data import bounded
from randlabels.data.errors import DataError
from randlabels.data.forms.folders import SPLIT_OF
from randlabels.data.forms.pictures import read_splits
from randlabels.data.forms.raw import (
    MOST_CLASSES,
    SPLITS,
    RawData,
    Wishes,
    check_labels,
    check_number,
)

_PICTURES = ("image", "img", "picture", "photo")
_ROWS = 16  # that are decoded at a time; each may be one large picture of a dictionary
_LABELS = ("label", "labels", "fine_label", "class", "target", "y")


def parquet_files(path: Path) -> dict[str, list[Path]]:
    """split -> its files in order, of a file or a folder; {} where there are none.

    Raises:
      DataError: files are of no split although there are several.
    """
    if path.is_file():
        return {"train": [path]} if path.suffix == ".parquet" else {}
    found: dict[str, list[Path]] = {}
    files = sorted(path.rglob("*.parquet"))
    for file in files:
        word = re.split(r"[-_.]", file.name)[0].lower()
        split = SPLIT_OF.get(word, SPLIT_OF.get(file.parent.name.lower(), ""))
        if not split and len(files) > 1:
            raise DataError(f"{file} is of no split; name it train-..., validation-... or test-...")
        found.setdefault(split or "train", []).append(file)
    return {split: found[split] for split in SPLITS if split in found}


def read_parquet(path: Path, wishes: Wishes) -> RawData:
    """Reads a parquet file or a folder of such.

    Raises:
      DataError: a file is damaged, lacks a column, or more pictures cannot be used than may be.
    """
    tables = {
        split: [_table(file, wishes.label) for file in files]
        for split, files in parquet_files(path).items()
    }
    if "train" not in tables:
        raise DataError(f"{path} has no parquet file of training images (train-...).")
    files: dict[str, Callable[[], bytes]] = {}
    for split, parts in tables.items():
        for i, picture in enumerate(p for pictures, _, _ in parts for p in pictures):
            files[f"{split}_{i:05d}"] = functools.partial(bytes, picture or b"")
    described = {n for parts in tables.values() for _, _, n in parts if n}
    if len(described) > 1:
        raise DataError(f"{path} has files that name the classes differently; make them the same.")
    names = next(iter(described), ())
    labels = {s: [y for _, ys, _ in parts for y in ys] for s, parts in tables.items()}
    numbered, names = _numbered(path, labels, names)
    of_splits = {
        split: {f"{split}_{i:05d}": int(value) for i, value in enumerate(values)}
        for split, values in numbered.items()
    }
    splits, notes = read_splits(path, of_splits, files, wishes)
    return RawData(splits, {"label": names}, tuple(notes))


def _table(file: Path, label: str) -> tuple[list[bytes | None], list[Any], tuple[str, ...]]:
    """The encoded pictures, the labels and the names of the classes of one file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    bounded.check_regular(file, bounded.MAX_BYTES)
    try:
        parquet = pq.ParquetFile(file)
        size = sum(
            parquet.metadata.row_group(i).total_byte_size
            for i in range(parquet.metadata.num_row_groups)
        )
        bounded.check_memory(f"{file}", size)
        schema = parquet.schema_arrow
        image, label = _columns(file, schema, label)
        pictures, labels = _rows(file, parquet, image, label)
    except MemoryError:  # Arrow's is an ArrowException, too
        raise
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} is damaged or no parquet file ({bounded.reason(error)}).") from (
            error
        )
    return pictures, labels, _class_names(schema, label)


def _rows(file: Path, parquet: Any, image: str, label: str) -> tuple[list[bytes | None], list[Any]]:
    """The encoded pictures and the labels, decoded few at a time and counted.

    A small file may have one picture in a dictionary and name it in each of many rows.
    """
    pictures: list[bytes | None] = []
    labels: list[Any] = []
    held = bounded.Held(f"{file} has more pictures", "give fewer of them")
    for batch in parquet.iter_batches(_ROWS, columns=[image, label], use_threads=False):
        columns = (batch.column(name).to_pylist() for name in (image, label))
        for picture, of_class in zip(*columns, strict=True):
            content = picture.get("bytes") if isinstance(picture, dict) else picture
            held.add(len(content or b"") + (len(of_class) if isinstance(of_class, str) else 0))
            pictures.append(content)
            labels.append(of_class)
    return pictures, labels


def _columns(file: Path, schema: Any, label: str) -> tuple[str, str]:
    """The names of the columns of pictures and of classes."""
    import pyarrow as pa

    def is_picture(kind: Any) -> bool:
        if pa.types.is_struct(kind):
            place = kind.get_field_index("bytes")
            return place >= 0 and is_picture(kind.field(place).type)
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    def is_class(kind: Any) -> bool:
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        texts = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        return bool(pa.types.is_integer(kind) or texts)

    pictures = [field.name for field in schema if is_picture(field.type)]
    classes = [field.name for field in schema if is_class(field.type)]
    there = f"it has {', '.join(schema.names)}"
    if len(set(schema.names)) < len(schema.names):
        raise DataError(f"{file} has two columns of one name; {there}.")
    if not pictures:
        raise DataError(f"{file} has no column of pictures (bytes); {there}.")
    named = [name for name in pictures if name.lower() in _PICTURES]
    if len(pictures) > 1 and len(named) != 1:
        raise DataError(f"{file} has several columns of pictures; call one of them image; {there}.")
    pictures = named or pictures
    if label:
        if label not in classes:
            raise DataError(f"{file} has no column {label} of numbers or texts; {there}.")
        return pictures[0], label
    known = [name for name in _LABELS if name in classes] or classes
    if len(known) != 1:
        raise DataError(f"{file}: say which column holds the classes, by --label; {there}.")
    return pictures[0], known[0]


def _class_names(schema: Any, label: str) -> tuple[str, ...]:
    """What the hub that wrote a file calls the classes; () if it does not say."""
    try:
        description = json.loads((schema.metadata or {})[b"huggingface"])
        names = description["info"]["features"][label]["names"]
        return tuple(map(str, names)) if isinstance(names, list) else ()
    except (KeyError, ValueError, TypeError):
        return ()


def _numbered(
    path: Path, labels: dict[str, list[Any]], names: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Labels as numbers from 0, and their names."""
    for split, values in labels.items():
        if None in values:
            raise DataError(f"{path}: a label of the {split} images is missing.")
    kinds = {type(v) for values in labels.values() for v in values}
    if len(kinds) > 1:
        raise DataError(f"{path}: the labels are texts and numbers; make them one or the other.")
    if kinds == {int}:
        ends = [end(values) for values in labels.values() for end in (min, max) if values]
        if min(ends) < 0 or max(ends) >= MOST_CLASSES:
            raise DataError(
                f"{path} has labels from {min(ends)} to {max(ends)}; they should be 0 or more, and "
                f"below {MOST_CLASSES}."
            )
    if names and kinds == {int}:
        numbered = {split: np.array(values, np.int64) for split, values in labels.items()}
        for split, numbers in numbered.items():
            check_labels(path, f"a label of {split}", numbers, len(names))
        return numbered, names
    found = sorted({v for values in labels.values() for v in values})
    check_number(path, len(found))
    place = {value: i for i, value in enumerate(found)}
    numbered = {s: np.array([place[v] for v in values], np.int64) for s, values in labels.items()}
    return numbered, tuple(map(str, found))
