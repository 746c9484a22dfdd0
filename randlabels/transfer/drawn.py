"""Arms whose filters are drawn: from the covariance of an earlier run, from data, from nothing."""

import dataclasses
import functools
import zlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from randlabels.analysis.layer_inputs import open_inputs, read_variables
from randlabels.analysis.layers import LayerInputs
from randlabels.arm_names import CURVES_FROM_RUN
from randlabels.eigen import (
    descending_eigh,
    energy_profile,
    filter_covariance,
    flatten_kernel,
    pool_networks,
)
from randlabels.errors import InputError
from randlabels.models.naming import get_layer, layer_paths
from randlabels.networks import Network
from randlabels.runs import Run
from randlabels.transfer import initialisers
from randlabels.transfer.covariance import draw_filters
from randlabels.transfer.curves import Curve, fitted_curve, measured_curve, parse_curve
from randlabels.transfer.layerwise import (
    Draw,
    draw_aligned,
    initialise_layer,
)


@dataclasses.dataclass(frozen=True, eq=False)  # one object for each checkpoint, hashed by identity
class Source:
    """One checkpoint of an earlier run."""

    run: Run
    step: int
    variables: Any  # leaves [network, ...]

    @classmethod
    def read(cls, run: Run, step: int) -> "Source":
        """Read a checkpoint that is whole."""
        return cls(run, step, read_variables(run, step))

    @property
    def params(self) -> Any:
        """The parameters, leaves [network, ...]."""
        return self.variables["params"]

    @functools.cached_property
    def inputs(self) -> LayerInputs:
        """What its layers receive of the images that it learned."""
        return open_inputs(self.run)

    def kernels(self, path: str, networks: Sequence[int]) -> np.ndarray:
        """Filters [network, d, m] of a layer."""
        kernels = get_layer(self.params, path)["kernel"][np.asarray(networks)]
        return np.stack([flatten_kernel(kernel) for kernel in kernels])

    @functools.cache  # noqa: B019 a source lives as long as the start of one population
    def eigenvalue_map(self, path: str, networks: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """(sigma [d], tau [d]) of a layer: root mean squares over networks, by rank.

        Each network has inputs of its own, so the i-th eigenvectors are different directions.
        """
        squares = []
        for network, kernel in zip(networks, self.kernels(path, networks), strict=True):
            own = jax.tree.map(lambda x, k=network: x[k], self.variables)
            values, vectors = descending_eigh(self.inputs.moments(own, path).covariance)
            squares.append((np.maximum(values, 0), energy_profile(vectors, kernel) ** 2))
        sigma, tau = np.sqrt(np.mean(squares, axis=0))
        return sigma, tau


def draw_layers(
    row: Network,
    layers: Sequence[str],
    variables: Any,
    inputs: LayerInputs,
    source: Source | None,
    pooled: bool,
) -> Any:
    """Draw layers of one network bottom-up, by the arm of its row; returns all its parameters.

    Arm `covariance`: the first layer's filters are N(0, Sigma_w), of the networks of the earlier
    run pooled or of the one that the row names. The weights of a deeper layer belong to the
    channels of the network that learned them, which mean nothing after a redrawn layer: there the
    eigenvectors are those of the inputs it gets now, and only tau is taken over, by rank, from the
    earlier run's own eigenvectors.

    Args:
        row: of the network table.
        layers: to be drawn, in forward order.
        variables: fresh, of this network.
        inputs: of the layers.
        source: what the arm reads, if it reads a run.
        pooled: whether all networks of the source count.

    Raises:
        InputError: if there are too few filters for a covariance, or a draw is useless.
    """
    variables = dict(variables)
    networks: tuple[int, ...] = ()
    if source is not None:
        networks = tuple(source.run.healthy_networks) if pooled else (row.taken_over[0],)
    for path in layers:
        first = path == layer_paths(variables["params"])[0]
        draw = _draw_of(row, path, first, source, networks)
        moments = functools.cache(functools.partial(inputs.moments, variables, path))
        match, biases = row.match or "weight_norm", row.biases or "zero"
        name = zlib.crc32(f"{row.arm} {path}".encode())
        key = jax.random.fold_in(jax.random.key(row.seed, impl="threefry2x32"), name)
        try:
            variables["params"] = initialise_layer(
                variables["params"], path, key, draw, moments, match, biases
            )
        except ValueError as error:
            raise InputError(f"Arm {row.arm} cannot set layer {path}: {error}") from error
    return variables["params"]


def _draw_of(
    row: Network, path: str, first: bool, source: Source | None, networks: tuple[int, ...]
) -> Draw:
    """How the arm of a row draws the filters of a layer."""
    if row.arm == "orthogonal":
        return lambda key, shape, moments: initialisers.orthogonal(key, shape)
    if row.arm == "smooth":
        return lambda key, shape, moments: initialisers.smooth(key, shape)
    if row.arm == "patch_whitening":
        return lambda key, shape, moments: initialisers.patch_whitening(
            *descending_eigh(moments().covariance), shape
        )
    if row.curve is not None:
        curve = _curve(row.curve, path, source, networks)
        return functools.partial(draw_aligned, f=curve, centered=bool(row.centered))
    assert source is not None  # the arm covariance reads a run
    if first:
        sigma_w = _pooled_covariance(path, source.kernels(path, networks))
        return lambda key, shape, moments: draw_filters(key, sigma_w, shape)
    _, tau = source.eigenvalue_map(path, networks)
    return functools.partial(draw_aligned, f=lambda sigma: tau, centered=True)


def _curve(text: str, path: str, source: Source | None, networks: tuple[int, ...]) -> Curve:
    if text not in CURVES_FROM_RUN:
        return parse_curve(text)
    assert source is not None
    make = {"measured": measured_curve, "fitted": fitted_curve}[text]
    return make(*source.eigenvalue_map(path, networks))


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
