"""Gaussian inputs x ~ N(0, diag), the setting of Proposition 1 of arXiv:2006.10455."""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from randlabels.data.errors import DataError

NUM_CLASSES = 10
DIAGONAL_HOLDS = ("variances", "standard_deviations")


def gaussian(
    seed: int, num_examples: int, diagonal: Sequence[float], diagonal_holds: str
) -> tuple[np.ndarray, np.ndarray]:
    """Independent Gaussian coordinates: x float32 [n, d] and real labels int32 [n].

    The real label is the decile (0 .. 9, equally probable) of the first coordinate. Example i
    does not depend on `num_examples`.

    Args:
      seed: not negative.
      num_examples: n.
      diagonal: d positive numbers.
      diagonal_holds: whether `diagonal` holds "variances" or "standard_deviations" (the paper
        leaves it open).

    Raises:
      DataError: an argument is out of range.
    """
    if diagonal_holds not in DIAGONAL_HOLDS:
        raise DataError(
            f"diagonal_holds is {diagonal_holds!r}; choose one of {', '.join(DIAGONAL_HOLDS)}."
        )
    scales = np.asarray(diagonal, np.float64)
    if scales.ndim != 1 or scales.size == 0 or not np.all(np.isfinite(scales) & (scales > 0)):
        raise DataError(f"diagonal must be a tuple of positive numbers, got {diagonal!r}.")
    if diagonal_holds == "variances":
        scales = np.sqrt(scales)
    normals = np.random.default_rng(seed).standard_normal((num_examples, scales.size))
    # ndtr can round to exactly 1 far in the tail, which would be an eleventh class.
    labels = np.minimum((ndtr(normals[:, 0]) * NUM_CLASSES).astype(np.int32), NUM_CLASSES - 1)
    return (normals * scales).astype(np.float32), labels
