"""The record of a run: config.json, networks.json and status.json; metrics.jsonl is a `Journal`.

These files are replaced as a whole, so that a crash leaves the old or the new one.
"""

import contextlib
import dataclasses
import datetime
import functools
import importlib.metadata
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from randlabels import progress, proofs, records, runs
from randlabels.config_rules import flatten
from randlabels.errors import InputError
from randlabels.networks import Network
from randlabels.saved_config import differences, flat, read_config, with_defaults
from randlabels.training import mending

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def claim(workdir: Path, config: ConfigDict) -> None:
    """Make sure that the workdir belongs to this config; write nothing yet.

    What is right, config.json or this config, most of the files tell that know it, and where as
    many know another, the newest checkpoint.

    Raises:
        InputError: if it holds the run of another config (with a list of the fields that differ),
            or something else.
    """
    checkpoints = workdir / runs.CHECKPOINTS
    if checkpoints.exists() and not checkpoints.is_dir():
        raise InputError(f"{checkpoints} is no folder; remove it, or use another workdir.")
    ours, trained = records.plain(flatten(config)), mending.configs_of_checkpoints(workdir)
    if not trained:
        if (workdir / "config.json").exists():
            _refuse_differences(workdir, ours, read_config(workdir / "config.json"))
        return
    same = [not differences(ours, with_defaults(one)) for one in trained]
    if not all(same) and not _is_ours(workdir, config, same):
        newest = max(i for i, one in enumerate(same) if not one)
        _refuse_differences(workdir, ours, trained[newest])
    for name in ("config.json", "status.json"):
        if not _readable(workdir / name, ours):
            progress.say(f"{name} in {workdir} is made anew.")


def _is_ours(workdir: Path, config: ConfigDict, checkpoints: Sequence[bool]) -> bool:
    """Whether a workdir with checkpoints of several configs is of this one.

    Args:
        workdir: of the run.
        config: this one.
        checkpoints: whether each is of this config, the oldest first.
    """
    votes = [*checkpoints, checkpoints[-1]]  # the newest counts twice
    if (workdir / "config.json").exists():
        votes.append(_readable(workdir / "config.json", records.plain(flatten(config))))
    with contextlib.suppress(OSError, ValueError, AttributeError):
        known = records.read_json(workdir / "status.json").get("config_digest")
        votes += [] if known is None else [known == proofs.digest_of(config.to_dict())]
    ours = votes.count(True)
    return ours > len(votes) - ours or (2 * ours == len(votes) and checkpoints[-1])


def _readable(path: Path, ours: dict[str, Any]) -> bool:
    """Whether a record can be read and, if it is the config, is ours."""
    try:
        saved = records.read_json(path)
        return bool(saved) and (
            path.name != "config.json" or not differences(ours, with_defaults(flat(saved)))
        )
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def _refuse_differences(workdir: Path, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    lines = differences(ours, with_defaults(theirs))
    if lines:
        raise InputError(
            f"workdir {workdir} holds a run of another config; use another folder or the same "
            f"config. " + "; ".join(lines)
        )


def write_config(workdir: Path, config: ConfigDict) -> None:
    """Write config.json."""
    workdir.mkdir(parents=True, exist_ok=True)
    records.write_json(workdir / "config.json", config.to_dict())


def write_table(workdir: Path, table: Sequence[Network]) -> None:
    """Write networks.json."""
    records.write_json(workdir / "networks.json", [dataclasses.asdict(row) for row in table])


def write_status(workdir: Path, state: str, **details: Any) -> None:
    """Write status.json: the state and what the run runs on.

    The state is running, done, lost (no network is left), interrupted or failed.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    record = {
        "state": state,
        "started": now if state == "running" else _started(workdir) or now,
        "updated": now,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "devices": [f"{d.platform} {d.device_kind}" for d in jax.devices()],
        "cpus": os.cpu_count(),
        "git_revision": git_revision(),
        **details,
    }
    records.write_json(workdir / "status.json", record)


def _started(workdir: Path) -> str | None:
    """When a run was started, None if its status cannot be read."""
    try:
        started = records.read_json(workdir / "status.json")["started"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return started if isinstance(started, str) else None


@functools.cache  # the code that runs is that of the start
def git_revision() -> str | None:
    """The commit of the code that runs, with `+` if files differ from it; None outside git."""
    folder = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
