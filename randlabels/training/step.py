"""One program: pmap over devices of vmap (or map) over networks of scan over steps of train_step.

Arrays that a compiled function sees on one device (n networks on it, s steps, b examples a batch):

* data: {"images" uint8 [examples, h, w, c] or float32 [examples, d], "mean" [c], "std" [c]}
* network: {"labels" int32 [n, examples], "learning_rate" [n], "momentum" [n], ...}
* state: {"params", "batch_stats", "opt_state", "step"}, every leaf [n, ...]
* batches: {"indices" int32 [s, b] or [n, s, b], "seed" uint32 [] or [n]}, and of a chunk of images
  on disk (see `streaming`) "images" uint8 [s, b, h, w, c], which data then lack
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from randlabels.data.standardise import standardise
from randlabels.training.devices import Layout
from randlabels.training.dropout import dropout_rngs, masks_by_example
from randlabels.training.losses import LOSSES
from randlabels.training.optimizers import make_optimizer

Tree = Any
PADDING = 4  # pixels, of the random crop


@dataclasses.dataclass(frozen=True)
class Examples:
    """Examples on the devices, and what each network shall answer to them."""

    count: int
    data: Tree  # as above, on every device
    labels: Tree  # int32 [device, network on it, example]


def put_examples(
    layout: Layout, images: np.ndarray, labels: np.ndarray, mean: np.ndarray, std: np.ndarray
) -> Examples:
    """Put images [n, ...], labels [network, n] and the moments of the channels on the devices."""
    data = layout.replicate({"images": images, "mean": mean, "std": std})
    return Examples(len(images), data, layout.spread(labels))


def gather_standardised(data: dict[str, jax.Array], indices: jax.Array) -> jax.Array:
    """Gather inputs and standardise each channel: uint8 to float32 [b, h, w, c].

    Where images are not on the device, data["batch"] holds those of the batch.
    """
    images = data["batch"] if "batch" in data else data["images"][indices]
    return standardise(images, data["mean"], data["std"])


def crop_flip(images: jax.Array, seed: jax.Array, step: jax.Array, ids: jax.Array) -> jax.Array:
    """Random crop after zero-padding by 4 pixels, and random horizontal flip.

    What happens to an example is a pure function of (seed, step, example), whatever the batch and
    the devices.
    """
    key = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), step)

    def one(image: jax.Array, example: jax.Array) -> jax.Array:
        crop_key, flip_key = jax.random.split(jax.random.fold_in(key, example))
        row, column = jax.random.randint(crop_key, (2,), 0, 2 * PADDING + 1)
        padded = jnp.pad(image, ((PADDING, PADDING), (PADDING, PADDING), (0, 0)))
        image = jax.lax.dynamic_slice(padded, (row, column, 0), image.shape)
        return jnp.where(jax.random.bernoulli(flip_key), image[:, ::-1], image)

    return jax.vmap(one)(images, ids)


def _itself(tree: Tree) -> Tree:
    return tree


def make_train_step(
    model: nn.Module, config: ConfigDict, total_steps: int, mean: Callable[[Tree], Tree] = _itself
) -> Callable[..., tuple[Tree, Tree]]:
    """The pure step of one network: (data, network, state, seed, indices) -> (state, metrics).

    `mean` averages over the parts of a batch (`Layout.mean`) where there are several.
    """

    def loss_and_updates(
        params: Tree, batch_stats: Tree, batch: Tree, rngs: Tree
    ) -> tuple[jax.Array, tuple[Tree, jax.Array]]:
        variables, labels = {"params": params, "batch_stats": batch_stats}, batch["labels"]
        with masks_by_example(batch["ids"]):
            logits, updates = model.apply(
                variables, batch["images"], train=True, mutable=["batch_stats"], rngs=rngs
            )
        losses = LOSSES[config.train.loss](logits, labels)
        accuracy = jnp.mean(jnp.argmax(logits, axis=-1) == labels)
        return jnp.mean(losses), (updates.get("batch_stats", {}), accuracy)

    def train_step(
        data: Tree, network: Tree, state: Tree, seed: jax.Array, indices: jax.Array
    ) -> tuple[Tree, Tree]:
        images = gather_standardised(data, indices)
        if config.data.augment == "crop_flip":
            images = crop_flip(images, seed, state["step"], indices)
        gradient = jax.value_and_grad(loss_and_updates, has_aux=True)
        (loss, (batch_stats, accuracy)), gradients = gradient(
            state["params"],
            state["batch_stats"],
            {"images": images, "labels": network["labels"][indices], "ids": indices},
            dropout_rngs(config, network["seed"], state["step"]),
        )
        results = (gradients, batch_stats, {"loss": loss, "accuracy": accuracy})
        gradients, batch_stats, metrics = mean(results)
        optimizer = make_optimizer(config, total_steps, network)
        updates, opt_state = optimizer.update(gradients, state["opt_state"], state["params"])
        state = {
            "params": optax.apply_updates(state["params"], updates),
            "batch_stats": batch_stats,
            "opt_state": opt_state,
            "step": state["step"] + 1,
        }
        return state, metrics

    return train_step


def over_networks(
    function: Callable[..., Tree], vectorize: str, layout: Layout
) -> Callable[..., Tree]:
    """Lift f(shared, one network's arrays) to all networks of a device, by vmap or by map.

    One after the other, what only fills up a device is left out: its results are zeros.
    """
    if vectorize == "vmap":
        return jax.vmap(function, in_axes=(None, 0))

    def apply(shared: Tree, networks: Tree) -> Tree:
        there = layout.there()
        if there is None:
            return jax.lax.map(lambda one: function(shared, one), networks)

        def where_there(pair: tuple[jax.Array, Tree]) -> Tree:
            return jax.lax.cond(pair[0], lambda one: function(shared, one), none, pair[1])

        def none(one: Tree) -> Tree:
            shapes = jax.eval_shape(lambda one: function(shared, one), one)
            return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

        return jax.lax.map(where_there, (there, networks))

    return apply


def make_train_epoch(
    model: nn.Module, config: ConfigDict, total_steps: int, layout: Layout, vectorize: str
) -> Callable[..., tuple[Tree, Tree]]:
    """Compile (data, batches, network, state) -> (state, mean metrics of the epoch's batches)."""
    train_step = make_train_step(model, config, total_steps, layout.mean)
    shared_batches = config.population.shared_batches

    def scan_steps(shared: Tree, one: Tree) -> tuple[Tree, Tree]:
        batches = shared["batches"] if shared_batches else one["batches"]

        def step(state: Tree, batch: Tree) -> tuple[Tree, Tree]:
            data = shared["data"] | ({"batch": batch["images"]} if "images" in batch else {})
            return train_step(data, one["network"], state, batches["seed"], batch["indices"])

        steps = {name: batches[name] for name in ("indices", "images") if name in batches}
        state, metrics = jax.lax.scan(step, one["state"], steps)
        return state, jax.tree.map(jnp.mean, metrics)

    def train_epoch(data: Tree, batches: Tree, network: Tree, state: Tree) -> tuple[Tree, Tree]:
        shared, own = {"data": data}, {"network": network, "state": state}
        (shared if shared_batches else own)["batches"] = batches
        return over_networks(scan_steps, vectorize, layout)(shared, own)

    return layout.pmap(train_epoch, donate_argnums=(3,))


def choose_vectorize(asked: str, in_turn: bool, layout: Layout) -> str:
    """`auto`: vmap where it is faster, by measurement of each model on each backend.

    A device that holds one network runs it as it is: map's loop of one is no loop once compiled.
    On GPU vmap wins for mlp and simple_cnn, whose first layer becomes one product for all
    networks, and loses for vgg16 (H100, batch 256: 2.7 to 4.5 ms a step and network against 2.0
    alone); the residual networks have not been measured. On CPU both take the same time and map
    needs a network's memory only once.

    Args:
        asked: config.population.vectorize.
        in_turn: whether the model is faster so (see `Facts`).
        layout: of the population.
    """
    if asked != "auto":
        return asked
    if layout.per_device == 1 or in_turn:
        return "map"
    return "map" if jax.default_backend() == "cpu" else "vmap"
