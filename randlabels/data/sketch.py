"""A few numbers by which data are known again, on machines that round otherwise, too.

A digest would know nothing again of which one bit differs, as generated data may between machines.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from randlabels.data.streamed import Images, StreamedImages

_NUMBERS = 4
_WITHIN = 1e-4  # of the size that the numbers have for values in random order
_WITHIN_EXACT = 1e-8  # of labels, which nothing rounds
_AT_ONCE = 4096  # rows
_ON_DISK = 256  # images


def sketch_of_images(images: Images) -> dict[str, Any]:
    """`sketch`; of images on disk it is that of some, evenly spaced, and of their places."""
    if not isinstance(images, StreamedImages):
        return sketch(images)
    some = np.linspace(0, len(images) - 1, min(_ON_DISK, len(images))).astype(int)
    found = sketch(images[some]) | {"shape": list(images.shape)}
    return found | {"places": sketch(images.positions)["weighted"]}


def sketch(values: np.ndarray) -> dict[str, Any]:
    """Sums of all values with weights that depend on their places, and how close others must be.

    Each of the 4 sums is a^T X b of the values X [n, ...] as rows, with weights a of the rows and b
    of the places in a row, no two of which are equal: rows that change places change the sums, too.
    If one image of 50,000 differs, a sum changes by some 10^-2 of what it is in the mean, and
    rounding changes it by less than 10^-5.

    Args:
        values: numbers [n, ...]; signed integers are labels.
    """
    rows = values.reshape(len(values), math.prod(values.shape[1:]))
    of_rows, of_places = _weights(len(rows), 0), _weights(rows.shape[1], 1)
    sums, squares = np.zeros(_NUMBERS), 0.0
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE].astype(np.float64)
        sums += np.einsum("ik,ik->k", part @ of_places, of_rows[start : start + _AT_ONCE])
        squares += float(np.vdot(part, part))
    within = _WITHIN_EXACT if values.dtype.kind == "i" else _WITHIN
    return {
        "shape": list(values.shape),
        "weighted": [float(f"{value:.9g}") for value in sums],
        "within": within * float(f"{np.sqrt(squares):.9g}"),
    }


def agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two sketches are of the same values in the same order, as far as both tell.

    Those of earlier versions have other sums; only their shapes are compared.
    """
    if one["shape"] != other["shape"]:
        return False
    if "weighted" not in one or "weighted" not in other:
        return True
    if one.get("places") != other.get("places"):
        return False
    return np.allclose(one["weighted"], other["weighted"], rtol=0, atol=one["within"])


def _weights(count: int, stream: int) -> np.ndarray:
    """Weights [count, 4], uniform with mean 0 and variance 1.

    NumPy guarantees the words of Philox, so they outlive upgrades.
    """
    words = np.random.Philox(stream).random_raw(count * _NUMBERS).reshape(count, _NUMBERS)
    uniform = (words >> np.uint64(11)) * 2.0**-53
    return math.sqrt(3) * (2 * uniform - 1)
