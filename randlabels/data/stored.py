"""Reads image classification sets that TFDS has prepared in array_record, without TensorFlow.

Records are taken as raw bytes and decoded here into one array (two to three times as fast as TFDS's
own decoding); the arrays are kept beside the prepared version as an .npz. Importing this module is
cheap: TFDS is imported by the functions that need it.
"""

import contextlib
import difflib
import hashlib
import io
import os
import re
import shlex
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from PIL import Image
from tqdm import tqdm

from randlabels.data.errors import DataError
from randlabels.data.manifest import check_count, check_records, check_texts
from randlabels.errors import shown
from randlabels.folders import check_folder

TFDS_DEFAULT = "~/tensorflow_datasets"
PREPARABLE = ("cifar10", "cifar100")
SPLITS = ("train", "test")
_KEYS = ("train_images", "train_labels", "test_images", "test_labels", "class_names")
_PIL_MODES = {1: "L", 3: "RGB"}
_READ_AT_ONCE = 2000  # records


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
    own = "your own as my_package.my_module:NAME (docs/extending.md)"
    use = f"use {generated}, a TFDS name, or {own}."
    if not re.fullmatch(r"[A-Za-z]\w{,99}(/[\w.-]{1,99})?(:[\w.*]{1,99})?", name, re.ASCII):
        raise DataError(f"there is no data set named {shown(name)}; {use}")
    folder = os.path.expanduser(data_dir)
    check_folder("data_dir", folder)
    try:
        with quiet_absl():
            return tfds.builder(name, data_dir=folder or None)
    except DatasetNotFoundError as error:
        stored = tfds.list_builders(with_community_datasets=False)
        known = (*GENERATORS, *stored)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else use
        raise DataError(f"there is no data set named {name!r}; {hint}") from error
    except ImportError as error:
        raise DataError(
            f"{name} needs TensorFlow, which is not installed; choose another."
        ) from error
    except Exception as error:  # of JSON, protobuf or TFDS, one wrapped in the other
        raise _cannot_open(name, folder, data_dir, error) from error


def _cannot_open(name: str, folder: str, data_dir: str, error: Exception) -> DataError:
    """What to do where TFDS fails over a damaged description, or a version that there is not."""
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
    made = Path(folder or TFDS_DEFAULT).expanduser() / name.partition(":")[0].partition("/")[0]
    if not made.is_dir():
        return DataError(f"TFDS has no {shown(name)} ({reason}); choose another.")
    return DataError(
        f"the description of {shown(name)} in {made} cannot be read ({reason}); if it is damaged, "
        f"delete that directory and run `{prepare_command(name, data_dir)}`."
    )


def prepare_command(name: str, data_dir: str) -> str:
    """The command line that prepares a data set."""
    where = f" --data_dir={shlex.quote(data_dir)}" if data_dir else ""
    if name in PREPARABLE:
        return f"python -m randlabels.data.prepare --name={name}{where}"
    return f"tfds build {name} --file_format=array_record{where}"


def is_prepared(builder: Any) -> bool:
    """Whether the builder's directory holds a finished data set; touches no network."""
    with quiet_absl():
        return builder.is_prepared()


def read(name: str, data_dir: str) -> dict[str, np.ndarray]:
    """Both splits of a prepared data set, in TFDS's record order.

    The order is fixed by TFDS (a hash of the official positions), hence the same on every machine
    that has prepared the same examples.

    Returns:
      train_images and test_images uint8 [n, h, w, c], train_labels and test_labels int32 [n],
      class_names str [num_classes].

    Raises:
      DataError: not prepared (names the command that prepares it), prepared in a format other than
        array_record, damaged, or no data set of equally sized labelled uint8 images.
    """
    builder, command = _open(name, data_dir)
    cache = Path(builder.data_path).parent / f"decoded-{builder.version}.npz"
    key = _preparation_key(Path(builder.data_path))
    arrays = _read_cache(cache, key)
    if arrays is None:
        arrays = _decode(builder, command)
        _write_cache(cache, key, arrays)
    return arrays


def measure(name: str, data_dir: str) -> tuple[tuple[int, ...], int, int]:
    """Shape of an image, and numbers of training and test examples, of a prepared data set.

    Raises:
      DataError: as `read`, but for damage that only reading shows.
    """
    builder, _ = _open(name, data_dir)
    image_key, _ = _supervised_keys(builder)
    splits = builder.info.splits
    _check_splits(builder)
    counts = (splits[split].num_examples for split in SPLITS)
    return (builder.info.features[image_key].shape, *counts)


