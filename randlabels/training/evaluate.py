"""Loss, accuracy and dead units of every network over all examples of a task, each counted once;

and how large its weights are, which need no examples.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from randlabels.training.devices import Layout
from randlabels.training.losses import LOSSES
from randlabels.training.step import Examples, gather_standardised, over_networks

Tree = Any
Record = dict[str, Any]
PAD = -1  # the index that fills the last batch


def evaluation_batches(num_examples: int, batch_size: int) -> np.ndarray:
    """Indices [steps, batch_size] of all examples in order, the rest filled with PAD."""
    steps = -(-num_examples // batch_size)
    indices = np.full(steps * batch_size, PAD, np.int32)
    indices[:num_examples] = np.arange(num_examples)
    return indices.reshape(steps, batch_size)


def make_evaluate(
    model: nn.Module, loss: str, layout: Layout, vectorize: str
) -> Callable[[Tree, Tree, Tree, Tree], Tree]:
    """Compile (data, indices [s, b], labels [n, examples], variables) -> sums for each network.

    Of images on disk data["batches"], [s, b, h, w, c], are those of the indices.

    The sums are {"loss", "correct", "count"} and "active": for each hidden layer, on how many
    examples a unit (a channel of a convolution) is non-zero at any position, [n, units]. Beside
    them is "norm", see `largest_norm`.
    """

    def batch_sums(data: Tree, labels: Tree, variables: Tree, indices: jax.Array) -> Tree:
        images = gather_standardised(data, jnp.maximum(indices, 0))
        logits, sown = model.apply(variables, images, mutable=["activations"])
        valid = indices != PAD
        targets = labels[jnp.maximum(indices, 0)]
        losses = LOSSES[loss](logits, targets)
        correct = jnp.argmax(logits, axis=-1) == targets
        return {
            "loss": jnp.sum(losses, where=valid),
            "correct": jnp.sum(correct, where=valid, dtype=jnp.int32),
            "count": jnp.sum(valid, dtype=jnp.int32),
            "active": {
                name.removesuffix("_out"): _count_active(x, valid)
                for name, x in flatten_dict(sown.get("activations", {}), sep="/").items()
            },
        }

    def scan_batches(shared: Tree, one: Tree) -> Tree:
        data = dict(shared["data"])
        steps = {"indices": shared["indices"]}
        if "batches" in data:
            steps["batch"] = data.pop("batches")

        def sums_of(batch: Tree) -> Tree:
            images = {name: batch[name] for name in batch if name != "indices"}
            return batch_sums(data | images, one["labels"], one["variables"], batch["indices"])

        def step(total: Tree, batch: Tree) -> tuple[Tree, None]:
            return jax.tree.map(jnp.add, total, sums_of(batch)), None

        shapes = jax.eval_shape(lambda: sums_of(jax.tree.map(lambda x: x[0], steps)))
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        total, _ = jax.lax.scan(step, zeros, steps)
        return layout.sum(total) | {"norm": largest_norm(one["variables"]["params"])}

    def evaluate(data: Tree, indices: jax.Array, labels: jax.Array, variables: Tree) -> Tree:
        return over_networks(scan_batches, vectorize, layout)(
            {"data": data, "indices": indices}, {"labels": labels, "variables": variables}
        )

    return layout.pmap(evaluate)


def make_evaluator(
    model: nn.Module,
    loss: str,
    layout: Layout,
    vectorize: str,
    sets: Mapping[str, Examples],
    batch_size: int,
) -> Callable[[Tree], Record]:
    """A function from a state on the devices to the record of the population on all sets.

    The record is {"train_loss", "train_accuracy", "dead", "norm", "test_loss", ...}, arrays
    [network].
    """
    evaluate = make_evaluate(model, loss, layout, vectorize)

    def batches(count: int) -> Tree:
        size = batch_size_of(count, batch_size, layout)
        return layout.split_batches(evaluation_batches(count, size), shared=True)

    indices = {name: batches(examples.count) for name, examples in sets.items()}

    def evaluator(state: Tree) -> Record:
        variables = {"params": state["params"], "batch_stats": state["batch_stats"]}
        return record_of(
            {
                name: layout.gather(evaluate(of.data, indices[name], of.labels, variables))
                for name, of in sets.items()
            }
        )

    return evaluator


def batch_size_of(count: int, batch_size: int, layout: Layout) -> int:
    """Examples that are evaluated at once: about as many as there are, if these are fewer."""
    return math.ceil(min(batch_size, count) / layout.parts) * layout.parts


def record_of(sums: Mapping[str, Tree]) -> Record:
    """The record of a population from the gathered sums of the sets "train" and "test"."""
    record: Record = {}
    for name, of_set in sums.items():
        summary = summarise(of_set)
        record[f"{name}_loss"] = summary["loss"]
        record[f"{name}_accuracy"] = summary["accuracy"]
        if name == "train":
            record["dead"], record["norm"] = summary["dead"], summary["norm"]
    return record


def largest_norm(params: Tree) -> jax.Array:
    """The largest root mean square, over units, of the norm of a unit's parameters in one array.

    Of a fresh kernel it is about init_scale, of a fresh batch norm's scale 1. Not finite where a
    parameter is not; finite also where squares of the parameters would be too large for float32.
    """

    def norm(x: jax.Array) -> jax.Array:
        largest = jnp.max(jnp.abs(x))
        unit = jnp.where(largest > 0, largest, 1)
        return unit * jnp.sqrt(jnp.sum((x / unit) ** 2) / (x.shape[-1] if x.ndim else 1))

    return jnp.max(jnp.stack([norm(x) for x in jax.tree.leaves(params)]))


def _count_active(x: jax.Array, valid: jax.Array) -> jax.Array:
    """On how many valid examples of x [b, ..., units] each unit is non-zero at any position."""
    active = jnp.any(jnp.abs(x) > 0, axis=tuple(range(1, x.ndim - 1)))
    return jnp.sum(active & valid[:, None], axis=0, dtype=jnp.int32)


def summarise(sums: Tree) -> dict[str, Any]:
    """Turn gathered sums into {"loss", "accuracy", "dead": {layer: share}, "norm"}, [network].

    A unit is dead if it is zero on every example at every position; the share is of the layer's
    units.
    """
    count = sums["count"]
    return {
        "loss": sums["loss"] / count,
        "accuracy": sums["correct"] / count,
        "dead": {name: np.mean(active == 0, axis=-1) for name, active in sums["active"].items()},
        "norm": sums["norm"],
    }
