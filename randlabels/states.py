"""What became of each network, and what is done with it: the one owner of these rules.

* `diverged`: its train loss, the loss of its batches or a parameter is not finite; or, at PATIENCE
  evaluations in a row or at the last, its train loss is more than LOSS_BOUND times that of equal
  logits (or that of its first evaluation, where that is larger), or the weights of a layer are more
  than WEIGHT_BOUND (see `largest_norm`; times config.model.init_scale where that is above 1).
* `dead`: at the last evaluation all units of a layer are 0 on all examples at all positions, so
  that nothing passes the layer and no gradient comes back.
* `untrained`: at the end its train accuracy is no better than chance: in more than UNTRAINED_LEVEL
  of all cases as many answers are right by chance, binomially, where each is with the probability
  of the most frequent label. That is what a constant answer achieves.
* `fine`: none of these.

Networks that diverged or died are *lost*: they are left out of pooled analyses and are no sources
of transfer, and the page of a study says how many there are. In comparisons of arms they stay, at
chance where their accuracy is not finite: left out, they would flatter their arm. Untrained ones
are counted and shown but stay everywhere: to be at chance is itself an outcome, of negative
transfer and of pre-training that was stopped early. A run of which all networks are lost has
failed.

All follows from the records of evaluations (metrics.jsonl), so that a run that was interrupted
comes to the same states as an unbroken one.
"""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import bdtrc

from randlabels.errors import AllLostError
from randlabels.networks import STATES, Network

LOSS_BOUND = 100.0  # 6 is the most in recorded runs, at the start
WEIGHT_BOUND = 1000.0  # fresh weights have init_scale; 13 is the most in recorded runs
PATIENCE = 3  # evaluations in a row
UNTRAINED_LEVEL = 0.001

_FINITE = ("loss", "train_loss", "norm")


@dataclasses.dataclass(frozen=True)
class Chance:
    """What networks achieve that have learned nothing.

    Attributes:
        loss: of equal logits.
        accuracy: of the best constant answer, [network].
        examples: on which train accuracy is measured.
    """

    loss: float
    accuracy: np.ndarray
    examples: int

    @classmethod
    def of(cls, labels: np.ndarray, loss: float) -> "Chance":
        """That of networks which learn these labels, int [network, example]."""
        most = [np.bincount(row).max() / len(row) for row in labels]
        return cls(loss, np.array(most), labels.shape[1])


