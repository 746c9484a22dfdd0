"""What the first layer has learned, w_t - w_0, beside the data's eigenvectors and control bases.

Weights w_t are mostly the isotropic w_0 that they started from, which is aligned with every basis,
so that their misalignment, the paper's own measure, hardly tells one basis from another. What was
learned does. In an arm that starts from an earlier run, w_0 is what it starts from. Proposition 1
holds for w_t - w_0 as for w_t: a reflection that leaves the law of the inputs and of w_0 as it is
leaves that of both.

Weights are kept in float32, so a coordinate of w_t - w_0 below about 1e-7 of w_0 is rounding.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from randlabels.analysis.control_bases import (
    Controls,
    control_bases,
    other_eigenvectors,
    patch_shape,
)
from randlabels.analysis.controlled import ControlledAlignment, compare
from randlabels.analysis.input_bases import InputBasis
from randlabels.analysis.layer_inputs import open_inputs, read_kernels
from randlabels.eigen.filters import flatten_kernel
from randlabels.errors import InputError
from randlabels.runs import Run


@dataclasses.dataclass(frozen=True, eq=False)
class LearnedAlignment:
    """The first layer of groups of networks at one checkpoint.

    Attributes:
        layer: its path.
        step: of the checkpoint.
        groups: numbers of the networks that are pooled, for each group.
        eigenvalues: of Sigma_x, descending [d].
        controls: the bases beside the data's.
        learned: of w_t - w_0.
        weights: of w_t, the paper's own measure.
    """

    layer: str
    step: int
    groups: tuple[tuple[int, ...], ...]
    eigenvalues: np.ndarray
    controls: Controls
    learned: ControlledAlignment
    weights: ControlledAlignment


@dataclasses.dataclass(frozen=True, eq=False)
class FirstLayerBases:
    """The eigenbasis of what the first layer of a run sees, and its controls.

    They are the same at all checkpoints; measure them once for many.

    Attributes:
        layer: path of the first layer.
        patch_shape: (rows, columns, channels) of what a filter sees, or (d,).
        basis: of the data.
        others: eigenvectors of other data sets by name.
        controls: of `basis`.
    """

    layer: str
    patch_shape: tuple[int, ...]
    basis: InputBasis
    others: dict[str, np.ndarray]
    controls: Controls

    def mistaken(self, control: str) -> "FirstLayerBases":
        """The same with a control in place of the data's eigenvectors, with its own flattenings.

        What would be found had the basis been wrong: no claim may hold.

        Raises:
            KeyError: if there is no such control.
        """
        basis = InputBasis(self.basis.values, self.controls.bases[control])
        controls = control_bases(basis, self.patch_shape, self.others)
        return dataclasses.replace(self, basis=basis, controls=controls)


def first_layer_bases(run: Run) -> FirstLayerBases:
    """The bases of a run's first layer: of its data, and controls.

    Raises:
        InputError: if the data set is missing (DataError).
    """
    task = open_inputs(run)
    basis, shape = InputBasis.of(task.of_data), patch_shape(task)
    others = other_eigenvectors(task, run.config["data"]["name"])
    controls = control_bases(basis, shape, others)
    return FirstLayerBases(task.layers[0].path, shape, basis, others, controls)


def learned_alignment(
    run: Run,
    step: int,
    groups: Sequence[Sequence[int]],
    bases: FirstLayerBases | None = None,
    random_bases: int = 200,
    flips: int = 200,
) -> LearnedAlignment:
    """The alignment of what the networks of each group have learned by a checkpoint.

    Args:
        run: whose checkpoints are read.
        step: of the checkpoint.
        groups: numbers of the networks to be pooled, for each group; [[0], [1]] are single ones.
        bases: from `first_layer_bases`; None measures them.
        random_bases: how many.
        flips: samples of each null of exact alignment.

    Raises:
        InputError: if the run kept no checkpoint of step 0 or of this one, if there is no group, or
            one that is empty, or holds a network that there is not or that diverged.
    """
    if 0 not in run.steps:
        raise InputError(
            f"{run.workdir} did not keep its start, from which what it learned is counted; train "
            "it with 0 in config.train.checkpoint_epochs."
        )
    _check_groups(run, groups)
    bases = bases or first_layer_bases(run)
    weights, start = (
        flatten_kernel(read_kernels(run, at, bases.layer)[run.healthy_networks]) for at in (step, 0)
    )
    places = {network: place for place, network in enumerate(run.healthy_networks)}
    rows = [[places[network] for network in group] for group in groups]
    learned, whole = (
        compare(
            [filters[own] for own in rows],
            bases.basis.vectors,
            bases.controls,
            random_bases=random_bases,
            flips=flips,
        )
        for filters in (weights - start, weights)
    )
    return LearnedAlignment(
        layer=bases.layer,
        step=step,
        groups=tuple(tuple(group) for group in groups),
        eigenvalues=bases.basis.values,
        controls=bases.controls,
        learned=learned,
        weights=whole,
    )


def _check_groups(run: Run, groups: Sequence[Sequence[int]]) -> None:
    if not groups or not all(groups):
        raise InputError("there is no network to analyse; give one or more in each group.")
    wrong = sorted({n for group in groups for n in group} - set(run.healthy_networks))
    if wrong:
        raise InputError(
            f"{run.workdir} has no network {wrong[0]} that did not diverge; it has "
            f"{run.healthy_networks}."
        )
