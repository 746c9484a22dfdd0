"""When a run saves checkpoints, and what they know of its records."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from randlabels import hosts, interrupts, proofs
from randlabels.training import checkpoints, mending
from randlabels.training.setup import Setup

Tree = Any


def kept_steps(config: ConfigDict, per_epoch: int) -> list[int]:
    """The steps whose checkpoints are kept, the last at the end."""
    return [epoch * per_epoch for epoch in (*config.train.checkpoint_epochs, config.train.epochs)]


@contextlib.contextmanager
def saving(
    setup: Setup, directory: Path, found: mending.Agreed, journal: proofs.Journal | None
) -> Iterator["Saver"]:
    """What saves checkpoints of a run that goes on from `found`, in process 0."""
    if journal is None:
        yield Saver(setup)
        return
    kept = kept_steps(setup.config, setup.steps_per_epoch)
    with checkpoints.open_manager(directory, kept) as writer:
        yield Saver(setup, writer, journal, mending.continued(found, setup.identity))


class Saver:
    """Saves a checkpoint where one is kept, where it is time for one, and where a signal came.

    The states of all networks come together for it, so that all processes have to have one; only
    that of process 0 has a writer.
    """

    def __init__(
        self,
        setup: Setup,
        writer: checkpoints.Writer | None = None,
        journal: proofs.Journal | None = None,
        of: Mapping[str, Any] | None = None,
    ) -> None:
        self._setup, self._journal, self._writer, self._of = setup, journal, writer, of or {}
        self._kept = kept_steps(setup.config, setup.steps_per_epoch)
        self._saved_at = time.monotonic()

    def wait(self) -> None:
        """Wait until what was started is on disk."""
        if self._writer:
            self._writer.wait()

    def after(self, epoch: int, state: Tree) -> None:
        """Save the state after an epoch if it is due.

        Raises:
            Interrupted: if a signal has come; what was trained is on disk then.
        """
        setup, step = self._setup, epoch * self._setup.steps_per_epoch
        late = time.monotonic() - self._saved_at >= setup.config.train.resume_seconds
        due, stop = hosts.largest(late, interrupts.requested())
        if step in self._kept or due or stop:
            host_state = setup.layout.gather(state)
            if self._writer and self._journal:
                evidence = self._evidence(self._journal)
                checkpoints.save(self._writer, step, epoch, host_state, evidence)
            self._saved_at = time.monotonic()
        if stop and epoch < setup.config.train.epochs:
            self.wait()
            raise interrupts.interrupted_after(epoch, stop)

    def _evidence(self, journal: proofs.Journal) -> dict[str, Any]:
        """What a checkpoint knows of the records."""
        return {
            "config": self._setup.config.to_dict(),
            "networks": [dataclasses.asdict(row) for row in self._setup.table],
            "of": self._of,
            "metrics": journal.extent,
        }
