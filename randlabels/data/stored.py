"""Reads image classification sets that TFDS has prepared in array_record, without TensorFlow.

Records are taken as raw bytes and decoded into one array (two to three times as fast as TFDS's own
decoding); the arrays are kept beside the prepared version as an .npz. Importing this module is
cheap: TFDS is imported by the functions that need it.
"""

import contextlib
import difflib
import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from randlabels.data.cache import preparation_key, read_cache, write_cache
from randlabels.data.decoding import counts, decode, framing_of, warn_of_test
from randlabels.data.errors import DataError
from randlabels.data.manifest import check_texts
from randlabels.data.official import OFFICIAL
from randlabels.errors import shown
from randlabels.folders import check_folder, expanded

OWN_VERSION = "1.0.0"  # of data sets that TFDS does not know
_OWN_COPY = (
    " on a machine that has TensorFlow, or give your images a name of their own, by `python -m "
    "randlabels.data.prepare --name=my_images --source=YOUR_IMAGES`"
)
DRAWN = "drawn_jpegs"  # which `drawn` writes
TFDS_DEFAULT = "~/tensorflow_datasets"
_KEYS = ("train_images", "train_labels", "test_images", "test_labels", "class_names")


@contextlib.contextmanager
def quiet_absl() -> Iterator[None]:
    """Errors only: TFDS warns of folders yet to be made and logs every shard it writes."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def find_builder(name: str, data_dir: str) -> Any:
    """The TFDS builder of a data set, prepared or not; data_dir "" is TFDS's default.

    Raises:
      DataError: TFDS knows no such data set (the nearest name is suggested), or describes it only
        with TensorFlow's help.
    """
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.registered import DatasetNotFoundError

    from randlabels.data.generators import GENERATORS

    generated = ", ".join(GENERATORS)
    own = "your own images, prepared by `python -m randlabels.data.prepare` (docs/data.md)"
    use = f"use {generated}, a TFDS name, or {own}."
    if not re.fullmatch(r"[A-Za-z]\w{,99}(/[\w.-]{1,99})?(:[\w.*]{1,99})?", name, re.ASCII):
        raise DataError(f"there is no data set named {shown(name)}; {use}")
    folder = _folder(data_dir)
    try:
        with quiet_absl():
            return tfds.builder(name, data_dir=folder or None)
    except DatasetNotFoundError as error:
        if name == DRAWN:
            command = prepare_command(name, data_dir)
            raise DataError(f"{name} is not in {_root(folder)}; run `{command}`.") from error
        stored = tfds.list_builders(with_community_datasets=False)
        known = (*GENERATORS, *stored, *_prepared_names(folder))
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else use
        raise DataError(
            f"there is no data set named {name!r}{_looked_in(data_dir, folder)}; {hint}"
        ) from error
    except ImportError as error:
        raise DataError(
            f"{name} needs TensorFlow, which is not installed; choose another."
        ) from error
    except Exception as error:  # of JSON, protobuf or TFDS, one wrapped in the other
        raise _cannot_open(name, folder, data_dir, error) from error


def _looked_in(data_dir: str, folder: str) -> str:
    """Where a data set was looked for, as a clause."""
    root = _root(folder)
    gone = "" if root.is_dir() else ", which does not exist"
    own = "" if data_dir else "; what you prepared elsewhere is found by its data_dir"
    return f" (looked in {root}{gone}{own})"


def _root(folder: str) -> Path:
    """A data directory, or TFDS's default where that is ""."""
    return expanded("data_dir", folder or TFDS_DEFAULT)


def _prepared_names(folder: str) -> list[str]:
    """What lies prepared in a data directory."""
    root = _root(folder)
    return [path.parents[1].name for path in root.glob("*/*/dataset_info.json")]


def own_folder(name: str, data_dir: str) -> Path:
    """Where a data set that TFDS does not know is, or would be; data_dir "" is TFDS's default.

    Raises:
      DataError: data_dir is no folder.
    """
    from tensorflow_datasets.core import constants

    return Path(_folder(data_dir) or constants.DATA_DIR) / name / OWN_VERSION


def _folder(data_dir: str) -> str:
    """data_dir with ~ replaced, if it can be a folder; "" stays so."""
    folder = str(expanded("data_dir", data_dir)) if data_dir else ""
    check_folder("data_dir", folder)
    return folder


