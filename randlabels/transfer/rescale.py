"""Rescaling a trained network to the weight norms of its initialisation (the paper's Figure 1).

Training makes kernels larger, which alone speeds up or slows down fine-tuning. Each kernel is
brought back to its Frobenius norm in a reference network; each bias is scaled by the product of
the factors up to its layer, so that the function of a network of ReLU layers only changes by a
constant factor. What it means in front of a batch norm is said in `randlabels.transfer.norms`.
"""

from typing import Any

import jax
import numpy as np

from randlabels.models.naming import get_layer, layer_paths


def rescale_to_reference(params: Any, reference: Any) -> Any:
    """Rescale one network's parameters, a nested dict with layers in forward order.

    Args:
        params: trained parameters; layers that the reference lacks are an error.
        reference: parameters with the wanted kernel norms, of the same structure.

    Returns:
        New parameters; kernels have the reference's norm to rounding, in float32.

    Raises:
        ValueError: if the layers differ, or a trained kernel is zero.
    """
    paths = layer_paths(params)
    if paths != layer_paths(reference):
        raise ValueError(f"Layers {paths} cannot be rescaled to {layer_paths(reference)}.")
    scaled = jax.tree.map(np.array, params)
    product = 1.0
    for path in paths:
        layer = get_layer(scaled, path)
        factor = _norm_ratio(get_layer(reference, path)["kernel"], layer["kernel"], path)
        layer["kernel"] *= np.float32(factor)
        product *= factor
        if "bias" in layer:
            layer["bias"] *= np.float32(product)
    return scaled


def _norm_ratio(wanted: Any, kernel: Any, path: str) -> float:
    """Norm of one kernel over another's, in float64."""
    norm = np.linalg.norm(np.asarray(kernel, np.float64))
    if norm == 0 or not np.isfinite(norm):
        raise ValueError(f"The kernel of {path} has norm {norm} and cannot be rescaled.")
    return float(np.linalg.norm(np.asarray(wanted, np.float64)) / norm)
