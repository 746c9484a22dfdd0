"""The eigenvectors of what a layer receives, all of them or the leading ones.

A large layer is analysed along its leading eigenvectors: filters are written in these coordinates
alone, and all that is compared lies in the space that they span. If all of Sigma_w is aligned, so
is this part of it, since the leading block of a diagonal matrix is diagonal; what lies outside is
not judged. How much of the variance of the inputs, and of the filters' squared norm, lies inside is
part of the records.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from randlabels.analysis.find_layers import Layer
from randlabels.analysis.layer_inputs import read_variables
from randlabels.analysis.layers import LayerInputs
from randlabels.eigen.leading import leading_eigh, leading_eigh_of_examples
from randlabels.eigen.patches import PatchStatistics
from randlabels.eigen.spectra import descending_eigh
from randlabels.runs import Run


@dataclasses.dataclass(frozen=True)
class InputBasis:
    """Eigenvalues of Sigma_x in descending order, and its eigenvectors as columns.

    Attributes:
        values: all [d], or the leading ones [k].
        vectors: [d, d] or [d, k].
        share: of the variance of the inputs that lies along these eigenvectors.
    """

    values: np.ndarray
    vectors: np.ndarray
    share: float = 1.0

    @classmethod
    def of(cls, statistics: PatchStatistics, leading: int = 0) -> "InputBasis":
        """The eigenbasis of the covariance; of `leading` eigenvectors unless that is 0."""
        if not leading or leading >= len(statistics.covariance):
            return cls(*descending_eigh(statistics.covariance))
        values, vectors = leading_eigh(statistics.covariance, leading)
        return cls(values, vectors, _share(values, float(np.trace(statistics.covariance))))


Bases = Callable[[int, int], InputBasis]  # of a step and a network


def _share(values: np.ndarray, trace: float) -> float:
    return min(float(values.sum()) / trace, 1.0) if trace > 0 else 1.0


def num_coordinates(layer: Layer, num_images: int, leading: int) -> int:
    """In how many coordinates the filters of a layer are written."""
    if not leading:
        return layer.dim
    few = layer.has_few_patches(num_images)
    return min(leading, num_images * layer.patches_per_image - 1 if few else layer.dim)


def input_bases(run: Run, task: LayerInputs, layer: Layer, inputs: str, leading: int = 0) -> Bases:
    """The eigenbasis of a layer's inputs, for each step and network.

    Args:
        run: whose networks compute the inputs.
        task: whose images are shown to them.
        layer: which layer.
        inputs: of a deeper layer, "checkpoint" (of the same step) or "initialisation" (step 0).
        leading: how many eigenvectors; 0 is all.
    """
    if layer == task.layers[0]:
        basis = _measured(task, layer, None, leading)
        return lambda step, network: basis
    variables_of = functools.lru_cache(maxsize=1)(functools.partial(read_variables, run))

    def measure(step: int, network: int) -> InputBasis:
        variables = jax.tree.map(lambda x: x[network], variables_of(step))
        return _measured(task, layer, variables, leading)

    if inputs == "checkpoint":
        return measure
    at_start = functools.cache(functools.partial(measure, 0))
    return lambda step, network: at_start(network)


def _measured(task: LayerInputs, layer: Layer, variables: Any, leading: int) -> InputBasis:
    if not (leading and layer.has_few_patches(len(task.images))):
        return InputBasis.of(task.moments(variables, layer.path), leading)
    rows = layer.rows(task.received(variables, layer.path))
    values, vectors, trace = leading_eigh_of_examples(rows, leading)
    return InputBasis(values, vectors, _share(values, trace))