def _cannot_open(name: str, folder: str, data_dir: str, error: Exception) -> DataError:
    """What to do where TFDS fails over a damaged description, or a version that there is not."""
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
    made = _root(folder) / name.partition(":")[0].partition("/")[0]
    if not made.is_dir():
        return DataError(f"TFDS has no {shown(name)} ({reason}); choose another.")
    return DataError(
        f"the description of {shown(name)} in {made} cannot be read ({reason}); if it is damaged, "
        f"delete that directory and run `{prepare_command(name, data_dir)}`."
    )


@functools.cache  # TFDS looks through the files of all its data sets
def is_known(name: str) -> bool:
    """Whether TFDS has a data set of this name, so that no other may have it."""
    import tensorflow_datasets as tfds

    return name.partition("/")[0] in tfds.list_builders(with_community_datasets=False)


def prepare_command(name: str, data_dir: str) -> str:
    """The command line that prepares a data set."""
    where = f" --data_dir={shlex.quote(data_dir)}" if data_dir else ""
    if name == DRAWN:
        return f"python -m randlabels.data.drawn{where}"
    if name in OFFICIAL:
        return f"python -m randlabels.data.prepare --name={name}{where}"
    if is_known(name):  # with TensorFlow, on a machine that has it
        return f"tfds build {name} --file_format=array_record{where}"
    return f"python -m randlabels.data.prepare --name={name} --source=YOUR_IMAGES{where}"


def is_prepared(builder: Any) -> bool:
    """Whether the builder's directory holds a finished data set; touches no network."""
    with quiet_absl():
        return builder.is_prepared()


def read(name: str, data_dir: str, short_side: int = 0, size: int = 0) -> dict[str, np.ndarray]:
    """Both splits of a prepared data set, in TFDS's record order.

    The order is fixed by TFDS (a hash of the official positions), hence the same on every machine
    that has prepared the same examples.

    Args:
      name: of the data set.
      data_dir: "" is TFDS's default.
      short_side: see `Framing`; 0 for pictures of one size, which are returned as they are.
      size: of the square that is cut from the others; not used where short_side is 0.

    Returns:
      train_images and test_images uint8 [n, h, w, c], train_labels and test_labels int32 [n],
      class_names str [num_classes]. Where there is no test split the validation split is one, and
      where there is neither, a share of the training images (`decoding.HELD_OUT`).

    Raises:
      DataError: not prepared (names the command that prepares it), prepared in a format other than
        array_record, damaged, or no data set of equally sized labelled uint8 images.
    """
    builder, command = open_builder(name, data_dir)
    framing = framing_of(builder, short_side, size)
    cache = Path(builder.data_path).parent / f"decoded-{builder.version}{framing.suffix}.npz"
    key = preparation_key(Path(builder.data_path))
    arrays = read_cache(cache, key, _KEYS)
    if arrays is None:
        arrays = decode(builder, command, framing)
        write_cache(cache, key, {name: arrays[name] for name in _KEYS})
        warn_of_test(builder)  # once is enough
    return arrays


def measure(
    name: str, data_dir: str, short_side: int = 0, size: int = 0
) -> tuple[tuple[int, int, int], int, int]:
    """Shape of an image, and numbers of training and test examples, of a prepared data set.

    Raises:
      DataError: as `read`, but for damage that only reading shows.
    """
    builder, _ = open_builder(name, data_dir)
    return (framing_of(builder, short_side, size).shape, *counts(builder))


def open_builder(name: str, data_dir: str) -> tuple[Any, str]:
    """The builder of a prepared data set that can be read, and the command that prepares it."""
    import tensorflow_datasets as tfds

    builder = find_builder(name, data_dir)
    command = prepare_command(name, data_dir)
    if not is_prepared(builder):
        own = "" if name in (*OFFICIAL, DRAWN) else _OWN_COPY
        raise DataError(f"{name} is not prepared in {builder.data_dir}; run `{command}`{own}.")
    if builder.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
        found = builder.info.file_format.value
        raise DataError(
            f"{builder.data_dir} holds {name} as {found}, which cannot be read without "
            "TensorFlow; prepare it as array_record in another directory and set data_dir to it."
        )
    check_texts(Path(builder.data_path), command)
    return builder, command
