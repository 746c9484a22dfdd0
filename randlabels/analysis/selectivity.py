"""To what the units of a network are selective: labels they learned, images they were trained on.

A unit's response to an input is its mean output over positions. Selectivity to a grouping of inputs
(by label, or trained against new) is the share of the variance of the responses that lies between
groups, less what any grouping of that size has by chance.
"""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from randlabels.analysis.hidden_outputs import on_hidden_outputs
from randlabels.analysis.layer_inputs import open_inputs, read_variables
from randlabels.data.tasks import labels_of_networks, open_task
from randlabels.eigen.matrices import float64
from randlabels.errors import InputError
from randlabels.runs import Run
from randlabels.saved_config import open_config

TASKS = ("upstream", "downstream")
MAX_IMAGES = 2_000  # of each task; responses of all units to these are held at once


@dataclasses.dataclass(frozen=True)
class UnitSelectivity:
    """Selectivity of the units of one hidden layer, float64 [network, units], 0 by chance.

    Attributes:
        learned: to the labels that the network learned, on the images it was trained on.
        control: to labels drawn in the same way for images it never saw, on these.
        familiar: to whether an image is one of those it was trained on.
    """

    learned: np.ndarray
    control: np.ndarray
    familiar: np.ndarray


def explained_by_groups(responses: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Share of the variance of each unit's responses that lies between groups, without its bias.

    Kelley's epsilon squared (1935), 1 - (SS_within / (n - k)) / (SS_total / (n - 1)) for n inputs
    in k groups. The raw share, eta squared, is (k - 1) / (n - 1) on average over all orders of the
    labels, whatever the responses; this is 0 on average, exactly, and 1 where the group says all.
    It is below 0 where groups say less than by chance. A unit of constant response says nothing: 0.

    Args:
        responses: [n, units].
        groups: integers [n]; k is how many different ones there are.

    Returns:
        float64 [units].

    Raises:
        ValueError: if the shapes do not fit, or there are fewer than 2 groups or no more inputs
            than groups.
    """
    responses, groups = np.asarray(responses, np.float64), np.asarray(groups)
    if responses.ndim != 2 or groups.shape != responses.shape[:1]:
        raise ValueError(
            f"responses must be [n, units] and groups [n]; got {responses.shape}, {groups.shape}."
        )
    _, index, counts = np.unique(groups, return_inverse=True, return_counts=True)
    n, k = len(groups), len(counts)
    if not 1 < k < n:
        raise ValueError(f"{n} inputs in {k} groups: give 2 groups or more, and more inputs.")
    centred = responses - responses.mean(axis=0)
    sums = np.zeros((k, responses.shape[1]))
    np.add.at(sums, index, centred)
    total = np.sum(centred**2, axis=0)
    within = total - np.sum(sums**2 / counts[:, None], axis=0)
    # Rounding of the mean leaves a constant unit a variance of about (1e-16)^2 of its square.
    constant = np.ptp(responses, axis=0) == 0
    ratio = np.divide(within, total, out=np.ones_like(total), where=~constant)
    return np.where(constant, 0.0, 1 - ratio * (n - 1) / (n - k))


def unit_responses(
    model: nn.Module, variables: Any, batches: Iterable[np.ndarray]
) -> dict[str, np.ndarray]:
    """Mean output over positions of every unit of all hidden layers, {layer: float64 [n, units]}.

    Args:
        model: as of `unit_activity`.
        variables: of one network.
        batches: standardised inputs [b, ...].

    Raises:
        ValueError: if there are no inputs.
    """
    return _responses(_respond(model), variables, batches)


def selectivity_of_run(
    run: Run, step: int, networks: Sequence[int] | None = None
) -> dict[str, UnitSelectivity]:
    """The selectivity of networks that were trained upstream, by layer in forward order.

    Args:
        run: trained on its upstream images; the downstream ones are those it never saw.
        step: of the checkpoint.
        networks: rows of the network table; None is all.

    Raises:
        InputError: if the checkpoint or the data are missing, the run was trained downstream, or
            one of the tasks has no images.
    """
    if run.config["train"]["task"] != "upstream":
        raise InputError(f"{run.workdir} was trained downstream; give the run it started from.")
    chosen = list(range(len(run.networks)) if networks is None else networks)
    config = open_config(run.config)
    shown = {task: _show(run, config, task, chosen) for task in TASKS}
    variables = read_variables(run, step)
    respond = _respond(open_inputs(run).model)
    found = []
    for row, network in enumerate(chosen):
        own = jax.tree.map(lambda x, n=network: x[n], variables)
        seen, new = (_responses(respond, own, shown[task].batches) for task in TASKS)
        labels = [shown[task].labels[row] for task in TASKS]
        found.append({layer: _selectivity(seen[layer], new[layer], *labels) for layer in seen})
    return {
        layer: UnitSelectivity(
            *(np.stack(of) for of in zip(*(f[layer] for f in found), strict=True))
        )
        for layer in found[0]
    }


@dataclasses.dataclass(frozen=True)
class _Shown:
    """The first images of a task, in batches, and the labels [network, n] drawn for them."""

    batches: list[np.ndarray]
    labels: np.ndarray


def _show(run: Run, config: ConfigDict, task: str, networks: Sequence[int]) -> _Shown:
    data = open_task(config, task)
    if not len(data.images):
        raise InputError(f"{run.workdir} has no {task} images (config.data.{task}_size is 0).")
    table = [run.networks[network] for network in networks]
    labels, _ = labels_of_networks(config.labels, data, table)
    inputs = open_inputs(run, task)
    few = dataclasses.replace(inputs, images=inputs.images[:MAX_IMAGES])
    return _Shown(list(few.batches()), labels[:, :MAX_IMAGES])


def _selectivity(
    seen: np.ndarray, new: np.ndarray, learned: np.ndarray, drawn: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The fields of `UnitSelectivity` of one network and layer, [units]."""
    trained = np.repeat([1, 0], [len(seen), len(new)])
    return (
        explained_by_groups(seen, learned),
        explained_by_groups(new, drawn),
        explained_by_groups(np.concatenate([seen, new]), trained),
    )


@lru_cache(maxsize=8)  # compilation takes longer than what it is compiled for
def _respond(model: nn.Module) -> Callable[[Any, jax.Array], dict[str, Any]]:
    """A function (variables, x [b, ...]) -> {layer: mean outputs over positions [b, units]}."""
    return on_hidden_outputs(model, _mean_over_positions)


def _mean_over_positions(h: jax.Array) -> jax.Array:
    """Of h [b, ..., units]: float64 [b, units]."""
    return jnp.mean(h, axis=tuple(range(1, h.ndim - 1)), dtype=jnp.float64)


def _responses(
    respond: Callable[[Any, jax.Array], dict[str, Any]],
    variables: Any,
    batches: Iterable[np.ndarray],
) -> dict[str, np.ndarray]:
    found: dict[str, list[np.ndarray]] = {}
    for x in batches:
        with float64():
            responses = respond(variables, jnp.asarray(x, jnp.float32))
        for layer, of_batch in responses.items():
            found.setdefault(layer, []).append(of_batch)
    if not found:
        raise ValueError("The responses of units need at least one input, and there are none.")
    return {layer: np.concatenate(parts) for layer, parts in found.items()}
