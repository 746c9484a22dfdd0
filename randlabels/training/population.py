"""The network table and the initial state of a population.

A population is networks of one architecture trained together.
"""

import itertools
import zlib
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from randlabels.errors import InputError
from randlabels.models import with_fields
from randlabels.networks import Network
from randlabels.training.shards import rows_of
from randlabels.transfer.registry import ARMS, Arm

# Columns of the table that a compiled step reads as one scalar for each network.
HYPERPARAMETERS = ("learning_rate", "momentum", "weight_decay")

# Fields of a config that may differ from network to network (config.population.sweep).
SWEEPABLE = (
    "optimizer.learning_rate",
    "optimizer.momentum",
    "optimizer.weight_decay",
    "model.init_scale",
    "labels.noise",
    "labels.seed",
    "init.step",
    "init.layers",
    "init.curve",
    "init.centered",
)


def network_table(config: ConfigDict, sources: Sequence[int] = ()) -> list[Network]:
    """One row for each network: arms x points of the sweep x seeds, seeds fastest.

    Network k of an arm and sweep point has seed `config.seed + k`, label seed
    `config.labels.seed + k` and, if its arm reads an earlier run, source `sources[k]` there.
    Points of a sweep that differ only in what an arm does not read are one point of that arm. Of a
    part of the population (config.population.shard) there are its rows alone, numbered from 0.

    Raises:
        InputError: if the earlier run has fewer usable networks than `config.population.seeds`, or
            the population fewer networks than parts.
    """
    rows: list[Network] = []
    names = [name for name, _ in config.population.sweep]
    points = list(itertools.product(*[values for _, values in config.population.sweep]))
    for arm in (ARMS[name] for name in config.init.arms):
        done: list[dict[str, Any]] = []
        for point in points:
            settings = config.copy_and_resolve_references().unlock()
            settings.update_from_flattened_dict(dict(zip(names, point, strict=True)))
            columns = _columns(arm, settings)
            label_seed = settings.labels.seed
            if columns | {"label_seed": label_seed} in done:
                continue
            done.append(columns | {"label_seed": label_seed})
            for k in range(config.population.seeds):
                source = _source(config, sources, k) if "run" in arm.reads else None
                seeds = {"seed": config.seed + k, "label_seed": label_seed + k, "source": source}
                rows.append(Network(network=len(rows), arm=arm.name, **seeds, **columns))
    return rows_of(rows, config.population.shard)


def _columns(arm: Arm, settings: ConfigDict) -> dict[str, Any]:
    """What networks of an arm at one point share; None for what the arm does not read."""
    init, reads = settings.init, arm.reads
    return {
        "layers": tuple(init.layers) if "layers" in reads else None,
        "source_step": init.step if arm.reads_run(init.curve) else None,
        "curve": init.curve if "curve" in reads else None,
        "centered": init.centered if "centered" in reads else None,
        "match": init.match if "match" in reads else None,
        "biases": init.biases if "biases" in reads else None,
        "label_noise": float(settings.labels.noise),
        "init_scale": float(settings.model.init_scale),
        "learning_rate": float(settings.optimizer.learning_rate),
        "momentum": float(settings.optimizer.momentum),
        "weight_decay": float(settings.optimizer.weight_decay),
    }


def _source(config: ConfigDict, sources: Sequence[int], k: int) -> int:
    if k >= len(sources):
        raise InputError(
            f"config.population.seeds is {config.population.seeds}, but the run "
            f"{config.init.run} has only {len(sources)} networks that "
            "neither diverged nor died."
        )
    return int(sources[k])


def initial_variables(
    model: nn.Module, table: Sequence[Network], task: str, example: np.ndarray
) -> Any:
    """Fresh variables of every network, leading axis `network`, as host arrays.

    A network's weights are a pure function of (seed, task, init_scale): independent of the other
    networks and of the devices.

    Args:
        model: as built from the config; its init_scale, if it has one, is replaced by each row's.
        table: the network table.
        task: upstream and downstream networks of one seed start differently.
        example: one standardised input, [1, ...].
    """
    name = zlib.crc32(f"init {task}".encode())

    def init(seed: jax.Array, init_scale: jax.Array) -> Any:
        key = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), name)
        return with_fields(model, init_scale=init_scale).init(key, example)

    # map, not vmap: the bits of one network's weights must not depend on how many there are.
    seeds = jnp.asarray([row.seed for row in table], jnp.uint32)
    scales = jnp.asarray([row.init_scale for row in table], jnp.float32)
    variables = jax.jit(lambda *rows: jax.lax.map(lambda row: init(*row), rows))(seeds, scales)
    return jax.tree.map(np.array, variables)


def hyperparameters(table: Sequence[Network]) -> dict[str, np.ndarray]:
    """The scalars of each network that a step reads: float32 [network], and its seed, uint32."""
    found = {
        name: np.asarray([getattr(row, name) for row in table], np.float32)
        for name in HYPERPARAMETERS
    }
    return found | {"seed": np.asarray([row.seed for row in table], np.uint32)}
