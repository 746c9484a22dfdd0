"""How the networks of a population start: the arms of paper.md section 4.

* scratch: random weights.
* pretrained: layers of an earlier run, kernels rescaled to their norm at initialisation.
* pretrained_unscaled: layers of an earlier run as they are.
* covariance: filters redrawn with the statistics of the earlier run's (see `drawn`), norm as at
  initialisation, zero biases.
* aligned, orthogonal, smooth, patch_whitening: filters made from the data or from nothing.

The head is always new. Norms at initialisation are those of the same network's fresh weights, so
that all arms of a seed start from the same norms.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from randlabels.arm_names import arms_that_read
from randlabels.config import flatten
from randlabels.data.generators import generator_named
from randlabels.errors import InputError
from randlabels.models.naming import get_layer, layer_paths, layers_to_set
from randlabels.networks import Network
from randlabels.records import plain
from randlabels.runs import Run, load_run, newest_intact_step
from randlabels.saved_config import differences, read_config, with_defaults
from randlabels.transfer.drawn import LayerInputs, Source, draw_layers
from randlabels.transfer.rescale import rescale_to_reference

COPIED = ("pretrained", "pretrained_unscaled")


def open_source(config: ConfigDict) -> Run | None:
    """The earlier run that the arms read; None where none is read.

    Raises:
        InputError: if the run or step is missing or damaged, or its data or model differ from
            this config's in a way that makes the transfer meaningless.
    """
    if not arms_that_read(flatten(config)):
        return None
    run = load_run(config.init.run)
    # Rotated inputs are how a study of Proposition 1 makes initial weights that are not isotropic.
    free = {"data.augment", "data.test_size", "data.rotation_seed", "data.label_axes"}
    if generator_named(config.data.name) is None:
        free.add("data.downstream_size")  # of a stored data set, upstream does not depend on it

    def compared(fields: dict[str, Any]) -> dict[str, Any]:
        shared = {n: v for n, v in fields.items() if n.startswith("data.") and n not in free}
        return shared | {"model.name": fields["model.name"]}

    theirs = with_defaults(read_config(run.workdir / "config.json"))
    differing = differences(compared(plain(flatten(config))), compared(theirs))
    if differing:
        raise InputError(
            f"config.init.run {config.init.run} cannot be transferred: " + "; ".join(differing)
        )
    for step in dict(config.population.sweep).get("init.step", (config.init.step,)):
        newest_intact_step(run.workdir, step)
    return run


def start_networks(
    config: ConfigDict,
    table: Sequence[Network],
    variables: Any,
    run: Run | None,
    inputs: LayerInputs,
) -> Any:
    """The parameters with which each network starts.

    Args:
        config: a checked config.
        table: the network table.
        variables: fresh {"params": ..., ...}, leading axis `network`; not changed.
        run: from `open_source`.
        inputs: of the layers of these networks, for arms that are made from data.

    Raises:
        InputError: if layers do not match (both sides are listed), or there are too few filters
            for a covariance.
    """
    fresh = variables["params"]
    params = jax.tree.map(np.array, fresh)

    @functools.cache
    def read(wanted_step: int) -> Source:
        assert run is not None  # a row names a step only if its arm reads a run
        return Source.read(run, newest_intact_step(run.workdir, wanted_step))

    for row in table:
        if row.arm == "scratch":
            continue
        layers = layers_to_set(row.layers or (), layer_paths(fresh))
        source = None
        if row.source_step is not None:
            source = read(row.source_step)
            _check_match(source.params, fresh, layers, source.run)
        if row.arm in COPIED and source is not None:
            start = _pick(source.params, layers, row.taken_over[0])
            if row.arm == "pretrained":
                start = rescale_to_reference(start, _pick(fresh, layers, row.network))
        else:
            own = jax.tree.map(lambda x, k=row.network: x[k], variables)
            pooled = config.init.covariance == "pooled" or row.arm != "covariance"
            start = draw_layers(row, layers, own, inputs, source, pooled)
        _place(params, start, layers, row.network)
    return params


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


def _place(params: Any, start: Any, layers: Sequence[str], network: int) -> None:
    """Write layers of one network into the population's arrays."""
    for path in layers:
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
