"""Eigenvalue maps of networks that are stopped at a train accuracy, and how far others' lie.

A network stops at the first checkpoint at which its train accuracy has reached the level, so the
stop is late by up to one interval between checkpoints. A network that never gets there has no map
at the stop: its values are NaN, a censored observation that is counted and shown.
"""

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from randlabels.analysis.records import Alignment
from randlabels.runs import Run
from randlabels.studies.readouts.curves import Curves, all_curves


@dataclasses.dataclass(frozen=True)
class StoppedMaps:
    """Networks of one learning rate, by seed, with what was kept of their training.

    Attributes:
        level: train accuracy at which a network stops.
        entries: of the diagonal of the inputs' covariance, or its square root [d], ascending.
        epochs: of the checkpoints [checkpoint], ascending.
        train: train accuracy [network, checkpoint]; NaN where it is not finite.
        maps: f [network, checkpoint, d], by ascending entry; NaN of a network that is lost.
        dead: share of the next layer's units that are silent on all examples at the end [network].
    """

    level: float
    entries: np.ndarray
    epochs: np.ndarray
    train: np.ndarray
    maps: np.ndarray
    dead: np.ndarray

    @functools.cached_property
    def reached(self) -> np.ndarray:
        """Which networks reach the level at a checkpoint, and have a map there, [network]."""
        return np.isfinite(self.stops)

    @property
    def lost(self) -> int:
        """How many networks have no maps, because they diverged or died."""
        return int(np.isnan(self.maps).any(axis=(1, 2)).sum())

    @functools.cached_property
    def stops(self) -> np.ndarray:
        """Epoch at which each network stops, [network]; NaN for one that never does."""
        there = (self.train >= self.level) & np.isfinite(self.maps).all(axis=2)
        return np.where(there.any(axis=1), self.epochs[there.argmax(axis=1)], np.nan)

    @property
    def epochs_to_level(self) -> np.ndarray:
        """Epochs until the level is reached, [network], by linear interpolation; else infinite."""
        return np.where(self.reached, Curves(self.epochs, self.train).steps_to(self.level), np.inf)

    @functools.cached_property
    def stopped(self) -> np.ndarray:
        """f where each network stops, [network, d]; NaN for one that never does."""
        chosen = np.searchsorted(self.epochs, np.where(self.reached, self.stops, self.epochs[0]))
        found = self.maps[np.arange(len(self.maps)), chosen]
        return np.where(self.reached[:, None], found, np.nan)

    def at(self, entry: float) -> np.ndarray:
        """f at the entry of the diagonal that is nearest, where each network stops, [network]."""
        return self.stopped[:, self._nearest(entry)]

    def kept_at(self, entry: float) -> np.ndarray:
        """The same at every checkpoint, wherever networks stop, [network, checkpoint]."""
        return self.maps[:, :, self._nearest(entry)]

    def distance(self, points: Mapping[float, float]) -> np.ndarray:
        """Root mean square, over points {entry: f}, of f / f(point) - 1 at the stop, [network]."""
        return self._distance(self.stopped, points)

    def distances(self, points: Mapping[float, float]) -> np.ndarray:
        """The same at every checkpoint, wherever networks stop, [network, checkpoint]."""
        return self._distance(self.maps, points)

    def _distance(self, maps: np.ndarray, points: Mapping[float, float]) -> np.ndarray:
        ours = maps[..., [self._nearest(entry) for entry in points]]
        return np.sqrt(np.square(ours / np.array(list(points.values())) - 1).mean(axis=-1))

    def _nearest(self, entry: float) -> int:
        return int(np.argmin(abs(self.entries - entry)))


def read_stopped_maps(
    run: Run, alignment: Alignment, layer: str, next_layer: str, level: float
) -> dict[float, StoppedMaps]:
    """{learning rate: its networks}, rates ascending, of a run on Gaussian inputs.

    The run has to be evaluated wherever it keeps a checkpoint.

    Args:
        run: whose learning rate is swept.
        alignment: of its checkpoints.
        layer: whose maps these are, one that reads the inputs.
        next_layer: whose dead units are counted.
        level: see `StoppedMaps`.
    """
    entries = np.array(run.config["data"]["diagonal"])
    maps = np.full((len(run.networks), len(run.steps), len(entries)), np.nan)
    for record in alignment.of_layer(layer):
        if record.network is not None:
            # Eigenvalues, and with them maps, are in descending order.
            maps[record.network, run.steps.index(record.step)] = record.tau[::-1]
    evaluated, accuracies = all_curves(run)
    kept = np.searchsorted(evaluated, run.steps)
    found = {}
    for rate in sorted({row.learning_rate for row in run.networks}):
        rows = [row.network for row in run.networks if row.learning_rate == rate]
        found[rate] = StoppedMaps(
            level=level,
            entries=entries,
            epochs=np.array(run.steps) // run.steps_per_epoch,
            train=accuracies[rows][:, kept],
            maps=maps[rows],
            dead=np.array(run.metrics[-1]["dead"][next_layer], float)[rows],
        )
    return found


def fastest(rates: Mapping[float, StoppedMaps]) -> float | None:
    """The learning rate at which networks reach the level soonest, by the mean of their epochs.

    None if at no rate all networks reach it: one that does not would make the mean infinite.
    """
    epochs = {rate: cell.epochs_to_level.mean() for rate, cell in rates.items()}
    rate = min(epochs, key=lambda rate: epochs[rate])
    return rate if np.isfinite(epochs[rate]) else None
