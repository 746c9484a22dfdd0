"""Every source of images behind one function: `load(data_config) -> Dataset`."""

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from absl import logging

from randlabels.data.errors import DataError
from randlabels.data.generators import Generator, generator_named
from randlabels.data.splits import pixel_order, split_indices
from randlabels.data.streamed import Images, StreamedImages, open_set, select
from randlabels.errors import InputError, in_one_line
from randlabels.import_path import is_import_path

# Test examples have ids of their own, so that no test label repeats a training label.
FIRST_TEST_ID = 2**30

# Images that a generator makes together, and bytes that it needs for each number of an input.
CHUNK = 512
_DRAWING = 32
_INDEXED = 64  # bytes for each example whose image stays on disk: labels, ids, orders
_TRIED = 32  # examples that are drawn twice, to see whether they hang on the seed alone

# Sub-streams of the seed of a generated set.
_UPSTREAM, _DOWNSTREAM, _TEST = range(3)


@dataclass(frozen=True)
class Dataset:
    """One data set, in memory or (config.data.stream) on disk.

    Attributes:
      name: the source.
      train_images: uint8 [n, h, w, c], or float32 [n, d] for gaussian inputs.
      train_labels: real classes, int32 [n].
      test_images: like train_images.
      test_labels: int32 [m].
      class_names: one name for each real class.
      counts: of images on disk, how often their channels have each value, [c, 256]; else None.
    """

    name: str
    train_images: Images
    train_labels: np.ndarray
    test_images: Images
    test_labels: np.ndarray
    class_names: tuple[str, ...]
    counts: np.ndarray | None = None

    @property
    def num_classes(self) -> int:
        """Number of real classes."""
        return len(self.class_names)

    @functools.cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """`channel_statistics` of the training images."""
        if isinstance(self.train_images, StreamedImages):
            assert self.counts is not None
            return _moments(self.counts)
        return channel_statistics(self.train_images)

    @property
    def train_ids(self) -> np.ndarray:
        """Position of each training example in the source's training set, int64 [n]."""
        return np.arange(len(self.train_images))

    @property
    def test_ids(self) -> np.ndarray:
        """FIRST_TEST_ID + position in the source's test set, int64 [m]."""
        return FIRST_TEST_ID + np.arange(len(self.test_images))


@dataclass(frozen=True)
class Extent:
    """How large a data set is, before it is loaded.

    Attributes:
      shape: of one input, (h, w, c) or (d,).
      dtype: of the inputs, uint8 or float32.
      upstream: examples of that task.
      downstream: likewise.
      test: likewise.
      loading: bytes that loading it holds at once.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    upstream: int
    downstream: int
    test: int
    loading: int

    @property
    def example_bytes(self) -> int:
        """Bytes of one input."""
        return math.prod(self.shape) * self.dtype.itemsize

    def task(self, name: str) -> int:
        """Examples of the task "upstream" or "downstream"."""
        return self.upstream if name == "upstream" else self.downstream


def measure(data_config: Any) -> Extent:
    """The extent of the data set that `load` would load; nothing large is allocated.

    Raises:
      DataError: as `load`, as far as that shows without reading the examples.
    """
    up, down, test = (
        getattr(data_config, f"{part}_size") for part in ("upstream", "downstream", "test")
    )
    generator = generator_named(data_config.name)
    if generator is None:
        return _measure_stored(data_config, up, down, test)
    # Of the user's own some, since labels of one example could be equal by chance.
    tried = min(_TRIED, max(up, 1)) if is_import_path(data_config.name) else 1
    (inputs, labels), again = (_draw(data_config, generator, tried, _UPSTREAM) for _ in range(2))
    for what, one, other in (("inputs", inputs, again[0]), ("labels", labels, again[1])):
        if not np.array_equal(one, other):
            raise DataError(f"{data_config.name} draws other {what} at each call; use its seed.")
    shape, dtype = inputs.shape[1:], inputs.dtype
    size = math.prod(shape)
    drawn = max(up, down, test) if generator.vectors else CHUNK
    kept = size * dtype.itemsize * (2 * (up + down) + test)
    return Extent(shape, dtype, up, down, test, kept + _DRAWING * size * drawn)


def _measure_stored(data_config: Any, up: int, down: int, test: int) -> Extent:
    from randlabels.data import stored

    (height, width, channels), train, available = stored.measure(
        data_config.name, data_config.data_dir, data_config.short_side, data_config.image_size
    )
    native = height * width * channels
    size = data_config.image_size or width
    shape = (max(height * size // width, 1), size, channels)
    if data_config.stream:
        loading = _INDEXED * (train + available)
        return Extent(shape, np.dtype(np.uint8), up, down, test or available, loading)
    # The sums of the boxes are four times as large as what they become, and twice at once.
    reduced = 0 if size == width else 9 * math.prod(shape) * train
    loading = native * (train + available) + reduced + native * (up + down)
    return Extent(shape, np.dtype(np.uint8), up, down, test or available, loading)


def channel_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, float32 [c] each, for standardising.

    For uint8 images the scale is 0 .. 1 and the result is exact (up to the last rounding): the
    moments come from integer histograms; the deviation divides by n, not n - 1. Gaussian inputs,
    float [n, d], are used as they are: mean 0 and deviation 1 for each of the d coordinates.

    Raises:
      DataError: a channel has the same value everywhere, so nothing can be divided by.
    """
    if images.ndim == 2:
        width = images.shape[1]
        return np.zeros(width, np.float32), np.ones(width, np.float32)
    counts = np.zeros((images.shape[-1], 256), np.int64)
    for start in range(0, len(images), 4096):  # bincount makes an int64 copy of what it counts
        for channel, row in enumerate(counts):
            row += np.bincount(images[start : start + 4096, ..., channel].ravel(), minlength=256)
    return _moments(counts)


