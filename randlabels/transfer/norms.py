"""Norms in transfer: what is taken over with layers, and what rescaling means before a norm.

What a norm has learned, its scale, its bias and its running mean and variance, belongs to what it
receives. So it is taken over where all layers that its inputs have come through are
(`randlabels.models.flow`), whether it stands before a layer or behind it; where one of them is
fresh, it stays fresh. The same holds for other parameters that belong to no layer, such as learned
offsets.

The scale of a kernel in front of a norm does not change what comes out of the norm (up to the
epsilon that the norm adds to the variance), if the norm's running statistics follow: they are
those of another scale, the mean times the kernel's factor and the variance times its square. While
training they are not read; with momentum .9 they are forgotten after some 30 steps. Scales and
biases of norms are no kernels and stay: the product of factors starts anew behind each norm.

So rescaling a layer whose outputs one norm alone receives leaves the function exactly as it was.
Convolutions that add their outputs to a stream, as in residual networks, are read by the norms of
later blocks. Where all that add to a stream have the same factor, the function stays as it was too;
where they differ, the branches are mixed in other proportions and it does change, in evaluation and
in training. The statistics of the norms that read such a stream are then scaled by the root mean
square of the factors, which is right for uncorrelated branches of equal variance.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from randlabels.errors import InputError
from randlabels.models.flow import RUNNING, Flow
from randlabels.models.naming import get_layer
from randlabels.networks import Network
from randlabels.transfer.earlier_run import EarlierRun
from randlabels.transfer.layers_to_set import layers_to_set
from randlabels.transfer.registry import ARMS


def take_over_norms(
    table: Sequence[Network], variables: Any, earlier: EarlierRun, flow: Flow
) -> Any:
    """Variables in which the norms behind layers that were taken over are taken over too.

    Args:
        table: the network table; arms that copy no layers keep fresh norms.
        variables: {"params": ..., "batch_stats": ...}, leaves [network, ...]; kernels are those
            with which each network starts, norms are fresh. Not changed.
        earlier: that the arms read, from `open_earlier_run`.
        flow: of the model.

    Returns:
        The same tree, with scales, biases and running statistics in place; the kernels' factors
        are the ratios of their norms here and in the run.

    Raises:
        InputError: if the earlier run has no such norm.
    """
    if not flow.companions:
        return variables
    variables = jax.tree.map(np.array, variables)
    for row in table:
        if ARMS[row.arm].copy is None:
            continue
        (there, step), here = row.taken_over, row.network
        trained = earlier.checkpoint(step).variables
        layers = layers_to_set(row.layers or (), flow)
        factors = {
            path: _norm(variables, path, here) / _norm(trained, path, there) for path in layers
        }
        received = flow.input_factors(factors)
        for path, below in flow.companions.items():
            if below <= set(layers):
                _copy(path, (trained, there), (variables, here), received, earlier)
    return variables


def _copy(
    path: str,
    source: tuple[Any, int],
    target: tuple[Any, int],
    received: Mapping[str, float],
    earlier: EarlierRun,
) -> None:
    """Write what is at a path of the variables of one network into those of another.

    What is added to a stream, as a running mean is taken from it, follows its scale.
    """
    (trained, there), (variables, here) = source, target
    for collection in ("params", RUNNING):
        for name, values in _own(variables.get(collection) or {}, path).items():
            theirs = _own(trained.get(collection) or {}, path).get(name)
            if theirs is None or theirs.shape[1:] != values.shape[1:]:
                raise InputError(
                    f"{path} has a {name!r} {values.shape[1:]} here, which "
                    f"{earlier.run.workdir} has not; take over from a run of the same model."
                )
            factor = received.get(f"{path}/{name}", 1.0)
            if (collection, name) == (RUNNING, "var"):
                factor = received[path] ** 2
            values[here] = factor * theirs[there]


def _own(tree: Any, path: str) -> dict[str, np.ndarray]:
    """The arrays at a path, not those in folders below it; none if there is no such path."""
    for part in path.split("/"):
        tree = tree.get(part, {})
    found = tree if isinstance(tree, dict) else {path: tree}
    return {name: leaf for name, leaf in found.items() if not isinstance(leaf, dict)}


def _norm(variables: Any, path: str, network: int) -> float:
    kernel = get_layer(variables["params"], path)["kernel"][network]
    return float(np.linalg.norm(kernel.astype(np.float64)))
