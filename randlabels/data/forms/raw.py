"""What every form of data set is read to: the images and labels of its splits, in memory."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from randlabels.data.errors import DataError

SPLITS = ("train", "validation", "test")


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


def check_names(source: object, data: RawData) -> None:
    """Make sure that classes can be told apart by names that a file of names holds, and are there.

    Raises:
      DataError: a name is empty, double, of several lines or with blanks around it, or a class has
        no training image.
    """
    for feature, names in data.label_names.items():
        for name in names:
            if not name or name != name.strip() or "\n" in name or "\r" in name:
                raise DataError(
                    f"{source} has a class {name!r}; give it a name of one line, without "
                    "blanks around it."
                )
            if names.count(name) > 1:
                raise DataError(f"{source} has two classes {name!r}; give each a name of its own.")
        if not names:
            continue
        counts = np.bincount(data.splits["train"].labels[feature], minlength=len(names))
        empty = [name for name, count in zip(names, counts, strict=False) if not count]
        if empty:
            raise DataError(f"{source} has no training image of the class {empty[0]!r}.")


def check_labels(source: object, feature: str, labels: np.ndarray, num_classes: int) -> None:
    """Raises DataError unless all labels are among 0 .. num_classes - 1."""
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise DataError(
            f"{source} holds the value {wrong[0]} as {feature}; the classes are "
            f"0 .. {num_classes - 1}."
        )
