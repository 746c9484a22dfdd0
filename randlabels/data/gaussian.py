"""Gaussian inputs, diagonal or rotated: the setting of Proposition 1 of arXiv:2006.10455."""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr
from scipy.stats import ortho_group

from randlabels.data.errors import DataError

NUM_CLASSES = 10
CLASS_NAMES = tuple(f"decile {i}" for i in range(NUM_CLASSES))
DIAGONAL_HOLDS = ("variances", "standard_deviations")


def gaussian(
    seed: int,
    num_examples: int,
    diagonal: Sequence[float],
    diagonal_holds: str,
    rotation_seed: int = -1,
    label_axes: str = "first",
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian inputs x = Q diag z float32 [n, d], z standard normal, and real labels int32 [n].

    The real label is the decile (0 .. 9, equally probable) of z along one direction. Example i
    does not depend on `num_examples`.

    Args:
      seed: not negative.
      num_examples: n.
      diagonal: d positive numbers.
      diagonal_holds: whether `diagonal` holds "variances" or "standard_deviations" (the paper
        leaves it open).
      rotation_seed: of the rotation Q (uniform over all orthogonal matrices); -1 is no rotation.
      label_axes: "first": labels depend on the first coordinate of z, so along an eigenvector of
        the inputs' covariance; "first_and_last": on the sum of two, so not along one.

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
    along = normals[:, 0]
    if label_axes == "first_and_last":
        along = (along + normals[:, -1]) / np.sqrt(2)
    labels = np.minimum((ndtr(along) * NUM_CLASSES).astype(np.int32), NUM_CLASSES - 1)
    inputs = normals * scales
    if rotation_seed >= 0:
        inputs = inputs @ ortho_group.rvs(scales.size, random_state=rotation_seed).T
    return inputs.astype(np.float32), labels