def _moments(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`channel_statistics` of images whose channels have the values 0 to 255 so often, [c, 256]."""
    values = np.arange(256) / 255
    weights = counts / counts.sum(axis=1, keepdims=True)
    mean = weights @ values
    std = np.sqrt(np.sum(weights * (values - mean[:, None]) ** 2, axis=1))
    if not np.all(std > 0):
        raise DataError("a channel of the training images is constant, so it cannot be scaled.")
    return mean.astype(np.float32), std.astype(np.float32)


def load(data_config: Any) -> Dataset:
    """Loads or generates the data set that `data_config` describes.

    Generated sets hold exactly upstream_size + downstream_size training examples. Those at the
    positions that `split_indices` with the same seed and sizes calls upstream come from a random
    stream of their own, so that changing downstream_size never moves an image between the tasks.

    Args:
      data_config: has the attributes name (of a generator or of a TFDS image
        classification set), data_dir ("" is TFDS's default), seed, upstream_size,
        downstream_size, test_size (stored sets: 0 is all), image_size (generated images: the width;
        stored sets: 0 is native, otherwise the width to box-average down to), diagonal and
        diagonal_holds (gaussian), shuffle_pixels (one permutation for all images and channels).

    Raises:
      DataError: a field is out of range, or the data set is missing, damaged or too small.
    """
    generator = generator_named(data_config.name)
    dataset = _generate(data_config, generator) if generator else _load_stored(data_config)
    return _shuffled(dataset, data_config.seed) if data_config.shuffle_pixels else dataset


def _shuffled(dataset: Dataset, seed: int) -> Dataset:
    """The data set with the pixels of every image in one other order."""

    def shuffle(images: Images) -> np.ndarray:
        assert isinstance(images, np.ndarray)  # see `generators.check_data`
        num, height, width, channels = images.shape
        order = pixel_order(seed, height * width)
        return images.reshape(num, -1, channels)[:, order].reshape(images.shape)

    return dataclasses.replace(
        dataset,
        train_images=shuffle(dataset.train_images),
        test_images=shuffle(dataset.test_images),
    )


def _generate(data_config: Any, generator: Generator) -> Dataset:
    up, down, test = _draw_parts(data_config, generator)
    total = len(up[0]) + len(down[0])
    index = split_indices(data_config.seed, total, len(up[0]), len(down[0]))
    train = []
    for upstream, downstream in zip(up, down, strict=True):
        rows = np.empty((total, *upstream.shape[1:]), upstream.dtype)
        rows[index["upstream"]], rows[index["downstream"]] = upstream, downstream
        train.append(rows)
    return Dataset(data_config.name, train[0], train[1], *test, generator.class_names)


def _draw_parts(data_config: Any, generator: Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Inputs and labels of the upstream, downstream and test examples of a generated set."""
    up, _, test = sizes = [
        getattr(data_config, f"{part}_size") for part in ("upstream", "downstream", "test")
    ]
    if generator.at_once:
        inputs, labels = _draw(data_config, generator, sum(sizes), _UPSTREAM)
        places = (slice(up), slice(up + test, None), slice(up, up + test))
        return [(inputs[place], labels[place]) for place in places]
    parts = [
        _draw(data_config, generator, size, stream)
        for size, stream in zip(sizes, (_UPSTREAM, _DOWNSTREAM, _TEST), strict=True)
    ]
    shapes = {inputs.shape[1:] for inputs, _ in parts}
    if len(shapes) > 1:
        raise DataError(f"{data_config.name} draws inputs of several shapes: {sorted(shapes)}.")
    if is_import_path(data_config.name):
        _warn_of_repeats(data_config.name, [inputs for inputs, _ in parts])
    return parts


def _warn_of_repeats(name: str, parts: list[np.ndarray]) -> None:
    """Say so if inputs of the upstream part are among those of the downstream part or the test."""
    upstream, *others = ({hash(x.tobytes()) for x in inputs} for inputs in parts)
    repeated = len(upstream & set().union(*others))
    if repeated:
        logging.warning(
            "%s draws %d of %d upstream inputs for the downstream task or the test again; if they "
            "are of a collection, let it be asked once for all, by Generator(..., at_once=True).",
            name,
            repeated,
            len(upstream),
        )


def _draw(
    data_config: Any, generator: Generator, size: int, stream: int
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and labels of one independent part of a generated set."""
    if size < 0 or data_config.seed < 0:
        raise DataError("the seed and sizes of a data set must not be negative.")
    sequence = np.random.SeedSequence(data_config.seed, spawn_key=(stream,))
    seed = int(sequence.generate_state(1, np.uint64)[0])
    values = [getattr(data_config, field) for field in generator.reads]
    count = max(size, 1)  # the shape of nothing is that of something
    try:
        inputs, labels = map(np.asarray, generator.draw(seed, count, *values))
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # whatever the user's function raises
        raise DataError(
            f"{data_config.name} fails where {count} examples are asked for: {in_one_line(error)}"
        ) from error
    _check_drawn(data_config.name, generator, inputs, labels, count)
    return inputs[:size], labels[:size]


def _check_drawn(
    name: str, generator: Generator, inputs: np.ndarray, labels: np.ndarray, count: int
) -> None:
    """Whether what a generator drew is what it shall draw."""
    wanted = (np.float32, 2) if generator.vectors else (np.uint8, 4)
    kinds = (inputs.dtype, inputs.ndim, labels.dtype, labels.ndim)
    sizes_fit = len(inputs) == len(labels) == count and 0 not in inputs.shape
    if kinds != (*wanted, np.int32, 1) or not sizes_fit:
        raise DataError(
            f"{name} draws {inputs.dtype} {inputs.shape} and labels {labels.dtype} "
            f"{labels.shape} where {count} examples are asked for (config.data.upstream_size, "
            f"downstream_size and test_size say how many); it shall draw images uint8 "
            f"[n, h, w, c], or vectors float32 [n, d], and labels int32 [n]."
        )
    if labels.min() < 0 or labels.max() >= len(generator.class_names):
        raise DataError(
            f"{name} draws labels from {labels.min()} to {labels.max()}; with its "
            f"{len(generator.class_names)} class_names they shall be 0 to "
            f"{len(generator.class_names) - 1}."
        )
    if generator.vectors and not np.isfinite(inputs).all():
        raise DataError(f"{name} draws numbers that are not finite.")


def _load_stored(data_config: Any) -> Dataset:
    from randlabels.data import stored  # importing it is cheap, reading with it is not

    where = (data_config.name, data_config.data_dir)
    side, size = data_config.short_side, data_config.image_size
    boxes = 0 if side else size
    if data_config.stream:
        found = open_set(*where, side, size)
        test_size = _checked_test_size(data_config, len(found.train_labels), len(found.test_labels))
        return Dataset(
            data_config.name,
            found.train_images,
            found.train_labels,
            select(found.test_images, np.arange(test_size)),
            found.test_labels[:test_size],
            found.class_names,
            found.counts,
        )
    data = stored.read(*where, side, size)
    test_size = _checked_test_size(data_config, len(data["train_images"]), len(data["test_images"]))
    return Dataset(
        data_config.name,
        box_average(data["train_images"], boxes),
        data["train_labels"],
        box_average(data["test_images"][:test_size], boxes),
        data["test_labels"][:test_size],
        tuple(str(name) for name in data["class_names"]),
    )


def _checked_test_size(data_config: Any, train: int, available: int) -> int:
    """How many test images are taken.

    Raises:
      DataError: there are not so many images.
    """
    needed = data_config.upstream_size + data_config.downstream_size
    if needed > train:
        raise DataError(
            f"upstream_size {data_config.upstream_size} + downstream_size "
            f"{data_config.downstream_size} must not exceed the {train} "
            f"training images of {data_config.name} together; make them smaller."
        )
    if not 0 <= data_config.test_size <= available:
        raise DataError(
            f"test_size {data_config.test_size} must lie in 0 .. {available}, the number of test "
            f"images of {data_config.name} (0 takes them all)."
        )
    return data_config.test_size or available


def box_average(images: np.ndarray, size: int) -> np.ndarray:
    """Averages k x k boxes so that images uint8 [n, h, w, c] become [n, h/k, size, c], k = w/size.

    size 0 leaves the images as they are. Averages are rounded half up, in integers.

    Raises:
      DataError: size does not divide both height and width by one integer.
    """
    num, height, width, channels = images.shape
    if size in (0, width):
        return images
    factor = width // size if size > 0 else 0
    if factor == 0 or width % size or height % factor:
        raise DataError(
            f"image_size {size} does not divide the native {height} x {width} pixels; "
            "choose a divisor, or 0 for the native size."
        )
    boxes = images.reshape(num, height // factor, factor, size, factor, channels)
    total = boxes.sum(axis=(2, 4), dtype=np.uint32)
    area = factor * factor
    return ((2 * total + area) // (2 * area)).astype(np.uint8)
