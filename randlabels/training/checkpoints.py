"""Writing checkpoints of a whole population, and going back to one of them.

On disk: `checkpoints/<step>/state` (Orbax) and `checkpoints/<step>/meta` (JSON: step, epoch, what
proves the records, see `randlabels.proofs`, and a digest of each leaf, since Orbax notices no
flipped byte). Arrays are saved as host arrays with the leading axis `network`, so they can be read
on any number of devices.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from randlabels import disk, hosts, proofs, runs
from randlabels.errors import InputError

_LONGEST = 45.0  # seconds for writing a checkpoint, and
_SLOWEST = 5e6  # bytes a second on top of them; beyond that the disk has stopped


class Writer:
    """Writes checkpoints of a run, one at a time, in a thread of its own.

    Orbax's own threads report an error several times over, and may be waited for without end.
    """

    def __init__(self, manager: ocp.CheckpointManager, folder: Path) -> None:
        self._manager, self._folder = manager, folder
        self._thread: threading.Thread | None = None
        self._errors: list[BaseException] = []
        self._limit = _LONGEST

    @property
    def idle(self) -> bool:
        """Whether nothing is being written."""
        return self._thread is None

    def all_steps(self) -> list[int]:
        """The steps that are on disk, of those that Orbax knows."""
        self.wait()
        return list(self._manager.all_steps())

    def start(self, function: Callable[[], Any], size: int) -> None:
        """Run a function in the background as soon as what was started before has ended.

        Args:
            function: that writes.
            size: of what it writes, in bytes.

        Raises:
            InputError: as `wait`.
        """
        self.wait()
        self._limit = _LONGEST + size / _SLOWEST
        self._thread = threading.Thread(target=self._run, args=(function,), daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until what was started is on disk.

        Raises:
            InputError: if it does not get there in time.
            Exception: whatever prevents it.
        """
        if self._thread is None:
            return
        self._thread.join(self._limit)
        if self._thread.is_alive():
            waited, self._limit = self._limit, 0.0  # once is enough
            raise InputError(
                f"writing to {self._folder} has not ended after {waited:.0f} s; see to the disk, "
                "and give the same command."
            )
        self._thread = None
        if self._errors:
            raise self._errors.pop()

    def save(self, step: int, state: Any, meta: Mapping[str, Any]) -> None:
        """Start writing a state (host arrays, which may change afterwards)."""
        state = jax.tree.map(np.array, state)
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(dict(meta))
        )
        self.start(lambda: self._manager.save(step, args=arguments, force=True), size_of(state))

    def close(self) -> None:
        """Wait for what was started, and close the manager.

        Raises:
            InputError, Exception: as `wait`.
        """
        self.start(self._manager.close, 0)
        self.wait()

    def _run(self, function: Callable[[], Any]) -> None:
        try:
            function()
        except BaseException as error:  # it is raised where it is waited for
            self._errors.append(error)


@contextlib.contextmanager
def open_manager(workdir: Path, kept_steps: Sequence[int]) -> Iterator[Writer]:
    """A writer that keeps the given steps and the two newest.

    Saves are asynchronous; when the body ends they are on disk, or an exception says why not.
    Half-written checkpoints, of this process or of one that was killed, are removed.
    """
    folder = (workdir / runs.CHECKPOINTS).resolve()
    keep = policies.AnyPreservationPolicy([policies.CustomSteps(kept_steps), policies.LatestN(n=2)])
    disk.remove_temporaries(folder)
    options = ocp.CheckpointManagerOptions(
        preservation_policy=keep,
        create=not hosts.several(),  # Orbax refuses to where other processes are left out
        enable_async_checkpointing=False,
        multiprocessing_options=hosts.orbax_options(),
    )
    folder.mkdir(parents=True, exist_ok=True)
    with _no_reports():
        writer = Writer(ocp.CheckpointManager(folder, options=options), folder)
        try:
            yield writer
            writer.close()
        except BaseException:
            with contextlib.suppress(Exception):
                writer.wait()
            if writer.idle:
                disk.remove_temporaries(folder)
            raise


@contextlib.contextmanager
def _no_reports() -> Iterator[None]:
    """Without what Orbax logs: its exceptions say the same, and come to whoever waits."""

    def of_others(record: logging.LogRecord) -> bool:
        return "orbax" not in record.pathname

    logger = logging.getLogger("absl")
    logger.addFilter(of_others)
    try:
        with runs.without_closed_loops():
            yield
    finally:
        logger.removeFilter(of_others)


def save(
    writer: Writer, step: int, epoch: int, state: Any, evidence: Mapping[str, Any] | None = None
) -> None:
    """Start writing the state (host arrays) of a step; a step that is there already is kept.

    Args:
        writer: from `open_manager`.
        step: completed updates.
        epoch: completed epochs.
        state: leaves lead with the axis `network`.
        evidence: {"config", "networks", "metrics"}: the records at this time, see `proofs`; none
            for a checkpoint without any.

    Raises:
        Exception: if the one before could not be written.
    """
    if step in writer.all_steps():
        return
    digests = {name: runs.digest(leaf) for name, leaf in runs.named_leaves(state).items()}
    meta = {"step": step, "epoch": epoch, "digests": digests, "metrics": proofs.NOTHING_YET}
    writer.save(step, state, proofs.sealed(meta | dict(evidence or {})))


def size_of(state: Any) -> int:
    """Bytes of a checkpoint of a state; on disk it is at most that, since Orbax compresses."""
    return sum(np.asarray(leaf).nbytes for leaf in jax.tree.leaves(state))


def restore(workdir: Path, step: int, like: Any) -> Any:
    """The state of a step as host arrays.

    Raises:
        InputError: if it is damaged, or of another structure than `like`.
    """
    saved = runs.named_leaves(runs.read_state(workdir / runs.CHECKPOINTS / str(step)))
    names = list(runs.named_leaves(like))
    if set(names) != set(saved):
        raise InputError(
            f"The checkpoint of step {step} in {workdir} holds other arrays than this version "
            f"trains ({sorted(set(names) ^ set(saved))[:3]}); use a new workdir."
        )
    return jax.tree.unflatten(jax.tree.structure(like), [saved[name] for name in names])
