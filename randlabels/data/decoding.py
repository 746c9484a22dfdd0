"""Decodes every record of a prepared data set into arrays, and says which split is the test set."""

from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from randlabels import progress
from randlabels.data.errors import DataError
from randlabels.data.forms.pictures import MODES
from randlabels.data.framing import Framing
from randlabels.data.manifest import check_count, check_records

HELD_OUT = 0.1  # of the training images, tested on where a data set has no other images for that
_READ_AT_ONCE = 2000  # records


def counts(builder: Any) -> tuple[int, int]:
    """Numbers of training and of test examples.

    Raises:
      DataError: there is no train split.
    """
    splits, test = builder.info.splits, test_split(builder)
    train = splits["train"].num_examples
    if test:
        return train, splits[test].num_examples
    held = held_out(train)
    return train - int(held.sum()), int(held.sum())


def test_split(builder: Any) -> str:
    """The split that is tested on: test, else validation; "" if a share of train must be.

    Raises:
      DataError: there is no train split.
    """
    splits = builder.info.splits
    if "train" not in splits:
        raise DataError(f"{builder.name} has no train split in {builder.data_dir}.")
    return next((name for name in ("test", "validation") if name in splits), "")


def held_out(size: int) -> np.ndarray:
    """Which of the training examples are tested on, bool [size]; the same at every call."""
    held = np.zeros(size, bool)
    order = np.argsort(np.random.Philox(0).random_raw(size), kind="stable")
    held[order[: max(1, round(HELD_OUT * size))]] = True
    return held


def decode(builder: Any, command: str, framing: Framing) -> dict[str, np.ndarray]:
    """What `stored.read` returns, of a builder.

    Args:
      builder: of a prepared data set.
      command: that prepares it again, for sentences.
      framing: by which its pictures become arrays.

    Raises:
      DataError: a record or a file is damaged or missing.
    """
    keys = supervised_keys(builder)
    test = test_split(builder)
    check_records(Path(builder.data_path), command)
    arrays = {"class_names": np.array(builder.info.features[keys[1]].names)}
    arrays["train_images"], arrays["train_labels"] = _whole(
        builder, "train", keys, command, framing
    )
    if test:
        arrays["test_images"], arrays["test_labels"] = _whole(builder, test, keys, command, framing)
    else:
        held = held_out(len(arrays["train_images"]))
        for kind in ("images", "labels"):
            rows = arrays[f"train_{kind}"]
            arrays[f"test_{kind}"], arrays[f"train_{kind}"] = rows[held], rows[~held]
    return arrays


def warn_of_test(builder: Any) -> None:
    """Say so if what is tested on is no test split."""
    test = test_split(builder)
    if test == "validation":
        logging.warning("%s has no test split; its validation split is one.", builder.name)
    elif not test:
        logging.warning(
            "%s has no test split; %g of its training images are one.", builder.name, HELD_OUT
        )


def _whole(
    builder: Any, split: str, keys: tuple[str, str], command: str, framing: Framing
) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of a split that is not damaged."""
    try:
        images, labels = _decode_split(builder, split, *keys, framing)
    except MemoryError:
        raise
    except Exception as error:  # array_record, protobuf and Pillow each raise kinds of their own
        raise damaged(builder.data_dir, split, command, error) from error
    check_count(Path(builder.data_path), split, len(images), command)
    return images, labels


def damaged(folder: str, split: str, command: str, error: Exception) -> DataError:
    """What to do where a split cannot be read."""
    reason = " ".join(str(error).split())[:200]
    return DataError(
        f"the {split} split in {folder} is damaged ({reason}); delete that directory and run "
        f"`{command}`, with its --source if it was made from one."
    )


def supervised_keys(builder: Any) -> tuple[str, str]:
    """Names of the image and label features.

    Raises:
      DataError: they are no uint8 image of grey or RGB, and a class.
    """
    import tensorflow_datasets as tfds

    keys = builder.info.supervised_keys
    if keys is not None and len(keys) == 2 and all(isinstance(key, str) for key in keys):
        image, label = (builder.info.features[key] for key in keys)
        if (
            isinstance(image, tfds.features.Image)
            and isinstance(label, tfds.features.ClassLabel)
            and image.shape[-1] in MODES
            and image.np_dtype == np.uint8
        ):
            return keys[0], keys[1]
    raise DataError(
        f"{builder.name} is not a set of grey or RGB uint8 images with one class each; choose "
        "another data set, for instance cifar10."
    )


def framing_of(builder: Any, short_side: int, size: int) -> Framing:
    """How the pictures of a data set become arrays of one shape.

    Raises:
      DataError: they cannot, as they differ in size and short_side is 0.
    """
    native = builder.info.features[supervised_keys(builder)[0]].shape
    if None in native and not short_side:
        raise DataError(
            f"{builder.name} is not a set of equally sized images; set config.data.short_side to "
            "the pixels that their shorter sides shall have (256 for ImageNet), and "
            "config.data.image_size to those of the square cut from their centre (224)."
        )
    return Framing(native, short_side, size)


def _decode_split(
    builder: Any, split: str, image_key: str, label_key: str, framing: Framing
) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [n, h, w, c] and labels int32 [n] of one split."""
    import tensorflow_datasets as tfds

    raw = tfds.decode.DeserializeMethod.RAW_BYTES
    source = builder.as_data_source(split=split, deserialize_method=raw)
    images = np.empty((len(source), *framing.shape), np.uint8)
    labels = np.empty(len(source), np.int32)
    bar = progress.bar(total=len(source), desc=f"decoding {builder.name} {split}", disable=None)
    with bar:
        for start in range(0, len(source), _READ_AT_ONCE):
            rows = range(start, min(start + _READ_AT_ONCE, len(source)))
            for row, record in zip(rows, source.__getitems__(list(rows)), strict=True):
                encoded, labels[row] = parsed(record, image_key, label_key)
                images[row] = framing.image(encoded)
            bar.update(len(rows))
    return images, labels


def parsed(record: bytes, image_key: str, label_key: str) -> tuple[bytes, int]:
    """The encoded picture and the class of a record as TFDS writes it."""
    from tensorflow_datasets.proto import tf_example_pb2

    feature = tf_example_pb2.Example.FromString(record).features.feature
    return feature[image_key].bytes_list.value[0], feature[label_key].int64_list.value[0]
