"""How the files of a run prove each other.

Each checkpoint's meta has the config, the network table as it was, and how far metrics.jsonl had
come: how many lines, and the digest of all of them. A digest of the meta itself stands in it. So a
file that was deleted, cut, filled with garbage or taken from another run does not fit any more.
"""

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from randlabels.data.sketch import agree
from randlabels.errors import InputError
from randlabels.networks import EPOCHS
from randlabels.records import append_line, line_of, plain, replace_bytes
from randlabels.saved_config import differences_of_saved

GROUPS = ("data", "labels", "model", "optimizer", "train", "population", "init")

# What a meta holds; "?" where a version, or a caller that keeps no records, leaves it out.
_META = {
    "step": int,
    "epoch": int,
    "digests": dict,
    "metrics": {"lines": int, "digest": str},
    "config?": dict,
    "networks?": list,
    "of?": {"data?": dict, "sources?": dict, "model?": dict},
}
_STATUS = {"state": str, "started": str, "updated": str, "versions": dict, "devices": list}
FINISHED = ("done", "lost")  # states of a run that has come to its end
UNFINISHED = ("running", "interrupted", "failed")
HEALTHY = "healthy"  # the networks of an earlier run that were sources
PARTS = ("initialisation", "train", "evaluation")  # of a model's identity
COMPARABLE = ("versions", "batch")  # what has to be the same for parts to be compared


def digest_of(value: Any) -> str:
    """SHA-256 of what JSON makes of a value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(plain(value), sort_keys=True).encode()).hexdigest()


def sealed(meta: Mapping[str, Any]) -> dict[str, Any]:
    """A meta as JSON holds it, with the digest of all the rest."""
    return plain(meta) | {"digest": digest_of(meta)}


def opened(meta: Any, step: int) -> dict[str, Any]:
    """A meta that was read back.

    Raises:
        ValueError: if it is damaged, or of another step than its folder says.
    """
    if not isinstance(meta, dict):
        raise ValueError("its meta is damaged")
    rest = {key: value for key, value in meta.items() if key != "digest"}
    if meta.get("digest") != digest_of(rest):
        raise ValueError("its meta is damaged")
    if not _fits(meta, _META):
        raise ValueError("its meta is of another form than this version's")
    if meta["step"] != step:
        raise ValueError(f"it is of step {meta['step']}, its folder was renamed")
    return meta


def _fits(value: Any, form: Any) -> bool:
    """Whether what a form names is there and of its type; a `?` after a name: if it is there."""
    if not isinstance(form, dict):
        return isinstance(value, form)
    return isinstance(value, dict) and all(
        _fits(value[name.rstrip("?")], of) if name.rstrip("?") in value else name.endswith("?")
        for name, of in form.items()
    )


class Journal:
    """metrics.jsonl as this process writes it, and the digest of all lines that it should have."""

    def __init__(self, path: Path, kept: bytes = b"") -> None:
        """Begin with the lines that are kept; others in the file are dropped."""
        self._path, self._digest = path, hashlib.sha256(kept)
        self._lines, self._size = kept.count(b"\n"), len(kept)
        replace_bytes(path, kept)

    def append(self, record: dict[str, Any]) -> None:
        """Write one record and make sure that it is on disk.

        Raises:
            InputError: if another has removed or changed the file meanwhile.
        """
        line = line_of(record)
        found = self._path.stat().st_size if self._path.exists() else None
        if found != self._size and self._path.parent.is_dir():
            raise InputError(
                f"{self._path} was {'removed' if found is None else 'changed'} by another while "
                "training wrote to it; give the same command."
            )
        append_line(self._path, line)
        self._digest.update(line)
        self._lines += 1
        self._size += len(line)

    @property
    def extent(self) -> dict[str, Any]:
        """How far it has come: {"lines", "digest"}."""
        return {"lines": self._lines, "digest": self._digest.hexdigest()}


NOTHING_YET = {"lines": 0, "digest": hashlib.sha256().hexdigest()}


def proven(text: bytes, extent: Mapping[str, Any]) -> bytes | None:
    """The lines of metrics.jsonl that a checkpoint knows of, None if they are not there as such."""
    lines = text.split(b"\n", extent["lines"])
    if len(lines) <= extent["lines"]:
        return None
    known = b"".join(line + b"\n" for line in lines[: extent["lines"]])
    return known if hashlib.sha256(known).hexdigest() == extent["digest"] else None


def identities(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the network table, without what training may still change in them."""
    return [{k: v for k, v in row.items() if k not in EPOCHS} for row in plain(rows)]


@dataclasses.dataclass(frozen=True)
class Files:
    """The records of a workdir as they were read.

    Attributes:
        config, networks, status: what their JSON files hold.
        metrics: the bytes of metrics.jsonl.
        steps: of all checkpoints that are there.
        metas: {step: meta} of those that can be read.
    """

    config: Any
    networks: Any
    status: Any
    metrics: bytes
    steps: Sequence[int]
    metas: Mapping[int, Mapping[str, Any]]


def check_records(files: Files) -> list[dict[str, Any]]:
    """The records of metrics.jsonl, if all files are of the same run and none has lost anything.

    Raises:
        ValueError: one clause that says which is damaged, or does not fit.
    """
    _check_forms(files)
    newest = files.metas[max(files.metas)] if files.metas else None
    _check_config(files)
    _check_kept(files)
    finished = files.status["state"] in FINISHED
    if finished and newest is not None and newest["step"] < _steps(files.config, ())[-1]:
        raise ValueError("status.json says that training has ended, and the last checkpoint is not")
    text = files.metrics[: files.metrics.rfind(b"\n") + 1]  # a crash, or just now, cut the rest
    if finished and newest is None:
        raise ValueError("none of its checkpoints can be read")
    if newest is not None:
        _check_networks(files.networks, newest, text, finished)
    return _metrics(files, newest, text, finished)


