"""Optimizers: those of optax that need a learning rate and gradients alone, and muon."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from ml_collections import ConfigDict

from randlabels.config_rules import Fields, Reader, check_choice
from randlabels.errors import InputError
from randlabels.models.naming import HEAD

Tree = Any


def optimizer_named(name: str) -> Callable[..., optax.GradientTransformation]:
    """The function of optax that makes an optimizer; muon is in its contributed part."""
    return optax.contrib.muon if name == "muon" else getattr(optax, name)


def optimizer_parameters(name: str) -> set[str]:
    """The names of the arguments that an optax optimizer takes."""
    return set(inspect.signature(optimizer_named(name)).parameters)


def check_optimizer(fields: Fields) -> dict[str, Reader]:
    """The rule of config.optimizer: whether the chosen one reads a momentum.

    Raises:
        InputError: if there is no such optimizer, or it cannot train here.
    """
    name = fields["optimizer.name"]
    optimizers = tuple(
        n
        for n, f in {**vars(optax), "muon": optax.contrib.muon}.items()
        if inspect.isfunction(f)
        and not n.startswith(("_", "scale_by_"))
        and next(iter(inspect.signature(f).parameters), "") == "learning_rate"
    )
    check_choice("optimizer.name", name, optimizers)
    if not _trains(name):
        raise InputError(
            f"config.optimizer.name is {name!r}, which takes no schedule of learning rates, needs "
            f"more than gradients or keeps a random key; choose another, such as 'sgd' or 'adam'."
        )
    momentum = "momentum" in optimizer_parameters(name)
    return {"optimizer.momentum": Reader(f"optimizer {name}", momentum)}


def _trains(name: str) -> bool:
    """Whether an optax optimizer works with a schedule of learning rates and gradients alone.

    Its state must be arrays of numbers, as a checkpoint holds no others.
    """

    def update(learning_rate: jax.Array) -> Any:
        optimizer = optimizer_named(name)(optax.constant_schedule(learning_rate))
        params = {"kernel": jnp.ones((2, 2))}
        return optimizer.update(params, optimizer.init(params), params)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of optimizers that want a key
            states = jax.tree.leaves(jax.eval_shape(update, 1.0))
    except (TypeError, ValueError):
        return False
    # Others keep a random key, which would have to be of each network's own seed.
    return not any(jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in states)


def make_optimizer(
    config: ConfigDict, total_steps: int, network: dict[str, jax.Array]
) -> optax.GradientTransformation:
    """The optax optimizer of one network, whose hyper-parameters may be traced scalars.

    The learning rate is multiplied by `decay_factor` from update `round(fraction * total_steps)`
    on, for each fraction in `decay_at`.
    """
    settings = config.optimizer
    scales: dict[int, float] = {}
    for fraction in settings.decay_at:
        at = round(fraction * total_steps)
        scales[at] = scales.get(at, 1.0) * settings.decay_factor
    schedule = optax.piecewise_constant_schedule(network["learning_rate"], scales)
    accepted = optimizer_parameters(settings.name)
    arguments: dict[str, Any] = {
        k: network[k] for k in ("momentum", "weight_decay") if k in accepted
    }
    if settings.name == "muon":
        arguments["muon_weight_dimension_numbers"] = _muon_matrices
    transformation = optimizer_named(settings.name)(schedule, **arguments)
    swept = any(name == "optimizer.weight_decay" for name, _ in config.population.sweep)
    if "weight_decay" in accepted or not (settings.weight_decay or swept):
        return transformation
    return optax.chain(optax.add_decayed_weights(network["weight_decay"]), transformation)


def _muon_matrices(params: Tree) -> Tree:
    """Which kernels muon orthogonalises, as [d, filters] matrices: all but the head's.

    The others, biases and batch norms among them, are left to Adam, as muon's author advises.
    """

    def numbers(path: Any, leaf: jax.Array) -> Any:
        names = [part.key for part in path]
        if names[-1] != "kernel" or HEAD in names:
            return None
        inputs = tuple(range(leaf.ndim - 1))
        return optax.contrib.MuonDimensionNumbers(inputs, leaf.ndim - 1)

    return jax.tree_util.tree_map_with_path(numbers, params)
