"""Images that stay on disk, and are decoded when they are asked for.

Before a data set is streamed for the first time, all of its records are read once: their labels are
wanted by position, the moments of the channels are those of the whole training set, and a record
that is damaged is found before training starts. What was found is kept beside the data.
"""

import concurrent.futures
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from randlabels import progress
from randlabels.data import decoding
from randlabels.data.ahead import ahead, workers
from randlabels.data.cache import preparation_key, read_cache, write_cache
from randlabels.data.framing import Framing
from randlabels.data.manifest import check_records
from randlabels.data.stored import open_builder

_AT_ONCE = 256  # records of one item of the first pass
_FEW = 20_000  # pictures that threads decode before a worker process has started
_NAMES = ("class_names", "train_labels", "test_labels", "counts")


def processes_for(pictures: int) -> int:
    """Worker processes that decoding so many pictures is worth."""
    return workers() if pictures > _FEW else 0


@dataclasses.dataclass(frozen=True)
class Records:
    """One split as it is stored.

    Attributes:
      files: its shards, in their order.
      split: its name, for sentences.
      keys: of the image and the label.
      framing: by which pictures become arrays.
      size: pixels of the width that boxes are averaged down to; 0 does nothing.
      command: that prepares the data set again, for sentences.
    """

    files: tuple[str, ...]
    split: str
    keys: tuple[str, str]
    framing: Framing
    size: int
    command: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image."""
        height, width, channels = self.framing.shape
        size = self.size or width
        return height * size // width, size, channels

    def read(
        self, positions: np.ndarray, seeds: Sequence[tuple[int, ...]] = ()
    ) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 [n, h, w, c] at positions [n], and their labels int32 [n].

        Args:
          positions: of the records.
          seeds: of each picture, if they are to be cut out at random.

        Raises:
          DataError: a file is gone, or a record damaged.
        """
        from randlabels.data.sources import box_average

        images = np.empty((len(positions), *self.framing.shape), np.uint8)
        labels = np.empty(len(positions), np.int32)
        try:
            found = _open(self.files).__getitems__([int(p) for p in positions])
            for row, record in enumerate(found):
                encoded, labels[row] = decoding.parsed(record, *self.keys)
                images[row] = self.framing.image(encoded, seeds[row] if seeds else ())
        except MemoryError:
            raise
        except Exception as error:  # of array_record, protobuf or Pillow
            folder = str(Path(self.files[0]).parent)
            raise decoding.damaged(folder, self.split, self.command, error) from error
        return box_average(images, self.size), labels


@functools.lru_cache(maxsize=4)
def _open(files: tuple[str, ...]) -> Any:
    """The records of some files, opened once in each process."""
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    return ArrayRecordDataSource(list(files))


