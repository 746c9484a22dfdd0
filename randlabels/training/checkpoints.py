"""Writing checkpoints of a whole population, and going back to the newest intact one.

On disk: `checkpoints/<step>/state` (Orbax) and `checkpoints/<step>/meta` (JSON: epoch, and a
digest of each leaf, since Orbax notices no flipped byte). Arrays are saved as host arrays with
the leading axis `network`, so they can be read on any number of devices.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from randlabels import runs
from randlabels.errors import InputError


def open_manager(workdir: Path, kept_steps: Sequence[int]) -> ocp.CheckpointManager:
    """A manager that keeps the given steps and the two newest. Use it in a `with` statement:

    saves are asynchronous, and only closing the manager makes sure that they are on disk.
    """
    keep = policies.AnyPreservationPolicy([policies.CustomSteps(kept_steps), policies.LatestN(n=2)])
    return ocp.CheckpointManager(
        (workdir / runs.CHECKPOINTS).resolve(),
        options=ocp.CheckpointManagerOptions(
            preservation_policy=keep, cleanup_tmp_directories=True, create=True
        ),
    )


def save(manager: ocp.CheckpointManager, step: int, epoch: int, state: Any) -> None:
    """Start writing the state (host arrays) of a step; a step that is there already is kept."""
    if step in manager.all_steps():
        return
    digests = {name: runs.digest(leaf) for name, leaf in runs.named_leaves(state).items()}
    meta = {"epoch": epoch, "digests": digests}
    manager.save(
        step,
        args=ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave(meta)),
        force=True,
    )


def restore_newest(workdir: Path, like: Any) -> tuple[int, Any] | None:
    """The newest intact state as (step, host arrays), or None if nothing was saved yet.

    Args:
        workdir: of the run.
        like: a state of the same structure.

    Raises:
        InputError: if there are checkpoints but all are damaged.
    """
    if not runs.checkpoint_steps(workdir):
        return None
    step = runs.newest_intact_step(workdir)
    saved = runs.named_leaves(runs.read_state(workdir / runs.CHECKPOINTS / str(step)))
    names = list(runs.named_leaves(like))
    if set(names) != set(saved):
        raise InputError(
            f"The checkpoint of step {step} in {workdir} holds other arrays than this version "
            f"trains ({sorted(set(names) ^ set(saved))[:3]}); use a new --workdir."
        )
    return step, jax.tree.unflatten(jax.tree.structure(like), [saved[name] for name in names])
