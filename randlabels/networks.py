"""The network table: one record for each network of a population, the key to all that is plotted.

Saved as `networks.json`, a list of objects with the fields of `Network`.
"""

import dataclasses
from typing import Any, Self

from randlabels.errors import InputError
from randlabels.records import typed

STATES = ("fine", "untrained", "dead", "diverged")  # `randlabels.states` has the rules

# Columns that tell the state, which training writes as it goes on.
EPOCHS = ("diverged_epoch", "dead_epoch", "untrained_epoch")


@dataclasses.dataclass(frozen=True)
class Network:
    """One row of the network table. A field that the network's arm does not read is None.

    Attributes:
        network: its number, the position along the leading axis of every array.
        arm: how it starts.
        seed: of its initial weights.
        label_seed: of its random labels.
        source: the network of the earlier run that it starts from.
        layers: config.init.layers, that its arm sets.
        source_step: the checkpoint of the earlier run, in updates.
        curve: config.init.curve.
        centered: config.init.centered.
        match: config.init.match.
        biases: config.init.biases.
        label_noise: share of its labels that are redrawn.
        init_scale: of its fresh weights.
        learning_rate: before any decay.
        momentum: of the optimizer.
        weight_decay: of the optimizer.
        diverged_epoch: since when it has diverged; None if it has not, as are those below.
        dead_epoch: since when all units of a layer are dead.
        untrained_epoch: the last one, if it ended at chance.
    """

    network: int
    arm: str
    seed: int
    label_seed: int = 0
    source: int | None = None
    layers: tuple[str, ...] | None = None
    source_step: int | None = None
    curve: str | None = None
    centered: bool | None = None
    match: str | None = None
    biases: str | None = None
    label_noise: float = 0.0
    init_scale: float = 1.0
    learning_rate: float = 0.0
    momentum: float = 0.0
    weight_decay: float = 0.0
    diverged_epoch: int | None = None
    dead_epoch: int | None = None
    untrained_epoch: int | None = None

    @property
    def state(self) -> str:
        """One of STATES; of an unfinished run, as of its last evaluation."""
        if self.diverged_epoch is not None:
            return "diverged"
        if self.dead_epoch is not None:
            return "dead"
        return "fine" if self.untrained_epoch is None else "untrained"

    @property
    def lost(self) -> bool:
        """Whether it diverged or died, and is left out of all that is concluded."""
        return self.state in ("diverged", "dead")

    @property
    def healthy(self) -> bool:
        """Whether it is not lost; it may have learned nothing."""
        return not self.lost

    @property
    def taken_over(self) -> tuple[int, int]:
        """(source, source_step) of a network whose arm reads an earlier run.

        Raises:
            ValueError: for any other network.
        """
        if self.source is None or self.source_step is None:
            raise ValueError(f"network {self.network}, arm {self.arm}, starts from no earlier run.")
        return self.source, self.source_step

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """The row that `dataclasses.asdict` and JSON made a record of.

        Raises:
            InputError: if a field is missing, unknown or of another type.
        """
        try:
            return typed(cls, record)
        except (TypeError, ValueError) as error:
            raise InputError(f"a row of the network table cannot be read ({error}).") from error


Table = tuple[Network, ...]
