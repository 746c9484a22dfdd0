"""The record of a run: config.json, networks.json, status.json and metrics.jsonl.

All files but the metrics are replaced as a whole, so that a crash leaves the old or the new one.
"""

import dataclasses
import datetime
import importlib.metadata
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from randlabels import records, runs
from randlabels.config import flatten
from randlabels.errors import InputError
from randlabels.folders import check_folder
from randlabels.networks import Network
from randlabels.saved_config import differences, read_config, with_defaults

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def claim(workdir: Path, config: ConfigDict) -> None:
    """Make sure that the workdir can be written and belongs to this config; write nothing yet.

    Raises:
        InputError: if it cannot be written, or holds the run of another config (with a list of the
            fields that differ).
    """
    check_folder("--workdir", workdir)
    existing = next(path for path in (workdir, *workdir.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise InputError(f"--workdir {workdir} cannot be written to; choose another folder.")
    saved = workdir / "config.json"
    if not saved.exists():
        return
    theirs = with_defaults(read_config(saved))
    lines = differences(records.plain(flatten(config)), theirs)
    if lines:
        raise InputError(
            f"--workdir {workdir} holds a run of another config; use another folder or the same "
            f"config. " + "; ".join(lines)
        )


def is_finished(workdir: Path) -> bool:
    """Whether a run has come to its end and its last checkpoint is intact."""
    try:
        run = runs.load_run(workdir)
        last = run.steps_per_epoch * run.config["train"]["epochs"]
        return run.status["state"] in ("done", "diverged") and (
            runs.newest_intact_step(workdir, last) == last
        )
    except InputError:
        return False


def write_config(workdir: Path, config: ConfigDict) -> None:
    """Write config.json."""
    workdir.mkdir(parents=True, exist_ok=True)
    records.write_json(workdir / "config.json", config.to_dict())


def write_table(workdir: Path, table: Sequence[Network]) -> None:
    """Write networks.json."""
    records.write_json(workdir / "networks.json", [dataclasses.asdict(row) for row in table])


def write_status(workdir: Path, state: str, **details: Any) -> None:
    """Write status.json: the state (running, done, diverged, failed) and what the run runs on."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    path = workdir / "status.json"
    started = now
    if state != "running" and path.exists():
        started = json.loads(path.read_text())["started"]
    record = {
        "state": state,
        "started": started,
        "updated": now,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "devices": [f"{d.platform} {d.device_kind}" for d in jax.local_devices()],
        "cpus": os.cpu_count(),
        "git_revision": git_revision(),
        **details,
    }
    records.write_json(path, record)


def read_table(workdir: Path) -> list[Network]:
    """Read networks.json."""
    rows = json.loads((workdir / "networks.json").read_text())
    return [Network.from_json(row) for row in rows]


def append_metrics(workdir: Path, record: dict[str, Any]) -> None:
    """Append one line to metrics.jsonl."""
    records.append_json_line(workdir / "metrics.jsonl", record)


def truncate_metrics(workdir: Path, step: int) -> None:
    """Drop the lines after a step, so that a resumed run writes each line once."""
    path = workdir / "metrics.jsonl"
    lines = [r for r in records.read_json_lines(path) if r["step"] <= step]
    records.replace_text(path, "".join(json.dumps(line) + "\n" for line in lines))


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
