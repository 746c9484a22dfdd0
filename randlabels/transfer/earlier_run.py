"""The earlier run whose networks are taken over; each of its checkpoints is read once."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import logging
from ml_collections import ConfigDict

from randlabels.analysis.layer_inputs import check_model, open_inputs, read_variables
from randlabels.analysis.layers import LayerInputs
from randlabels.config_rules import flatten
from randlabels.data.generators import generator_named
from randlabels.eigen import descending_eigh, energy_profile, flatten_kernel
from randlabels.errors import InputError
from randlabels.models.naming import get_layer
from randlabels.proofs import FINISHED, HEALTHY
from randlabels.records import plain
from randlabels.runs import CHECKPOINTS, Run, load_run, newest_intact_step, read_meta
from randlabels.saved_config import differences, read_config, with_defaults
from randlabels.transfer.arm_rules import arms_that_read
from randlabels.transfer.drawn import TrainedLayer
from randlabels.transfer.procrustes import cross_covariances, procrustes_rotation


@dataclasses.dataclass(frozen=True, eq=False)  # caches are per object
class Checkpoint:
    """One checkpoint of an earlier run.

    Attributes:
        earlier: the run.
        variables: of the networks, {"params": ..., "batch_stats": ...}, leaves [network, ...].
    """

    earlier: "EarlierRun"
    variables: Any

    @property
    def params(self) -> Any:
        """The parameters, leaves [network, ...]."""
        return self.variables["params"]

    def layer(
        self, path: str, networks: tuple[int, ...], inputs: LayerInputs, variables: Any
    ) -> TrainedLayer:
        """A layer of some of the networks, for one that starts from it.

        Args:
            path: of the layer.
            networks: of this run.
            inputs: of the layers of the network that starts.
            variables: of the network that starts, {"params": ..., ...}, as set so far.
        """
        return TrainedLayer(
            functools.partial(self.filters, path, networks),
            functools.partial(self.eigenvalue_map, path, networks),
            functools.partial(self.rotations, path, networks, inputs, variables),
        )

    def filters(self, path: str, networks: Sequence[int]) -> np.ndarray:
        """Filters [network, d, m] of a layer."""
        kernels = get_layer(self.params, path)["kernel"][np.asarray(networks)]
        return np.stack([flatten_kernel(kernel) for kernel in kernels])

    @functools.cache  # noqa: B019 a checkpoint lives as long as the start of one population
    def eigenvalue_map(self, path: str, networks: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """(sigma [d], tau [d]) of a layer: root mean squares over networks, by rank.

        Each network has inputs of its own, so the i-th eigenvectors are different directions.
        """
        squares = []
        for network, kernel in zip(networks, self.filters(path, networks), strict=True):
            own = self._network(network)
            values, vectors = descending_eigh(self.earlier.inputs.moments(own, path).covariance)
            squares.append((np.maximum(values, 0), energy_profile(vectors, kernel) ** 2))
        sigma, tau = np.sqrt(np.mean(squares, axis=0))
        return sigma, tau

    def rotations(
        self, path: str, networks: Sequence[int], inputs: LayerInputs, variables: Any
    ) -> np.ndarray:
        """Q [network, c, c] from the channels that a layer of each network receives to a new one's.

        Both are shown the images of the new one. Args as of `layer`.

        Raises:
            ValueError: if the layer receives inputs of other shapes there, or they are all dead.
        """
        theirs = dataclasses.replace(inputs, model=self.earlier.inputs.model)
        old = [theirs.received(self._network(network), path) for network in networks]
        new = inputs.received(variables, path)
        crosses = cross_covariances(new, old, inputs.channels(path))
        return np.stack([procrustes_rotation(cross) for cross in crosses])

    def _network(self, network: int) -> Any:
        """The variables of one network."""
        return jax.tree.map(lambda x: x[network], self.variables)


@dataclasses.dataclass(frozen=True, eq=False)
class EarlierRun:
    """A run from which networks start."""

    run: Run

    @property
    def healthy_networks(self) -> list[int]:
        """The networks that neither diverged nor died; others are no sources."""
        return self.run.healthy_networks

    @functools.cache  # noqa: B019 as above
    def checkpoint(self, step: int) -> Checkpoint:
        """The checkpoint of a step, -1 for the newest.

        Raises:
            InputError: if it is missing or damaged.
        """
        return Checkpoint(self, read_variables(self.run, self._found(step)))

    @functools.cache  # noqa: B019 as above
    def _found(self, step: int) -> int:
        newest = self.run.steps[-1] if self.run.steps else step
        return newest_intact_step(self.run.workdir, newest if step < 0 else step)

    def identity(self, config: ConfigDict) -> dict[str, Any]:
        """By which a run knows what its networks start from.

        {step: digest of its meta} of the checkpoints that a config's networks start from, and which
        networks are sources: of a run that goes on, some may be lost later.
        """
        folder = self.run.workdir / CHECKPOINTS
        steps = sorted({self._found(step) for step in source_steps(config)})
        digests = {str(step): read_meta(folder / str(step)).get("digest", "") for step in steps}
        return digests | {HEALTHY: self.healthy_networks}

    @functools.cached_property
    def inputs(self) -> LayerInputs:
        """What the layers of its networks receive of the images that they learned."""
        return open_inputs(self.run)


def open_earlier_run(config: ConfigDict) -> EarlierRun | None:
    """The earlier run that the arms read; None where none is read.

    Raises:
        InputError: if the run or step is missing or damaged, or its data or model differ from
            this config's in a way that makes the transfer meaningless.
    """
    if not arms_that_read(flatten(config)):
        return None
    run = load_run(config.init.run)
    # Rotated inputs are how a study of Proposition 1 makes initial weights that are not isotropic.
    free = {"data.augment", "data.test_size", "data.rotation_seed", "data.label_axes"}
    if generator_named(config.data.name) is None:
        free.add("data.downstream_size")  # of a stored data set, upstream does not depend on it

    def compared(fields: dict[str, Any]) -> dict[str, Any]:
        shared = {n: v for n, v in fields.items() if n.startswith("data.") and n not in free}
        return shared | {"model.name": fields["model.name"]}

    theirs = with_defaults(read_config(run.workdir / "config.json"))
    differing = differences(compared(plain(flatten(config))), compared(theirs))
    if differing:
        raise InputError(
            f"config.init.run {config.init.run} cannot be transferred: " + "; ".join(differing)
        )
    check_model(run)
    earlier = EarlierRun(run)
    for step in source_steps(config):
        earlier.checkpoint(step)
    if -1 in source_steps(config) and run.status["state"] not in FINISHED:
        logging.warning(
            "%s is not finished (%s); networks start from its newest checkpoint, of step %d.",
            run.workdir,
            run.status["state"],
            run.steps[-1],
        )
    return earlier


def source_steps(config: ConfigDict) -> tuple[int, ...]:
    """The steps of the earlier run that networks start from, as the config gives them."""
    return tuple(dict(config.population.sweep).get("init.step", (config.init.step,)))
