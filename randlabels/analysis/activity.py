"""Which units of a network are active, and on how much of the data (the paper's Figure 7).

A unit is a channel of a convolution or a unit of a dense layer, followed by its activation. It is
active where its input to the activation is positive, which for every activation here is where its
output is above the activation of 0: above 0 for relu, leaky_relu, tanh, gelu and elu, above .5 for
sigmoid. Only for relu does an inactive unit pass nothing on, neither activity nor gradient.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from randlabels.analysis.hidden_outputs import on_hidden_outputs
from randlabels.analysis.layer_inputs import open_inputs, read_variables
from randlabels.eigen.matrices import float64
from randlabels.errors import InputError
from randlabels.models.layers import ACTIVATIONS
from randlabels.runs import Run

# Sokar et al. (arXiv:2302.12902) report thresholds of .025 and .1.
DORMANT = 0.025


@dataclasses.dataclass(frozen=True)
class UnitActivity:
    """Activity of the units of one hidden layer, float64 arrays [units] or [network, units].

    Attributes:
        share: of inputs and positions on which the unit is active.
        share_of_inputs: of inputs on which it is active at one position or more.
        mean_absolute: E|h| of its output h over inputs and positions.
    """

    share: np.ndarray
    share_of_inputs: np.ndarray
    mean_absolute: np.ndarray

    @property
    def dead(self) -> np.ndarray:
        """Whether the unit is active on no input at no position, bool."""
        return self.share_of_inputs == 0

    @property
    def score(self) -> np.ndarray:
        """E|h_i| / mean over the layer's units k of E|h_k| (Sokar et al. 2023, equation 1).

        0 for every unit of a layer that is silent as a whole.
        """
        mean = self.mean_absolute.mean(axis=-1, keepdims=True)
        return np.divide(
            self.mean_absolute, mean, out=np.zeros_like(self.mean_absolute), where=mean > 0
        )

    def dormant(self, tau: float = DORMANT) -> np.ndarray:
        """Whether the unit's score is at most tau, bool; dead relu units are dormant too."""
        return self.score <= tau


def unit_activity(
    model: nn.Module, variables: Any, batches: Iterable[np.ndarray]
) -> dict[str, UnitActivity]:
    """The activity of all hidden layers of one network, streamed over its inputs.

    Args:
        model: built by `randlabels.models.build`; evaluated without training's batch statistics.
        variables: {"params": ...} and, where the model has batch norms, "batch_stats".
        batches: standardised inputs [b, ...]; b may differ between them. Counts are exact, sums of
            the float32 outputs are float64.

    Returns:
        {layer: activity} in forward order. Layers are named as their activations are: "conv1",
        "group1_block1/norm2".

    Raises:
        ValueError: if there are no inputs.
    """
    return _measure(_batch_sums(model), variables, batches)


def activity_of_run(
    run: Run, step: int, task: str = "", networks: Sequence[int] | None = None
) -> dict[str, UnitActivity]:
    """The activity of a run's networks at one checkpoint, arrays [network, units].

    Args:
        run: a finished or unfinished run.
        step: of the checkpoint; step 0 of a fine-tuned run is the switch, after rescaling.
        task: "upstream" or "downstream", whose images are shown; "" is the one it was trained on.
        networks: rows of the network table; None is all.

    Raises:
        InputError: if the checkpoint or the data are missing, or the task has no images.
    """
    inputs = open_inputs(run, task)
    if not len(inputs.images):
        task = task or run.config["train"]["task"]
        raise InputError(f"{run.workdir} has no {task} images (config.data.{task}_size is 0).")
    variables = read_variables(run, step)
    batch_sums = _batch_sums(inputs.model)
    chosen = range(len(run.networks)) if networks is None else networks
    found = [
        _measure(batch_sums, jax.tree.map(lambda x, n=n: x[n], variables), inputs.batches())
        for n in chosen
    ]
    fields = [field.name for field in dataclasses.fields(UnitActivity)]
    return {
        layer: UnitActivity(
            **{name: np.stack([getattr(one[layer], name) for one in found]) for name in fields}
        )
        for layer in found[0]
    }


@lru_cache(maxsize=8)  # compilation takes longer than what it is compiled for
def _batch_sums(model: Any) -> Any:
    """A function (variables, x [b, ...]) -> {layer: its sums}, in forward order."""
    silent = float(ACTIVATIONS[model.activation](jnp.zeros(())))
    return on_hidden_outputs(model, partial(_sum_one, silent=silent))


def _sum_one(h: jax.Array, silent: float) -> tuple[jax.Array, ...]:
    """Of h [b, ..., units]: activity, active inputs and |h|, summed; and how many were summed."""
    positions = tuple(range(1, h.ndim - 1))
    active = h > silent
    shown = h.reshape(-1, h.shape[-1])
    return (
        jnp.sum(active, axis=(0, *positions)),
        jnp.sum(jnp.any(active, axis=positions), axis=0),
        jnp.sum(jnp.abs(shown), axis=0, dtype=jnp.float64),
        jnp.asarray(len(shown)),
    )


def _measure(
    batch_sums: Any, variables: Any, batches: Iterable[np.ndarray]
) -> dict[str, UnitActivity]:
    totals: dict[str, list[Any]] = {}
    count = 0
    for x in batches:
        with float64():
            sums = batch_sums(variables, jnp.asarray(x, jnp.float32))
        for layer, new in sums.items():
            old = totals.get(layer, [0, 0, 0.0, 0])
            totals[layer] = [a + b for a, b in zip(old, new, strict=True)]
        count += len(x)
    if not count:
        raise ValueError("The activity of units needs at least one input, and there are none.")
    return {
        layer: UnitActivity(active / shown, inputs / count, absolute / shown)
        for layer, (active, inputs, absolute, shown) in totals.items()
    }
