"""Batch norms in transfer: what is taken over with a layer, and what rescaling means before a norm.

A pre-activation block is norm, activation, convolution, twice: `norm1` goes with the block's
`conv1` and `norm2` with `conv2`; `norm_last` goes with all layers below the head. A norm that goes
with a layer taken over brings its scale, its bias and its running mean and variance.

The scale of a kernel in front of a norm does not change what comes out of the norm (up to the
epsilon that the norm adds to the variance), if the norm's running statistics follow: they are
those of another scale, the mean times the kernel's factor and the variance times its square. While
training they are not read; with momentum .9 they are forgotten after some 30 steps. Scales and
biases of norms are no kernels and stay: the product of factors starts anew behind each norm.

So rescaling a block's `conv1` leaves the function exactly as it was. `conv2`, the shortcuts and the
first convolution add their outputs to a stream that only the norms of later blocks read. Where all
that add to a stream have the same factor, the function stays as it was too; where they differ, the
branches are mixed in other proportions and it does change, in evaluation and in training. The
statistics of the norms that read such a stream are then scaled by the root mean square of the
factors, which is right for uncorrelated branches of equal variance.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from randlabels.errors import InputError
from randlabels.models.naming import HEAD, get_layer, layer_paths, layers_to_set
from randlabels.networks import Network
from randlabels.transfer.earlier_run import EarlierRun
from randlabels.transfer.registry import ARMS

LAST = "norm_last"


def take_over_norms(table: Sequence[Network], variables: Any, earlier: EarlierRun | None) -> Any:
    """Variables in which the batch norms of layers that were taken over are taken over too.

    Args:
        table: the network table; arms that copy no layers keep fresh norms.
        variables: {"params": ..., "batch_stats": ...}, leaves [network, ...]; kernels are those
            with which each network starts, norms are fresh. Not changed.
        earlier: that the arms read, from `open_earlier_run`.

    Returns:
        The same tree, with scales, biases and running statistics in place; the kernels' factors
        are the ratios of their norms here and in the run.

    Raises:
        InputError: if the model has a batch norm that belongs to no layer by its name.
    """
    if earlier is None or not variables.get("batch_stats"):
        return variables
    variables = jax.tree.map(np.array, variables)
    params, statistics = variables["params"], variables["batch_stats"]
    paths, norms = layer_paths(params), norm_paths(statistics)
    _check_places(norms, paths)
    for row in table:
        if ARMS[row.arm].copy is None:
            continue
        (there, step), here = row.taken_over, row.network
        checkpoint, layers = earlier.checkpoint(step), layers_to_set(row.layers or (), paths)
        factors = {
            path: _norm(params, path, here) / _norm(checkpoint.params, path, there)
            for path in layers
        }
        for norm in norms:
            if not goes_with(norm, layers, paths):
                continue
            for name, values in get_layer(checkpoint.params, norm).items():
                get_layer(params, norm)[name][here] = values[there]
            factor = input_factor(norm, factors, paths)
            theirs = get_layer(checkpoint.variables["batch_stats"], norm)
            ours = get_layer(statistics, norm)
            ours["mean"][here] = factor * theirs["mean"][there]
            ours["var"][here] = factor**2 * theirs["var"][there]
    return variables


def _check_places(norms: Sequence[str], paths: Sequence[str]) -> None:
    """A norm that no rule places would silently stay fresh."""
    for norm in norms:
        if norm != LAST and norm.replace("/norm", "/conv") not in paths:
            raise InputError(
                f"batch norm {norm!r} of the model belongs to no layer that could be taken over; "
                f"name it folder/normN beside folder/convN, or {LAST!r} if it goes with all layers."
            )


def norm_paths(statistics: Any, folder: str = "") -> list[str]:
    """The paths ("group1_block1/norm1") of all batch norms in a tree of running statistics."""
    if "mean" in statistics:
        return [folder]
    return [
        path
        for name, below in statistics.items()
        for path in norm_paths(below, f"{folder}/{name}".lstrip("/"))
    ]


def goes_with(norm: str, layers: Sequence[str], paths: Sequence[str]) -> bool:
    """Whether a norm is taken over with these layers, out of all layers of the network."""
    if norm == LAST:
        return set(layers) == set(paths) - {HEAD}
    return norm.replace("/norm", "/conv") in layers


def input_factor(norm: str, factors: Mapping[str, float], paths: Sequence[str]) -> float:
    """By how much rescaling changed the scale of what a norm receives.

    Args:
        norm: "group1_block1/norm1", "norm_last".
        factors: of the kernels of the layers taken over; other layers are left out of account.
        paths: all layers of the network.
    """
    block = norm.rpartition("/")[0]
    if norm.endswith("/norm2"):
        return factors.get(f"{block}/conv1", 1.0)
    adding = ["conv1"]  # to the stream
    for before in dict.fromkeys(path.rpartition("/")[0] for path in paths if "/" in path):
        if before == block:
            break
        shortcut = f"{before}/shortcut"
        adding = [shortcut] if shortcut in paths else adding
        adding.append(f"{before}/conv2")
    found = [factors[path] for path in adding if path in factors]
    return float(np.sqrt(np.mean(np.square(found)))) if found else 1.0


def _norm(params: Any, path: str, network: int) -> float:
    return float(np.linalg.norm(get_layer(params, path)["kernel"][network].astype(np.float64)))
