"""How large the outputs of networks are."""

from typing import Any

import jax
import numpy as np

from randlabels.analysis.layer_inputs import open_inputs, read_variables
from randlabels.runs import Run

IMAGES = 256


def logit_scale(run: Run, step: int) -> np.ndarray:
    """Root mean square of the logits of each network on the first 256 images of its task.

    Above about 1 the softmax is far from uniform before anything is learned.

    Args:
        run: which run.
        step: of the checkpoint; 0 is the start.

    Returns:
        float64 [network].
    """
    inputs, variables = open_inputs(run), read_variables(run, step)
    images = np.concatenate([x for x, _ in zip(inputs.batches(), range(4), strict=False)])

    @jax.jit
    def logits(variables: Any, x: np.ndarray) -> Any:
        return inputs.model.apply(variables, x)

    found = []
    for network in range(len(run.networks)):
        own = jax.tree.map(lambda x, k=network: x[k], variables)
        found.append(np.asarray(logits(own, images[:IMAGES]), np.float64))
    return np.sqrt(np.mean(np.square(found), axis=(1, 2)))
