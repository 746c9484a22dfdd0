"""The bases that the data's eigenvectors have to beat, for the first layer of a run.

* a DCT times opponent colours, and the eigenvectors of another data set: bases of image patches
  that know nothing of these images;
* the data's own eigenvectors, flattened in a wrong order: the usual mistake.

For inputs that are no images there is the DCT along their only axis alone. Random bases, which are
compared everywhere else, too, are not listed here.
"""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from randlabels.analysis.input_bases import InputBasis
from randlabels.analysis.layers import LayerInputs
from randlabels.data.generators import GENERATORS
from randlabels.data.sources import channel_statistics
from randlabels.eigen.alignment import misalignment
from randlabels.eigen.controls import dct_opponent_basis, permuted_flattenings
from randlabels.eigen.spectra import descending_eigh

# The other data set, which is drawn and so always at hand: dead leaves, or for them pink noise.
OTHER, OTHER_OF_OTHER = "dead_leaves", "pink_noise"
OTHER_SEED, OTHER_IMAGES = 7, 2048

DCT = "DCT x opponent colours"
DCT_OF_VECTORS = "DCT"

# M of a basis and Sigma_x, for each dimension, below which the basis is the data's own but for
# noise. It is the mean of sqrt(v^T Sigma_x v v^T Sigma_x^-1 v) - 1, 0 for eigenvectors. Measured:
# .0003 to .001 for eigenvectors of another half of the images, 3 x 3 (5 x 5: .0005 to .004); .009
# (.013) for CIFAR-10 transposed, .001 for colours of dead leaves, all alike; and .05 to 12
# for orders that are really wrong.
SYMMETRY = 0.03


@dataclasses.dataclass(frozen=True, eq=False)
class Controls:
    """Control bases by name.

    Attributes:
        bases: orthonormal, [d, d], vectors as columns.
        of_inputs: misalignment of each basis and Sigma_x itself, which says how wrong it is; NaN
            where Sigma_x is singular.
        symmetries: names of wrong flattenings that are not wrong for these inputs (below SYMMETRY
            for each dimension): with transposed patches as likely as they are, the transposed
            eigenvectors are eigenvectors, too. They are measured but not counted as controls. The
            weights have no part in this.
    """

    bases: Mapping[str, np.ndarray]
    of_inputs: Mapping[str, float]
    symmetries: tuple[str, ...]


def control_bases(
    basis: InputBasis, patch_shape: tuple[int, ...], others: Mapping[str, np.ndarray]
) -> Controls:
    """The controls of an eigenbasis.

    Args:
        basis: of the inputs.
        patch_shape: (rows, columns, channels), or (d,) for inputs that are no images.
        others: eigenvectors of other data sets by name, from `other_eigenvectors`.
    """
    name = DCT if len(patch_shape) == 3 else DCT_OF_VECTORS
    wrong = permuted_flattenings(basis.vectors, patch_shape)
    bases = {name: dct_opponent_basis(patch_shape), **others, **wrong}
    try:
        covariance = basis.vectors * basis.values @ basis.vectors.T
        of_inputs = dict(zip(bases, misalignment(_stack(bases), covariance), strict=True))
    except ValueError:  # inputs without variance in some direction
        of_inputs = dict.fromkeys(bases, np.nan)
    limit = SYMMETRY * len(basis.values)
    symmetries = tuple(name for name in wrong if of_inputs[name] < limit)
    return Controls(bases, {name: float(value) for name, value in of_inputs.items()}, symmetries)


def _stack(bases: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.stack(list(bases.values()))


def patch_shape(task: LayerInputs) -> tuple[int, ...]:
    """Rows, columns and channels of what a filter of the first layer sees; (d,) of no image."""
    first, image = task.layers[0], task.images.shape[1:]
    if len(first.kernel_shape) == 4:
        return first.kernel_shape[:-1]
    whole = len(image) == 3 and math.prod(image) == first.dim
    return tuple(image) if whole else (first.dim,)


def other_eigenvectors(task: LayerInputs, source: str) -> dict[str, np.ndarray]:
    """{"eigenvectors of dead leaves": [d, d]}, or of pink noise for a run on dead leaves.

    They are those of the patches of 2,048 drawn images of the size of the run's, standardised
    likewise and seen through the same kernel, stride and padding. Images of one channel are grey.
    Empty for inputs that are no images, or have other numbers of channels.

    Args:
        task: what the run's first layer receives.
        source: name of the run's data set.
    """
    shape = task.images.shape[1:]
    if len(shape) != 3 or shape[-1] not in (1, 3):
        return {}
    name, images = drawn_images(shape, source)
    inputs = LayerInputs(task.model, images, *channel_statistics(images))
    return {name: descending_eigh(inputs.of_data.covariance)[1]}


def drawn_images(shape: tuple[int, ...], source: str) -> tuple[str, np.ndarray]:
    """The other data set: what its eigenvectors are called, and 2,048 images uint8 [n, *shape].

    Args:
        shape: (rows, columns, channels), of 1 or 3 channels.
        source: name of the data set that it is compared with.
    """
    name = OTHER_OF_OTHER if source == OTHER else OTHER
    rows, columns, channels = shape
    drawn = GENERATORS[name].draw(OTHER_SEED, OTHER_IMAGES, max(rows, columns))[0]
    images = drawn[:, :rows, :columns]
    if channels == 1:
        images = np.rint(images.mean(-1, keepdims=True)).astype(np.uint8)
    return f"eigenvectors of {name.replace('_', ' ')}", images
