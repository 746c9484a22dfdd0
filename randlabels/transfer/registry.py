"""The arms: how the networks of a population may start (Sections 2.4 and 2.5 of the paper, others).

* scratch: random weights.
* pretrained: layers of an earlier run, kernels rescaled to their norm at initialisation.
* pretrained_unscaled: layers of an earlier run as they are.
* covariance: filters of the first layer redrawn from the covariance of the earlier run's, norm as
  at initialisation.
* procrustes_covariance: filters of any layer redrawn from the covariance of the earlier run's own,
  rotated to the channels that the new network has below it.
* by_rank: eigenvectors of what the layer receives now, the earlier run's tau by rank of eigenvalue.
* shuffled: the earlier run's weights in a random order, a control without covariance.
* aligned, patch_whitening: filters made from the data; orthogonal, smooth: from nothing.

What is drawn or shuffled has zero biases. The head is always new. Norms at initialisation are those
of the same network's fresh weights, so that all arms of a seed start from the same norms. A new arm
is a function and its entry here.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from randlabels.eigen import descending_eigh
from randlabels.models.flow import Flow
from randlabels.transfer import initialisers
from randlabels.transfer.curves import CURVES_FROM_RUN
from randlabels.transfer.drawn import (
    LayerToDraw,
    draw_by_rank,
    draw_from_covariance,
    draw_from_data,
    draw_from_rotated_covariance,
    shuffle_filters,
)
from randlabels.transfer.rescale import rescale_to_reference


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way in which networks start; with neither `copy` nor `draw`, all weights stay fresh.

    Attributes:
        name: in config.init.arms.
        label: for people.
        colour: in every figure, a name of `figures.style.PALETTE`.
        reads: the fields of config.init that it reads, besides arms.
        copy: (layers of the earlier network, the same layers fresh, the model's flow) -> the layers
            to start with. Norms go with them.
        draw: a kernel of one layer, whose scale means nothing; biases become zero or `biases`.
        line: its dashes in every figure, as matplotlib writes them; arms of one colour are variants
            of one another, and differ in this.
    """

    name: str
    label: str
    colour: str
    reads: frozenset[str] = frozenset()
    copy: Callable[[Any, Any, Flow], Any] | None = None
    draw: Callable[[LayerToDraw], np.ndarray] | None = None
    line: str = "-"

    def reads_run(self, curve: str) -> bool:
        """Whether its networks start from an earlier run, with this init.curve."""
        return "run" in self.reads or ("curve" in self.reads and curve in CURVES_FROM_RUN)


_COPIED = frozenset({"layers", "run", "step"})
_REDRAWN = _COPIED | {"match", "images"}
_MADE = frozenset({"layers", "match", "biases", "images"})

_ENTRIES = (
    Arm("scratch", "scratch", "grey"),
    Arm("pretrained", "pre-trained", "blue", _COPIED, copy=rescale_to_reference),
    Arm(
        "pretrained_unscaled",
        "pre-trained, not rescaled",
        "green",
        _COPIED,
        copy=lambda trained, fresh, flow: trained,
    ),
    Arm(
        "covariance",
        "drawn from covariance",
        "red",
        _COPIED | {"covariance"},
        draw=draw_from_covariance,
    ),
    Arm(
        "procrustes_covariance",
        "drawn from covariance, channels aligned",
        "red",
        _REDRAWN | {"covariance"},
        draw=draw_from_rotated_covariance,
        line="--",
    ),
    Arm(
        "by_rank",
        "eigenvalues by rank",
        "red",
        _REDRAWN | {"covariance"},
        draw=draw_by_rank,
        line=":",
    ),
    Arm("shuffled", "shuffled weights", "blue", _REDRAWN, draw=shuffle_filters, line="--"),
    Arm(
        "aligned",
        "aligned, from data alone",
        "purple",
        _MADE | {"curve", "centered"},
        draw=draw_from_data,
    ),
    Arm(
        "orthogonal",
        "orthogonal",
        "orange",
        _MADE,
        draw=lambda layer: initialisers.orthogonal(layer.key, layer.shape),
    ),
    Arm(
        "smooth",
        "smooth filters",
        "sky",
        _MADE,
        draw=lambda layer: initialisers.smooth(layer.key, layer.shape),
    ),
    Arm(
        "patch_whitening",
        "patch whitening",
        "black",
        _MADE,
        draw=lambda layer: initialisers.patch_whitening(
            *descending_eigh(layer.moments().covariance), layer.shape
        ),
    ),
)

ARMS: dict[str, Arm] = {arm.name: arm for arm in _ENTRIES}
