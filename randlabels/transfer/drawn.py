"""Arms whose filters are drawn: from what an earlier run learned, or from data.

What carries over to layers behind a redrawn one is the question: the weights of a deeper layer
belong to the channels of the network that learned them. `draw_by_rank` takes over no direction,
`draw_from_rotated_covariance` finds the old channels in the new network, and `shuffle_filters` is
the control that has the weights but no covariance.
"""

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
from randlabels.transfer.procrustes import rotate_filters


@dataclasses.dataclass(frozen=True)
class TrainedLayer:
    """One layer of the networks of an earlier run that count, read when it is asked for.

    `rotations` go from the channels of each of them to those of the network that starts.
    """

    filters: Callable[[], np.ndarray]  # [network, d, m]
    eigenvalue_map: Callable[[], tuple[np.ndarray, np.ndarray]]  # (sigma [d], tau [d])
    rotations: Callable[[], np.ndarray]  # [network, c, c]


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
    """Filters N(0, Sigma_w) of the first layer, whose channels are those of the data.

    Raises:
        InputError: for a deeper layer, or if there are too few filters for a covariance.
    """
    assert layer.trained is not None  # the arm reads a run
    if not layer.first:
        raise InputError(
            f"Arm {layer.row.arm} draws only the first layer, not {layer.path}, whose weights "
            "belong to the channels of the network that learned them; use arm "
            "procrustes_covariance or by_rank."
        )
    sigma_w = _pooled_covariance(layer.path, layer.trained.filters())
    return draw_filters(layer.key, sigma_w, layer.shape)


def draw_from_rotated_covariance(layer: LayerToDraw) -> np.ndarray:
    """Filters N(0, Sigma_w) of any layer, Sigma_w rotated to the channels of this network.

    The filters of each network of the earlier run are rotated by themselves, then pooled. Filters
    of the first layer stay as they are. Where there are fewer of them than dimensions, as nearly
    always in deeper layers, Sigma_w is singular and new filters lie in the span of the old ones.
    """
    assert layer.trained is not None  # the arm reads a run
    filters = layer.trained.filters()
    if not layer.first:
        pairs = zip(filters, layer.trained.rotations(), strict=True)
        filters = np.stack([rotate_filters(own, rotation) for own, rotation in pairs])
    sigma_w = filter_covariance(pool_networks(filters))
    return draw_filters(layer.key, sigma_w, layer.shape)


def draw_by_rank(layer: LayerToDraw) -> np.ndarray:
    """Filters with the eigenvectors of the inputs that the layer gets now, and the old tau.

    tau is measured along the eigenvectors of what the earlier networks' own layers received, and
    taken over by rank of the eigenvalue: i-th to i-th. No direction is taken over.
    """
    assert layer.trained is not None  # the arm reads a run
    _, tau = layer.trained.eigenvalue_map()
    return draw_aligned(layer.key, layer.shape, layer.moments, lambda sigma: tau, centered=True)


def shuffle_filters(layer: LayerToDraw) -> np.ndarray:
    """The weights of the layer of the network that the row names, in a random order.

    All entries of the kernel change places, across pixels, channels and filters. The layer keeps
    the distribution of its weights, hence its norm; every two weights of a filter covary alike (as
    the mean weight makes them), so no direction stands out but the constant one.
    """
    assert layer.trained is not None  # the arm reads a run
    (filters,) = layer.trained.filters()
    order = np.asarray(jax.random.permutation(layer.key, filters.size))
    return filters.astype(np.float64).ravel()[order].reshape(layer.shape)


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