class Watch:
    """Follows the evaluations of a population and writes the states into its table.

    Attributes:
        table: the network table; rows are replaced in place.
    """

    def __init__(self, table: list[Network], chance: Chance):
        self.table = table
        self._chance = chance
        self._weight_bound = WEIGHT_BOUND * np.array([max(1.0, row.init_scale) for row in table])
        self._loss_bound: np.ndarray | None = None  # [network], known from the first evaluation on
        self._streak = np.zeros(len(table), int)  # evaluations in a row beyond the bounds
        self._beyond = np.full(len(table), np.nan)  # epoch of the first of them
        self._dead = np.full(len(table), np.nan)  # epoch since when, as are those below
        self._diverged = np.full(len(table), np.nan)
        self._last: Mapping[str, Any] = {}

    def see(self, record: Mapping[str, Any]) -> list[Network]:
        """Take note of one evaluation; returns the rows whose state has changed.

        Args:
            record: of the population, {"epoch", "train_loss", ...}, values [network] or, as JSON
                has them, with None where they are not finite.
        """
        before = list(self.table)
        epoch, beyond = record["epoch"], self._is_beyond(record)
        self._streak = np.where(beyond, self._streak + 1, 0)
        self._beyond = _since(self._beyond, beyond, epoch)
        self._dead = _since(self._dead, _all_dead(record, len(self.table)), epoch)
        first = np.where(self._streak >= PATIENCE, self._beyond, np.nan)
        first = np.where(_not_finite(record, len(self.table)), epoch, first)
        self._diverged = np.where(np.isnan(self._diverged), first, self._diverged)
        self._last = record
        self._write()
        return self._changed(before)

    def finish(self) -> list[Network]:
        """Settle what is known at the end alone; returns as `see`."""
        before = list(self.table)
        beyond = np.where(self._streak > 0, self._beyond, np.nan)
        self._diverged = np.where(np.isnan(self._diverged), beyond, self._diverged)
        self._write()
        accuracy = np.array(self._last["train_accuracy"], float)
        for row, at_chance in zip(list(self.table), untrained(accuracy, self._chance), strict=True):
            if at_chance and not row.lost:
                self.table[row.network] = dataclasses.replace(
                    row, untrained_epoch=self._last["epoch"]
                )
        return self._changed(before)

    def _is_beyond(self, record: Mapping[str, Any]) -> np.ndarray:
        loss = np.array(record["train_loss"], float)
        if self._loss_bound is None:
            self._loss_bound = LOSS_BOUND * np.fmax(self._chance.loss, loss)
        beyond = loss > self._loss_bound
        if "norm" in record:
            beyond |= np.array(record["norm"], float) > self._weight_bound
        return beyond

    def _write(self) -> None:
        for row, diverged, dead in zip(list(self.table), self._diverged, self._dead, strict=True):
            lost = _epoch(diverged)
            self.table[row.network] = dataclasses.replace(
                row, diverged_epoch=lost, dead_epoch=_epoch(dead) if lost is None else None
            )

    def _changed(self, before: Sequence[Network]) -> list[Network]:
        pairs = zip(self.table, before, strict=True)
        return [row for row, was in pairs if row.state != was.state]


def untrained(accuracy: np.ndarray, chance: Chance) -> np.ndarray:
    """Whether train accuracies [network] are no better than chance, bool [network]."""
    correct = np.rint(accuracy * chance.examples)
    # bdtrc(k, n, p) is P(X > k), and NaN below k = 0.
    p = bdtrc(np.maximum(correct - 1, 0), chance.examples, chance.accuracy)
    return (correct < 1) | (p > UNTRAINED_LEVEL)


def counts(table: Iterable[Network]) -> dict[str, int]:
    """{state: how many networks}, of all states."""
    found = collections.Counter(row.state for row in table)
    return {state: found[state] for state in STATES}


def summary(table: Iterable[Network]) -> str:
    """How many networks there are in which state: "4 networks: 3 fine, 1 diverged"."""
    found = {state: count for state, count in counts(table).items() if count}
    total = sum(found.values())
    if list(found) == ["fine"]:
        return f"{total} network{'s' if total > 1 else ''}, all fine"
    parts = ", ".join(f"{count} {state}" for state, count in found.items())
    return f"{total} network{'s' if total > 1 else ''}: {parts}"


def refuse_if_all_lost(workdir: str | Path, table: Sequence[Network]) -> None:
    """Make sure that a run has networks left.

    Raises:
        AllLostError: if all of them diverged or died.
    """
    if all(row.lost for row in table):
        raise AllLostError(
            f"all networks of {workdir} are lost ({summary(table)}): lower "
            f"config.optimizer.learning_rate or config.model.init_scale, and use a new workdir."
        )


def _not_finite(record: Mapping[str, Any], networks: int) -> np.ndarray:
    found = np.zeros(networks, bool)
    for name in _FINITE:
        if name in record:
            found |= ~np.isfinite(np.array(record[name], float))
    return found


def _all_dead(record: Mapping[str, Any], networks: int) -> np.ndarray:
    found = np.zeros(networks, bool)
    for share in record["dead"].values():
        found |= np.array(share, float) == 1
    return found


def _since(since: np.ndarray, holds: np.ndarray, epoch: int) -> np.ndarray:
    """The epoch since when something holds without a break; NaN where it does not."""
    return np.where(holds, np.where(np.isnan(since), epoch, since), np.nan)


def _epoch(value: float) -> int | None:
    return None if np.isnan(value) else int(value)
