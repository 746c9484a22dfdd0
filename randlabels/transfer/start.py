"""The start of a population: every network as the arm of its row says."""

import functools
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from randlabels.analysis.layers import LayerInputs
from randlabels.errors import InputError
from randlabels.models.flow import flow_of
from randlabels.models.naming import get_layer, layer_paths
from randlabels.networks import Network
from randlabels.transfer.drawn import LayerToDraw, TrainedLayer
from randlabels.transfer.earlier_run import Checkpoint, EarlierRun
from randlabels.transfer.layers_to_set import layers_to_set
from randlabels.transfer.layerwise import Draw, initialise_layer
from randlabels.transfer.registry import ARMS


def start_networks(
    config: ConfigDict,
    table: Sequence[Network],
    variables: Any,
    earlier: EarlierRun | None,
    inputs: LayerInputs,
) -> Any:
    """The parameters with which each network starts.

    Args:
        config: a checked config.
        table: the network table.
        variables: fresh {"params": ..., ...}, leading axis `network`; not changed.
        earlier: from `open_earlier_run`.
        inputs: of the layers of these networks, for arms that are made from data.

    Raises:
        InputError: if layers do not match (both sides are listed), there are too few filters for a
            covariance, or a draw is useless.
    """
    fresh = variables["params"]
    params = jax.tree.map(np.array, fresh)
    for row in table:
        arm = ARMS[row.arm]
        if arm.copy is None and arm.draw is None:
            continue
        flow = flow_of(inputs.model, inputs.images.shape[1:])
        layers = layers_to_set(row.layers or (), flow)
        checkpoint = _read(earlier, row, fresh, layers)
        if arm.copy is not None and checkpoint is not None:
            theirs = _pick(checkpoint.params, layers, row.taken_over[0])
            try:
                start = arm.copy(theirs, _pick(fresh, layers, row.network), flow)
            except ValueError as error:
                raise InputError(f"Arm {row.arm} cannot start: {error}") from error
        else:
            assert arm.draw is not None
            own = jax.tree.map(lambda x, k=row.network: x[k], variables)
            trained = None
            if checkpoint is not None:
                networks = _networks_read(config, row, checkpoint.earlier)
                trained = functools.partial(checkpoint.layer, networks=networks, inputs=inputs)
            start = _draw_layers(arm.draw, row, layers, flow.layers[0], own, inputs, trained)
        _place(params, start, layers, row.network)
    return params


def _networks_read(config: ConfigDict, row: Network, earlier: EarlierRun) -> tuple[int, ...]:
    """The networks of the earlier run that a row draws from: the one it names, or all.

    Arms that read init.covariance do as it says; others that start from a run have one source; a
    curve read off a run is that of all its networks.
    """
    pooled = "covariance" in ARMS[row.arm].reads and config.init.covariance == "pooled"
    if row.source is None or pooled:
        return tuple(earlier.healthy_networks)
    return (row.source,)


def _draw_layers(
    draw: Callable[[LayerToDraw], np.ndarray],
    row: Network,
    layers: Sequence[str],
    first: str,
    variables: Any,
    inputs: LayerInputs,
    trained: Callable[..., TrainedLayer] | None,
) -> Any:
    """Draw layers of one network bottom-up; returns all its parameters.

    Args:
        draw: of the network's arm.
        row: of the network table.
        layers: to be drawn, in forward order.
        first: of all layers, that data reach.
        variables: fresh, of this network.
        inputs: of the layers.
        trained: a layer of the earlier run, by its path and this network's variables, if the arm
            reads a run.
    """
    variables = dict(variables)
    for path in layers:
        theirs = trained(path, variables=variables) if trained else None
        draw_kernel = _draw_of(draw, row, path, path == first, theirs)
        moments = functools.cache(functools.partial(inputs.moments, variables, path))
        match, biases = row.match or "weight_norm", row.biases or "zero"
        name = zlib.crc32(f"{row.arm} {path}".encode())
        key = jax.random.fold_in(jax.random.key(row.seed, impl="threefry2x32"), name)
        try:
            variables["params"] = initialise_layer(
                variables["params"], path, key, draw_kernel, moments, match, biases
            )
        except InputError:
            raise
        except ValueError as error:
            raise InputError(f"Arm {row.arm} cannot set layer {path}: {error}") from error
    return variables["params"]


def _draw_of(
    draw: Callable[[LayerToDraw], np.ndarray],
    row: Network,
    path: str,
    first: bool,
    trained: TrainedLayer | None,
) -> Draw:
    """The draw of an arm for one layer."""
    return lambda key, shape, moments: draw(
        LayerToDraw(row, path, first, key, shape, moments, trained)
    )


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


def _read(
    earlier: EarlierRun | None, row: Network, fresh: Any, layers: Sequence[str]
) -> Checkpoint | None:
    """The checkpoint that a row names, whose layers are those of the fresh parameters."""
    if row.source_step is None:
        return None
    assert earlier is not None  # a row names a step only if its arm reads a run
    checkpoint = earlier.checkpoint(row.source_step)
    trained = checkpoint.params
    ours = {path: get_layer(fresh, path)["kernel"].shape[1:] for path in layers}
    theirs = {path: get_layer(trained, path)["kernel"].shape[1:] for path in layer_paths(trained)}
    wrong = [path for path in layers if ours[path] != theirs.get(path)]
    if wrong:
        raise InputError(
            f"Layers of {earlier.run.workdir} do not match this model: "
            + "; ".join(f"{p} is {theirs.get(p, 'absent')} there, {ours[p]} here" for p in wrong)
            + f". Its layers are {theirs}; the layers asked for are {ours}."
        )
    return checkpoint
