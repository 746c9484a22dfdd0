"""The data sets that are drawn, by name; others by the import path of a `Generator`."""

import dataclasses
from collections.abc import Callable

import numpy as np

from randlabels.config_rules import Fields, Reader
from randlabels.data import dead_leaves, gaussian, pink_noise
from randlabels.errors import InputError
from randlabels.import_path import is_import_path, load


@dataclasses.dataclass(frozen=True)
class Generator:
    """A data set that is drawn from a seed.

    Attributes:
        draw: from (seed, number of examples n > 0, *the values of `reads`) to inputs, uint8
            [n, h, w, c] or float32 [n, d], and real classes, int32 [n]. The same for the same
            arguments.
        class_names: one for each real class.
        reads: the fields of config.data that `draw` takes, in its order.
        vectors: whether inputs are [n, d] and no images.
        at_once: whether all parts of a set (upstream, test, downstream) are drawn by one call and
            in this order, as a finite collection needs that shall give no example twice; else each
            is drawn with a seed of its own.
    """

    draw: Callable[..., tuple[np.ndarray, np.ndarray]]
    class_names: tuple[str, ...]
    reads: tuple[str, ...] = ()
    vectors: bool = False
    at_once: bool = False


GENERATORS = {
    "dead_leaves": Generator(dead_leaves.dead_leaves, dead_leaves.CLASS_NAMES, ("image_size",)),
    "pink_noise": Generator(pink_noise.pink_noise, pink_noise.CLASS_NAMES, ("image_size",)),
    "gaussian": Generator(
        gaussian.gaussian,
        gaussian.CLASS_NAMES,
        ("diagonal", "diagonal_holds", "rotation_seed", "label_axes"),
        vectors=True,
    ),
}


def generator_named(name: str) -> Generator | None:
    """The generator of a data set, by its name or import path; None for a stored data set.

    Raises:
        InputError: if an import path leads to no generator.
    """
    if not is_import_path(name):
        return GENERATORS.get(name)
    generator = load("data.name", name)
    if not isinstance(generator, Generator):
        raise InputError(
            f"config.data.name is {name!r}, which is no Generator of randlabels.data.generators."
        )
    names = generator.class_names
    if not isinstance(names, tuple) or not names or not all(isinstance(n, str) for n in names):
        raise InputError(f"config.data.name is {name!r}, whose class_names are no tuple of texts.")
    reads = generator.reads
    if not isinstance(reads, tuple) or not all(isinstance(field, str) for field in reads):
        raise InputError(f"config.data.name is {name!r}, whose reads is no tuple of field names.")
    return generator


def check_data(fields: Fields) -> dict[str, Reader]:
    """The rule of config.data: which fields the chosen data set reads.

    Raises:
        InputError: if there is no such generator, or fields do not fit to what it draws.
    """
    data, generator = fields["data.name"], generator_named(fields["data.name"])
    if generator:
        unknown = [name for name in generator.reads if f"data.{name}" not in fields]
        if unknown:
            raise InputError(
                f"config.data.name is {data!r}, which reads config.data.{unknown[0]}, a field that "
                f"no config has."
            )
        if fields["data.test_size"] < 1:
            raise InputError("config.data.test_size must be at least 1 for generated data.")
        if fields["data.augment"] == "resized_crop_flip":
            raise InputError(
                f"config.data.augment 'resized_crop_flip' needs stored pictures, and {data} is "
                "drawn; take 'crop_flip'."
            )
        if generator.vectors and fields["data.augment"] != "none":
            raise InputError(f"config.data.augment needs images, and {data} inputs are not images.")
    else:
        _check_stored(fields)
    some = dict.fromkeys(name for known in (None, *GENERATORS.values()) for name in _reads(known))
    read = _reads(generator)
    return {f"data.{name}": Reader(f"data set {data}", name in read) for name in some}


def _check_stored(fields: Fields) -> None:
    """How pictures become images of one size, and what those on disk cannot have."""
    side, size = fields["data.short_side"], fields["data.image_size"]
    if side and size > side:
        raise InputError(
            f"config.data.image_size is {size}, more than the {side} pixels of "
            "config.data.short_side; the square is cut from an image of that short side."
        )
    if fields["data.augment"] == "resized_crop_flip" and not (fields["data.stream"] and side):
        raise InputError(
            "config.data.augment 'resized_crop_flip' cuts pictures out as they are stored; set "
            "config.data.stream to True and config.data.short_side, or take 'crop_flip'."
        )
    if not fields["data.stream"]:
        return
    if fields["data.shuffle_pixels"]:
        raise InputError(
            "config.data.shuffle_pixels shuffles images in memory; leave it out, or set "
            "config.data.stream to False."
        )
    if not fields["population.shared_batches"]:
        raise InputError(
            "config.data.stream reads one batch for all networks; set "
            "config.population.shared_batches to True."
        )


def _reads(generator: Generator | None) -> tuple[str, ...]:
    """The fields of config.data that a data set reads and some other does not; None: stored."""
    if generator is None:
        return ("data_dir", "image_size", "short_side", "shuffle_pixels", "stream")
    return generator.reads if generator.vectors else (*generator.reads, "shuffle_pixels")
