"""A few numbers by which data are known again, on machines that round otherwise, too."""

from collections.abc import Mapping
from typing import Any

import numpy as np

_CHUNKS = 16
_WITHIN = 1e-5  # of the means' size: what rounding changes is less, one other image more


def sketch(values: np.ndarray) -> dict[str, Any]:
    """The mean of each of at most 16 chunks along the first axis, and how close others must be.

    Args:
        values: numbers [n, ...].
    """
    chunks = np.array_split(values, min(_CHUNKS, len(values))) if len(values) else []
    means = [float(f"{np.mean(chunk, dtype=np.float64):.8g}") for chunk in chunks]
    size = sum(map(abs, means)) / max(len(means), 1)
    return {"count": len(values), "means": means, "within": _WITHIN * size}


def agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two sketches are of the same values in the same order."""
    return one["count"] == other["count"] and np.allclose(
        one["means"], other["means"], rtol=0, atol=one["within"]
    )