def _open(name: str, data_dir: str) -> tuple[Any, str]:
    """The builder of a prepared data set that can be read, and the command that prepares it."""
    import tensorflow_datasets as tfds

    builder = find_builder(name, data_dir)
    command = prepare_command(name, data_dir)
    if not is_prepared(builder):
        raise DataError(f"{name} is not prepared in {builder.data_dir}; run `{command}`.")
    if builder.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
        found = builder.info.file_format.value
        raise DataError(
            f"{builder.data_dir} holds {name} as {found}, which cannot be read without "
            "TensorFlow; prepare it as array_record in another directory and set data_dir to it."
        )
    check_texts(Path(builder.data_path), command)
    return builder, command


def _preparation_key(directory: Path) -> str:
    """Digest that changes whenever the prepared directory does: texts, shard sizes and times."""
    digest = hashlib.sha256()
    for path in sorted(directory.iterdir()):
        stat = path.stat()
        digest.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        if path.suffix in (".json", ".txt"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _read_cache(path: Path, key: str) -> dict[str, np.ndarray] | None:
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
                return {name: stored[name] for name in _KEYS}
        logging.info("%s is of an earlier preparation and is made again.", path)
    except Exception as error:  # flipped bytes lead zipfile and NumPy to nearly any
        logging.warning("%s is damaged (%s) and is made again.", path, error)
    return None


def _write_cache(path: Path, key: str, arrays: dict[str, np.ndarray]) -> None:
    """Writes all or nothing. A directory that cannot be written to only costs the decoding."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    except OSError as error:
        logging.warning("cannot keep the decoded images in %s (%s).", path.parent, error.strerror)
        return
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays, key=np.array(key))
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        logging.warning("cannot keep the decoded images in %s (%s).", path, error.strerror)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _decode(builder: Any, command: str) -> dict[str, np.ndarray]:
    image_key, label_key = _supervised_keys(builder)
    _check_splits(builder)
    check_records(Path(builder.data_path), command)
    arrays = {"class_names": np.array(builder.info.features[label_key].names)}
    for split in SPLITS:
        try:
            images, labels = _decode_split(builder, split, image_key, label_key)
        except (
            Exception
        ) as error:  # array_record, protobuf and Pillow each raise kinds of their own
            reason = " ".join(str(error).split())[:200]
            raise DataError(
                f"the {split} split in {builder.data_dir} is damaged ({reason}); "
                f"delete that directory and run `{command}`, with its --source if it was made from "
                "one."
            ) from error
        check_count(Path(builder.data_path), split, len(images), command)
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = images, labels
    return arrays


def _check_splits(builder: Any) -> None:
    missing = [split for split in SPLITS if split not in builder.info.splits]
    if missing:
        raise DataError(f"{builder.name} has no {missing[0]} split in {builder.data_dir}.")


def _supervised_keys(builder: Any) -> tuple[str, str]:
    """Names of the image and label features, checked to be a uint8 image of fixed size, a class."""
    import tensorflow_datasets as tfds

    keys = builder.info.supervised_keys
    if keys is not None and len(keys) == 2 and all(isinstance(key, str) for key in keys):
        image, label = (builder.info.features[key] for key in keys)
        if (
            isinstance(image, tfds.features.Image)
            and isinstance(label, tfds.features.ClassLabel)
            and None not in image.shape
            and image.shape[-1] in _PIL_MODES
            and image.np_dtype == np.uint8
        ):
            return keys[0], keys[1]
    raise DataError(
        f"{builder.name} is not a set of equally sized grey or RGB uint8 images with one class "
        "each; choose another data set, for instance cifar10."
    )


def _decode_split(
    builder: Any, split: str, image_key: str, label_key: str
) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [n, h, w, c] and labels int32 [n] of one split."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.proto import tf_example_pb2

    raw = tfds.decode.DeserializeMethod.RAW_BYTES
    source = builder.as_data_source(split=split, deserialize_method=raw)
    shape = builder.info.features[image_key].shape
    images = np.empty((len(source), *shape), np.uint8)
    labels = np.empty(len(source), np.int32)
    bar = tqdm(total=len(source), desc=f"decoding {builder.name} {split}", disable=None)
    with bar:
        for start in range(0, len(source), _READ_AT_ONCE):
            rows = range(start, min(start + _READ_AT_ONCE, len(source)))
            for row, record in zip(rows, source.__getitems__(list(rows)), strict=True):
                feature = tf_example_pb2.Example.FromString(record).features.feature
                picture = Image.open(io.BytesIO(feature[image_key].bytes_list.value[0]))
                pixels = np.asarray(picture.convert(_PIL_MODES[shape[-1]]))
                images[row] = pixels.reshape(shape)
                labels[row] = feature[label_key].int64_list.value[0]
            bar.update(len(rows))
    return images, labels
