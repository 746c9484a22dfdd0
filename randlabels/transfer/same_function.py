"""Whether networks that were taken over still compute what their sources did.

Rescaling leaves the function of a chain of ReLU layers and norms as it was, up to a factor. Where a
kernel is used twice or normalised, where data are multiplied or branches of different factors add
up, it does not, and whether it does cannot be told from shapes: so it is tried.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from absl import logging

from randlabels.models.flow import Flow
from randlabels.models.naming import get_layer
from randlabels.networks import Network
from randlabels.transfer.earlier_run import EarlierRun
from randlabels.transfer.layers_to_set import layers_to_set
from randlabels.transfer.registry import ARMS

TOLERATED = 0.02  # of the norm of the outputs; the epsilon of norms alone makes half a hundredth


def warn_of_changed_functions(
    model: nn.Module,
    table: Sequence[Network],
    variables: Any,
    earlier: EarlierRun,
    flow: Flow,
    images: np.ndarray,
) -> None:
    """Say of the first network of each arm that copies all layers if it computes something else.

    Args:
        model: of the user's own.
        table: the network table.
        variables: with which the networks start, leaves [network, ...].
        earlier: run that they start from.
        flow: of the model.
        images: some, as networks see them, float32 [n, ...].
    """
    for name in dict.fromkeys(row.arm for row in table if ARMS[row.arm].copy is not None):
        row = next(row for row in table if row.arm == name)
        if not flow.head or set(layers_to_set(row.layers or (), flow)) != set(flow.body):
            continue
        source, step = row.taken_over
        ours = jax.tree.map(lambda x, k=row.network: np.array(x[k]), variables)
        theirs = jax.tree.map(
            lambda x, k=source: np.array(x[k]), earlier.checkpoint(step).variables
        )
        changed = change(model, theirs, ours, flow.head, images)
        if not changed <= TOLERATED:
            logging.warning(
                "Arm %s: network %d computes something else below its head than network %d of %s, "
                "which it takes over: %.0f%% of its outputs' norm is no multiple of theirs. Where "
                "kernels are used twice or normalised, or branches meet, rescaling does that; "
                "pretrained_unscaled takes layers over as they are.",
                *(name, row.network, source, earlier.run.workdir, 100 * changed),
            )


def change(model: nn.Module, theirs: Any, ours: Any, head: str, images: np.ndarray) -> float:
    """Which share of a network's logits is no multiple of another's, both with the former's head.

    Args:
        model: of both.
        theirs: variables of the source.
        ours: variables of the network.
        head: path of the layer whose outputs are compared, without its bias; not changed.
        images: that are shown, [n, ...].

    Returns:
        The norm of what is left after the best factor, over that of all; NaN if one is not finite.
    """
    ours, theirs = (
        {**tree, "params": jax.tree.map(np.array, tree["params"])} for tree in (ours, theirs)
    )
    own = get_layer(ours["params"], head)
    other = get_layer(theirs["params"], head)
    other.clear()
    if "bias" in own:
        own["bias"] = np.zeros_like(own["bias"])
    other.update(own)
    apply = jax.jit(model.apply)
    before, after = (np.asarray(apply(tree, images), np.float64) for tree in (theirs, ours))
    factor = np.vdot(before, after) / np.vdot(before, before)
    return float(np.linalg.norm(after - factor * before) / np.linalg.norm(after))
