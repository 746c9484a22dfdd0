"""The outputs of a network's hidden layers, named as their activations are and in forward order."""

from collections.abc import Callable
from typing import Any, TypeVar

import flax.linen as nn
import jax
from flax.traverse_util import flatten_dict

Reduced = TypeVar("Reduced")


def on_hidden_outputs(
    model: nn.Module, reduce: Callable[[jax.Array], Reduced]
) -> Callable[[Any, jax.Array], dict[str, Reduced]]:
    """A compiled function (variables, x [b, ...]) -> {layer: reduced outputs}, on the host.

    Args:
        model: built by `randlabels.models.build`; evaluated without training's batch statistics.
        reduce: of the outputs [b, ..., units] of one layer; traced.

    Layers are in forward order and named as their activations are: "conv1", "group1_block1/norm2".
    """
    names: list[str] = []

    @jax.jit
    def compute(variables: Any, x: jax.Array) -> list[Reduced]:
        _, sown = model.apply(variables, x, mutable=["activations"])
        outputs = flatten_dict(sown["activations"], sep="/")
        # Here while tracing: what leaves a compiled function has lost the order of its keys.
        names[:] = [name.removesuffix("_out") for name in outputs]
        return [reduce(h) for h in outputs.values()]

    def named(variables: Any, x: jax.Array) -> dict[str, Reduced]:
        found = jax.device_get(compute(variables, x))  # of a dict it would sort the keys
        return dict(zip(names, found, strict=True))

    return named
