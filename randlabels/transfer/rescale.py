"""Rescaling a trained network to the weight norms of its initialisation (the paper's Figure 1).

Training makes kernels larger, which alone speeds up or slows down fine-tuning. Each kernel is
brought back to its Frobenius norm in a reference network; each bias is scaled as the outputs of its
layer are, by the product of the factors up to it, so that the function of a network of ReLU layers
only changes by a constant factor. What it means in front of a norm is said in
`randlabels.transfer.norms`.
"""

from typing import Any

import jax
import numpy as np

from randlabels.models.flow import Flow
from randlabels.models.naming import get_layer, layer_paths


def rescale_to_reference(params: Any, reference: Any, flow: Flow | None = None) -> Any:
    """Rescale one network's parameters, a nested dict.

    Args:
        params: trained parameters; layers that the reference lacks are an error.
        reference: parameters with the wanted kernel norms, of the same structure.
        flow: of the model; without it each layer is taken to read the one before, in the natural
            order of their names.

    Returns:
        New parameters; kernels have the reference's norm to rounding, in float32.

    Raises:
        ValueError: if the layers differ, or a kernel is zero.
    """
    paths = layer_paths(params)
    if paths != layer_paths(reference):
        raise ValueError(f"Layers {paths} cannot be rescaled to {layer_paths(reference)}.")
    scaled = jax.tree.map(np.array, params)
    factors: dict[str, float] = {}
    product = 1.0
    for path in paths:
        layer = get_layer(scaled, path)
        factors[path] = _norm_ratio(get_layer(reference, path)["kernel"], layer["kernel"], path)
        layer["kernel"] *= np.float32(factors[path])
    received = flow.input_factors(factors) if flow else None
    for path in paths:
        layer = get_layer(scaled, path)
        product = factors[path] * (received.get(path, 1.0) if received else product)
        if "bias" in layer:
            layer["bias"] *= np.float32(product)
    return scaled


def _norm_ratio(wanted: Any, kernel: Any, path: str) -> float:
    """Norm of one kernel over another's, in float64."""
    target, norm = (np.linalg.norm(np.asarray(x, np.float64)) for x in (wanted, kernel))
    if norm == 0 or not np.isfinite(norm):
        raise ValueError(f"The kernel of {path} has norm {norm} and cannot be rescaled.")
    if target == 0:
        raise ValueError(
            f"The kernel of {path} is zero at initialisation, so one that is trained cannot be "
            "rescaled to it; leave it out of the layers, or take it over not rescaled."
        )
    return float(target / norm)
