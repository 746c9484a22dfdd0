"""Arms whose filters are drawn: from the covariance of an earlier run, or from data."""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np

from randlabels.eigen import filter_covariance, pool_networks
from randlabels.errors import InputError
from randlabels.networks import Network
from randlabels.transfer.covariance import draw_filters
from randlabels.transfer.curves import CURVES_FROM_RUN, parse_curve
from randlabels.transfer.layerwise import Moments, draw_aligned


@dataclasses.dataclass(frozen=True)
class TrainedLayer:
    """One layer of the networks of an earlier run that count, read when it is asked for."""

    filters: Callable[[], np.ndarray]  # [network, d, m]
    eigenvalue_map: Callable[[], tuple[np.ndarray, np.ndarray]]  # (sigma [d], tau [d])


@dataclasses.dataclass(frozen=True)
class LayerToDraw:
    """What the filters of one layer of one network may be drawn from.

    Attributes:
        row: of the network table.
        path: of the layer.
        first: whether its inputs are the data.
        key: JAX PRNG key of this network, arm and layer.
        shape: of the kernel.
        moments: of the layer's inputs, under the layers below as they are set.
        trained: the layer in the earlier run, where the arm reads one.
    """

    row: Network
    path: str
    first: bool
    key: jax.Array
    shape: tuple[int, ...]
    moments: Moments
    trained: TrainedLayer | None


def draw_from_covariance(layer: LayerToDraw) -> np.ndarray:
    """Filters with the second-order statistics of the earlier run's.

    Those of the first layer are N(0, Sigma_w). The weights of a deeper layer belong to the channels
    of the network that learned them, which mean nothing after a redrawn layer: there the
    eigenvectors are those of the inputs it gets now, and only tau is taken over, by rank, from the
    earlier run's own eigenvectors.

    Raises:
        InputError: if there are too few filters for a covariance.
    """
    assert layer.trained is not None  # the arm reads a run
    if layer.first:
        sigma_w = _pooled_covariance(layer.path, layer.trained.filters())
        return draw_filters(layer.key, sigma_w, layer.shape)
    _, tau = layer.trained.eigenvalue_map()
    return draw_aligned(layer.key, layer.shape, layer.moments, lambda sigma: tau, centered=True)


def draw_from_data(layer: LayerToDraw) -> np.ndarray:
    """Filters with the eigenvectors of the layer's inputs and the curve that the row names."""
    name = layer.row.curve or ""
    if name in CURVES_FROM_RUN:
        assert layer.trained is not None
        curve = CURVES_FROM_RUN[name](*layer.trained.eigenvalue_map())
    else:
        curve = parse_curve(name)
    centered = bool(layer.row.centered)
    return draw_aligned(layer.key, layer.shape, layer.moments, curve, centered)


def _pooled_covariance(path: str, kernels: np.ndarray) -> np.ndarray:
    """Sigma_w of the filters [network, d, m] pooled."""
    filters = pool_networks(kernels)
    dim, count = filters.shape
    if count <= dim:
        raise InputError(
            f"The covariance of {path} has {dim} dimensions but only {count} filters; pool at "
            f"least {dim // kernels.shape[-1] + 1} networks (config.init.covariance='pooled' and "
            f"that many seeds upstream), or leave {path} out of config.init.layers."
        )
    return filter_covariance(filters)
