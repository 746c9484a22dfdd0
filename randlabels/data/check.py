"""Reads a prepared data set from end to end: `python -m randlabels.data.prepare --check=DIR`."""

from pathlib import Path
from typing import Any

import numpy as np

from randlabels.data.decoding import decode, framing_of, test_split
from randlabels.data.errors import DataError
from randlabels.data.manifest import check_names, check_texts, source_of
from randlabels.data.stored import prepare_command, quiet_absl
from randlabels.folders import check_folder, expanded

_DESCRIPTION = "dataset_info.json"
# What stands in for a test split is called what it is.
_TESTED_ON = {"test": "test", "validation": "validation", "": "held-out train"}


def check(folder: str) -> str:
    """Reads every record of the data set in a folder and returns a sentence on what it holds.

    Args:
      folder: of one version of it, as in datasets/photos/1.0.0, or one above with one data set.

    Raises:
      InputError: there is no data set, or several, or a file or record of it is damaged.
    """
    directory = _version(expanded("--check", folder))
    builder = _builder(directory)
    command = prepare_command(builder.name, str(directory.parents[1]))
    check_texts(directory, command)
    arrays = decode(builder, command, framing_of(builder, 0, 0))
    names = [str(name) for name in arrays["class_names"]]
    check_names(directory, "label", names, command)
    lines = []
    for split, called in (("train", "train"), ("test", _TESTED_ON[test_split(builder)])):
        counts = np.bincount(arrays[f"{split}_labels"], minlength=len(names))
        least, most = counts.min(), counts.max()
        lines.append(f"{counts.sum()} {called} images, {least} to {most} of a class")
    shape = " x ".join(map(str, arrays["train_images"].shape[1:]))
    origin = source_of(directory)
    compared = f"made from {origin}; all files are as they were made" if origin else "no manifest"
    return (
        f"{directory} is whole: {' and '.join(lines)}, {len(names)} classes, {shape} pixels "
        f"({compared})."
    )


def _version(folder: Path) -> Path:
    check_folder("--check", folder)
    found = sorted(path.parent for path in folder.rglob(_DESCRIPTION))
    if not found:
        raise DataError(f"{folder} holds no prepared data set; give its folder.")
    if len(found) > 1:
        raise DataError(
            f"{folder} holds several data sets: {', '.join(map(str, found))}; give one."
        )
    return found[0]


def _builder(directory: Path) -> Any:
    import tensorflow_datasets as tfds

    try:
        with quiet_absl():
            return tfds.builder_from_directory(directory)
    except Exception as error:  # of JSON, protobuf or TFDS, one wrapped in the other
        reason = " ".join(str(error).split())[:150]
        raise DataError(f"the description in {directory} cannot be read ({reason}).") from error