def check_origins(workdir: Path, metas: Mapping[int, Mapping[str, Any]]) -> None:
    """Make sure that checkpoints were trained on the same data, by one model, from one earlier run.

    Args:
        workdir: of the run.
        metas: {step: meta} of its checkpoints.

    Raises:
        InputError: if not: one of them was taken from another run.
    """
    # {what: all forms in which it is known, with the first step of each}: not all can be compared,
    # since another version may have noted less.
    seen: dict[str, list[tuple[int, Any]]] = {}
    for step in sorted(metas):
        of = metas[step].get("of", {})
        told = {f"data {name}": value for name, value in of.get("data", {}).items()}
        told |= {name: of[name] for name in ("sources", "model") if name in of}
        for name, value in told.items():
            others = seen.setdefault(name, [])
            if any(value == was for _, was in others):
                continue
            for earlier, was in others:
                if not _same(name, was, value):
                    raise InputError(
                        f"the checkpoints of steps {earlier} and {step} in {workdir} were trained "
                        "on different data, from different networks, or by different models; "
                        "remove the one of another run."
                    )
            others.append((step, value))


def _same(name: str, one: Any, other: Any) -> bool:
    if name == "sources":
        return same_sources(one, other)
    if name == "model":
        return not any(changed(one, other, part) for part in PARTS)
    return agree(one, other)


def same_sources(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether networks started from the same ones; an earlier version did not note which lived."""
    known = {HEALTHY} & one.keys() & other.keys()
    kept = [{k: v for k, v in of.items() if k != HEALTHY or k in known} for of in (one, other)]
    return kept[0] == kept[1]


def changed(was: Mapping[str, Any], now: Mapping[str, Any], part: str) -> bool:
    """Whether a model of the user's own computes something else, as far as two identities tell.

    Args:
        was: its identity, {} where it is not known.
        now: likewise.
        part: one of PARTS.
    """
    comparable = all(was.get(key) == now.get(key) for key in COMPARABLE)
    return comparable and part in was and part in now and bool(was[part] != now[part])


def _check_forms(files: Files) -> None:
    config, status = files.config, files.status
    groups = [config.get(group) for group in GROUPS] if isinstance(config, dict) else [None]
    if not all(isinstance(group, dict) for group in groups):
        raise ValueError("config.json is no config")
    if not isinstance(status, dict) or not all(
        isinstance(status.get(key), kind) for key, kind in _STATUS.items()
    ):
        raise ValueError("status.json is no status of a run")
    if status["state"] not in (*FINISHED, *UNFINISHED):
        raise ValueError(f"status.json has a state that is none, {status['state'][:50]!r}")
    if not isinstance(files.networks, list) or not files.networks:
        raise ValueError("networks.json is no network table")


def _check_config(files: Files) -> None:
    known = [meta["config"] for meta in files.metas.values() if "config" in meta]
    others = [config for config in known if config != files.config]
    if any(differences_of_saved(config, files.config) for config in others):
        raise ValueError("config.json does not fit the checkpoints")
    if files.status.get("config_digest") not in (None, digest_of(files.config)):
        raise ValueError("status.json is of another config")


def _check_kept(files: Files) -> None:
    """None of the checkpoints that are kept, up to the newest, may be gone."""
    kept = _steps(files.config, files.config["train"].get("checkpoint_epochs", ()))
    newest = max(files.metas, default=-1)
    gone = [step for step in kept if step <= newest and step not in files.steps]
    if gone:
        raise ValueError(f"the checkpoint of step {gone[0]} is missing")


def _steps(config: dict[str, Any], epochs: Sequence[int]) -> list[int]:
    """The steps of epochs and of the last, ascending."""
    try:
        train = config["train"]
        per_epoch = config["data"][f"{train['task']}_size"] // train["batch_size"]
        return sorted({epoch * per_epoch for epoch in (*epochs, train["epochs"])})
    except (KeyError, TypeError, ZeroDivisionError) as error:
        raise ValueError("config.json is no config") from error


def _check_networks(
    ours: list[dict[str, Any]], newest: Mapping[str, Any], text: bytes, finished: bool
) -> None:
    """The table is that of the newest checkpoint; only evaluations after it change states."""
    theirs = newest.get("networks")
    settled = finished or proven(text, newest["metrics"]) == text
    if theirs is not None and (
        ours != theirs if settled else identities(ours) != identities(theirs)
    ):
        raise ValueError("networks.json does not fit the checkpoints")


def _metrics(
    files: Files, newest: Mapping[str, Any] | None, text: bytes, finished: bool
) -> list[dict[str, Any]]:
    if newest is not None:
        known = {step: proven(text, meta["metrics"]) for step, meta in files.metas.items()}
        if None in known.values() or (finished and known[newest["step"]] != text):
            raise ValueError("metrics.jsonl does not fit the checkpoints")
    try:
        found = [json.loads(line) for line in text.splitlines()]
        steps = [record["step"] for record in found]
        ascending = all(a < b for a, b in itertools.pairwise(steps))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError("metrics.jsonl has a line that is no record") from error
    if not ascending:
        raise ValueError("metrics.jsonl has epochs twice")
    return found