@dataclasses.dataclass(frozen=True, eq=False)
class StreamedImages:
    """Some images of a split; where few are asked for, used like an array uint8 [n, h, w, c].

    Attributes:
      records: of the split.
      positions: of the images among the records, int64 [n].
    """

    records: Records
    positions: np.ndarray

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(n, h, w, c)."""
        return len(self.positions), *self.records.shape

    def __getitem__(self, which: slice | np.ndarray) -> np.ndarray:
        """The images at some positions, decoded now by threads of this process."""
        positions = self.positions[which]
        parts = np.array_split(positions, max(1, len(positions) // 16))
        with concurrent.futures.ThreadPoolExecutor(workers() + 1) as pool:
            images = [found for found, _ in pool.map(self.records.read, parts)]
        return np.concatenate(images)

    def select(self, which: np.ndarray) -> "StreamedImages":
        """Some of the images, still on disk."""
        return dataclasses.replace(self, positions=self.positions[which])

    def in_batches(self, size: int) -> Iterator[np.ndarray]:
        """All images in order, `size` at once, decoded ahead."""
        count = -(-len(self) // size)
        batch = functools.partial(_read_batch, self, size)
        with ahead(batch, count, processes=processes_for(len(self))) as batches:
            yield from batches


def _read_batch(images: StreamedImages, size: int, number: int) -> np.ndarray:
    return images.records.read(images.positions[number * size : (number + 1) * size])[0]


Images = np.ndarray | StreamedImages


@overload
def select(images: np.ndarray, which: np.ndarray) -> np.ndarray: ...
@overload
def select(images: StreamedImages, which: np.ndarray) -> StreamedImages: ...
def select(images: Images, which: np.ndarray) -> Images:
    """Some of the images; of those on disk none is read."""
    return images.select(which) if isinstance(images, StreamedImages) else images[which]


def in_batches(images: Images, size: int) -> Iterator[np.ndarray]:
    """All images in order, `size` at once."""
    if isinstance(images, StreamedImages):
        yield from images.in_batches(size)
        return
    for start in range(0, len(images), size):
        yield images[start : start + size]


@dataclasses.dataclass(frozen=True)
class StreamedSet:
    """A prepared data set whose images stay on disk.

    Attributes:
      train_images: uint8 [n, h, w, c].
      train_labels: int32 [n].
      test_images: as of the training set.
      test_labels: int32 [m].
      class_names: of the labels.
      counts: how often each value occurs in each channel of the training set, int64 [c, 256].
    """

    train_images: StreamedImages
    train_labels: np.ndarray
    test_images: StreamedImages
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    counts: np.ndarray


def open_set(name: str, data_dir: str, short_side: int, size: int) -> StreamedSet:
    """Opens a prepared data set; reads all of it once, if that was not done before.

    Args:
      name: of the data set.
      data_dir: "" is TFDS's default.
      short_side: see `Framing`.
      size: of the images, config.data.image_size.

    Raises:
      DataError: as `stored.read`.
    """
    builder, command = open_builder(name, data_dir)
    keys, tested = decoding.supervised_keys(builder), decoding.test_split(builder)
    framing = decoding.framing_of(builder, short_side, size)
    boxes = 0 if short_side else size

    def records(split: str) -> Records:
        files = tuple(str(path) for path in builder.info.splits[split].filepaths)
        return Records(files, split, keys, framing, boxes, command)

    train = records("train")
    held = decoding.held_out(builder.info.splits["train"].num_examples)
    chosen = (
        (np.arange(len(held)), np.arange(builder.info.splits[tested].num_examples))
        if tested
        else (np.flatnonzero(~held), np.flatnonzero(held))
    )
    sets = (
        StreamedImages(train, chosen[0]),
        StreamedImages(records(tested) if tested else train, chosen[1]),
    )
    index = _index(builder, sets, train.shape)
    names = tuple(str(name) for name in index["class_names"])
    return StreamedSet(
        sets[0], index["train_labels"], sets[1], index["test_labels"], names, index["counts"]
    )


def _index(
    builder: Any, sets: tuple[StreamedImages, StreamedImages], shape: tuple[int, ...]
) -> dict[str, np.ndarray]:
    """Labels of all records and counts of the values of the training images, [c, 256]."""
    framing = sets[0].records.framing
    of = f"{builder.version}{framing.suffix or f'-{shape[1]}'}"
    path = Path(builder.data_path).parent / f"streamed-{of}.npz"
    key = preparation_key(Path(builder.data_path))
    index = read_cache(path, key, _NAMES)
    if index is None:
        check_records(Path(builder.data_path), sets[0].records.command)
        train_labels, counts = _read_all(builder.name, "train", sets[0])
        test_labels, _ = _read_all(builder.name, "test", sets[1])
        names = np.array(builder.info.features[sets[0].records.keys[1]].names)
        index = dict(zip(_NAMES, (names, train_labels, test_labels, counts), strict=True))
        write_cache(path, key, index)
        decoding.warn_of_test(builder)
    return index


def _read_all(name: str, said: str, images: StreamedImages) -> tuple[np.ndarray, np.ndarray]:
    """Labels int32 [n] and counts of values int64 [c, 256] of all images."""
    labels, counts = [], np.zeros((images.shape[-1], 256), np.int64)
    parts = -(-len(images) // _AT_ONCE)
    bar = progress.bar(total=len(images), desc=f"reading {name} {said} once", disable=None)
    item = functools.partial(_labels_and_counts, images)
    with ahead(item, parts, processes=processes_for(len(images))) as found, bar:
        for part, of_part in found:
            labels.append(part)
            counts += of_part
            bar.update(len(part))
    return np.concatenate(labels), counts


def _labels_and_counts(images: StreamedImages, number: int) -> tuple[np.ndarray, np.ndarray]:
    positions = images.positions[number * _AT_ONCE : (number + 1) * _AT_ONCE]
    pixels, labels = images.records.read(positions)
    channels = pixels.reshape(-1, pixels.shape[-1]).T
    return labels, np.stack([np.bincount(channel, minlength=256) for channel in channels])
