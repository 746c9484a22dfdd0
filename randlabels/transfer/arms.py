"""How the networks of a population start: the arms of paper.md section 4.

* scratch: random weights.
* pretrained: layers of an earlier run, kernels rescaled to their norm at initialisation.
* pretrained_unscaled: layers of an earlier run as they are.
* covariance: filters redrawn from N(0, Sigma_w) of the earlier run's layers, norm as at
  initialisation, zero biases.

The head is always new. Norms at initialisation are those of the same network's fresh weights, so
that all arms of a seed start from the same norms.
"""

import zlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from randlabels.config import GENERATED_DATA, differences
from randlabels.eigen import filter_covariance, flatten_kernel, pool_networks
from randlabels.errors import InputError
from randlabels.models.naming import choose_layers, get_layer, layer_paths
from randlabels.records import plain
from randlabels.runs import Run, load_run, newest_intact_step
from randlabels.transfer.covariance import draw_filters
from randlabels.transfer.rescale import rescale_to_reference


def open_source(config: ConfigDict) -> tuple[Run, int] | None:
    """The earlier run that the arms read and the step of its checkpoint; None for scratch alone.

    Raises:
        InputError: if the run or step is missing or damaged, or its data or model differ from
            this config's in a way that makes the transfer meaningless.
    """
    if set(config.init.arms) == {"scratch"}:
        return None
    run = load_run(config.init.run)
    theirs, ours = run.config, config.to_dict()
    # Rotated inputs are how a study of Proposition 1 makes initial weights that are not isotropic.
    free = {"augment", "test_size", "rotation_seed", "label_axes"}
    if config.data.name not in GENERATED_DATA:
        free.add("downstream_size")  # of a stored data set, upstream does not depend on it
    differing = differences(
        {f"data.{name}": plain(v) for name, v in ours["data"].items() if name not in free}
        | {"model.name": ours["model"]["name"]},
        {f"data.{name}": v for name, v in theirs["data"].items() if name not in free}
        | {"model.name": theirs["model"]["name"]},
    )
    if differing:
        raise InputError(
            f"config.init.run {config.init.run} cannot be transferred: " + "; ".join(differing)
        )
    return run, newest_intact_step(run.workdir, config.init.step)


def start_networks(
    config: ConfigDict, table: Sequence[dict[str, Any]], fresh: Any, source: tuple[Run, int] | None
) -> Any:
    """The parameters with which each network starts.

    Args:
        config: a checked config.
        table: the network table.
        fresh: fresh parameters, leading axis `network`; not changed.
        source: from `open_source`.

    Raises:
        InputError: if layers do not match (both sides are listed), or there are too few filters
            for a covariance.
    """
    params = jax.tree.map(np.array, fresh)
    if source is None:
        return params
    run, step = source
    trained = run.params(step)
    layers = choose_layers(config.init.layers, layer_paths(fresh))
    _check_match(trained, fresh, layers, run)
    for row in table:
        if row["arm"] == "scratch":
            continue
        reference = _pick(fresh, layers, row["network"])
        if row["arm"] == "covariance":
            sources = (
                run.healthy_networks if config.init.covariance == "pooled" else [row["source"]]
            )
            start = _redraw(trained, sources, reference, layers, row)
        else:
            start = _pick(trained, layers, row["source"])
            if row["arm"] == "pretrained":
                start = rescale_to_reference(start, reference)
        _place(params, start, row["network"])
    return params


def _redraw(
    trained: Any, sources: Sequence[int], reference: Any, layers: Sequence[str], row: dict[str, Any]
) -> Any:
    """Layers with redrawn kernels of the reference's norm and zero biases."""
    drawn = jax.tree.map(np.zeros_like, reference)
    for path in layers:
        kernels = flatten_kernel(get_layer(trained, path)["kernel"][np.asarray(sources)])
        filters = pool_networks(kernels)
        dim, count = filters.shape
        if count <= dim:
            per_network = count // len(sources)
            raise InputError(
                f"The covariance of {path} has {dim} dimensions but only {count} filters; pool at "
                f"least {dim // per_network + 1} networks (config.init.covariance='pooled' and "
                f"that many seeds upstream), or leave {path} out of config.init.layers."
            )
        name = zlib.crc32(f"covariance {path}".encode())
        key = jax.random.fold_in(jax.random.key(row["seed"], impl="threefry2x32"), name)
        shape = get_layer(reference, path)["kernel"].shape
        get_layer(drawn, path)["kernel"] = draw_filters(key, filter_covariance(filters), shape)
    return rescale_to_reference(drawn, reference)


def _pick(params: Any, layers: Sequence[str], network: int) -> Any:
    """The chosen layers of one network, as a nested dict."""
    picked: dict[str, Any] = {}
    for path in layers:
        *folders, last = path.split("/")
        node = picked
        for folder in folders:
            node = node.setdefault(folder, {})
        node[last] = jax.tree.map(lambda x: x[network], get_layer(params, path))
    return picked


def _place(params: Any, start: Any, network: int) -> None:
    """Write one network's layers into the population's arrays."""
    for path in layer_paths(start):
        for name, value in get_layer(start, path).items():
            get_layer(params, path)[name][network] = value


def _check_match(trained: Any, fresh: Any, layers: Sequence[str], run: Run) -> None:
    ours = {path: get_layer(fresh, path)["kernel"].shape[1:] for path in layers}
    theirs = {path: get_layer(trained, path)["kernel"].shape[1:] for path in layer_paths(trained)}
    wrong = [path for path in layers if ours[path] != theirs.get(path)]
    if wrong:
        raise InputError(
            f"Layers of {run.workdir} do not match this model: "
            + "; ".join(f"{p} is {theirs.get(p, 'absent')} there, {ours[p]} here" for p in wrong)
            + f". Its layers are {theirs}; the layers asked for are {ours}."
        )
