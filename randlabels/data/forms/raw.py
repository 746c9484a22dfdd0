"""What every form of data set is read to: the images and labels of its splits, in memory."""

import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from randlabels.data.errors import DataError
from randlabels.errors import shown

SPLITS = ("train", "validation", "test")
MOST_CLASSES = 100_000  # ImageNet's full set has 21,841
_JOINERS = "\u200c\u200d"  # of letters in Persian and of parts of emoji


@dataclass(frozen=True)
class Wishes:
    """What images shall become.

    Attributes:
      size: of both sides after the centre square is cut out; 0 leaves images as they are.
      channels: 1 (grey) or 3 (red, green, blue); 0 leaves them as they are.
      largest_unusable: share of the images that may be left out because they cannot be read.
      label: the column that holds classes, where a form has columns; "" if there is only one.
    """

    size: int = 0
    channels: int = 0
    largest_unusable: float = 0.0
    label: str = ""


@dataclass(frozen=True)
class Examples:
    """One split.

    Attributes:
      images: uint8 [n, h, w, c].
      labels: feature name -> int64 [n].
      ids: what each is called in the source; () numbers them.
    """

    images: np.ndarray
    labels: Mapping[str, np.ndarray]
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class RawData:
    """A data set.

    Attributes:
      splits: "train", and "validation" or "test" where there are such, in the source's order.
      label_names: feature name -> the names of its classes in order; {} where numbers are names.
      notes: what was left out or changed, a clause each.
    """

    splits: Mapping[str, Examples]
    label_names: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """(h, w, c) of every image."""
        shape: tuple[int, ...] = self.splits["train"].images.shape[1:]
        return shape

    @property
    def counts(self) -> dict[str, int]:
        """The number of images of each split."""
        return {name: len(part.images) for name, part in self.splits.items()}


def is_text(name: str) -> bool:
    """Whether a name can be printed: UTF-8 in one line, which steers no terminal and hides nothing.

    Python counts blanks other than the usual one as not printable; they are, in names.
    """
    return all(c.isprintable() or unicodedata.category(c) == "Zs" or c in _JOINERS for c in name)


def check_number(source: object, count: int) -> None:
    """Raises DataError if there are more classes than any set of images has."""
    if count > MOST_CLASSES:
        raise DataError(
            f"{source} has {count} classes, and at most {MOST_CLASSES} are taken; are these ids of "
            "the images? Give their classes."
        )


def check_names(source: object, data: RawData) -> None:
    """Make sure that classes can be told apart by names that a file of names holds, and are there.

    Raises:
      DataError: a name is empty, double, not printable or with blanks around it, a class has no
        training image, or there are too many.
    """
    for feature, names in data.label_names.items():
        check_number(source, len(names))
        for name, count in Counter(names).items():
            if not name or name != name.strip() or not is_text(name):
                raise DataError(
                    f"{source} has a class {shown(name)}; give it a name of one line that can be "
                    "printed, without blanks around it."
                )
            if count > 1:
                raise DataError(
                    f"{source} has two classes {shown(name)}; give each a name of its own."
                )
        if not names:
            continue
        counts = np.bincount(data.splits["train"].labels[feature], minlength=len(names))
        empty = [name for name, count in zip(names, counts, strict=False) if not count]
        if empty:
            raise DataError(f"{source} has no training image of the class {shown(empty[0])}.")


def check_labels(source: object, feature: str, labels: np.ndarray, num_classes: int) -> None:
    """Raises DataError unless all labels are among 0 .. num_classes - 1."""
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise DataError(
            f"{source} holds the value {wrong[0]} as {feature}; the classes are "
            f"0 .. {num_classes - 1}."
        )
