"""The arms: how the networks of a population may start (Sections 2.4 and 2.5 of the paper, others).

* scratch: random weights.
* pretrained: layers of an earlier run, kernels rescaled to their norm at initialisation.
* pretrained_unscaled: layers of an earlier run as they are.
* covariance: filters redrawn with the statistics of the earlier run's, norm as at initialisation,
  zero biases.
* aligned, patch_whitening: filters made from the data; orthogonal, smooth: from nothing.

The head is always new. Norms at initialisation are those of the same network's fresh weights, so
that all arms of a seed start from the same norms. A new arm is a function and its entry here.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from randlabels.eigen import descending_eigh
from randlabels.transfer import initialisers
from randlabels.transfer.curves import CURVES_FROM_RUN
from randlabels.transfer.drawn import LayerToDraw, draw_from_covariance, draw_from_data
from randlabels.transfer.rescale import rescale_to_reference


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way in which networks start; with neither `copy` nor `draw`, all weights stay fresh.

    Attributes:
        name: in config.init.arms.
        label: for people.
        colour: in every figure, a name of `figures.style.PALETTE`.
        reads: the fields of config.init that it reads, besides arms.
        copy: (layers of the earlier network, the same layers fresh) -> the layers to start with.
            Batch norms go with them.
        draw: a kernel of one layer, whose scale means nothing; biases become zero or `biases`.
    """

    name: str
    label: str
    colour: str
    reads: frozenset[str] = frozenset()
    copy: Callable[[Any, Any], Any] | None = None
    draw: Callable[[LayerToDraw], np.ndarray] | None = None

    def reads_run(self, curve: str) -> bool:
        """Whether its networks start from an earlier run, with this init.curve."""
        return "run" in self.reads or ("curve" in self.reads and curve in CURVES_FROM_RUN)


_COPIED = frozenset({"layers", "run", "step"})
_MADE = frozenset({"layers", "match", "biases", "images"})

_ENTRIES = (
    Arm("scratch", "scratch", "grey"),
    Arm("pretrained", "pre-trained", "blue", _COPIED, copy=rescale_to_reference),
    Arm(
        "pretrained_unscaled",
        "pre-trained, not rescaled",
        "green",
        _COPIED,
        copy=lambda trained, fresh: trained,
    ),
    Arm(
        "covariance",
        "drawn from covariance",
        "red",
        _COPIED | {"covariance", "images"},
        draw=draw_from_covariance,
    ),
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
