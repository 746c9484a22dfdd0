"""Parts of a run, trained without each other (see `shards`), put together into one workdir.

The result is what training the whole population would have written: the same table, metrics and
checkpoints of the steps that are kept. It stands in its place only when it is whole.
"""

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from randlabels import disk, owner, progress, proofs, records, runs, states
from randlabels.data.sketch import agree, sketch
from randlabels.errors import InputError
from randlabels.folders import check_can_hold_checkpoints, check_folder
from randlabels.networks import Network
from randlabels.saved_config import differences_of_saved, open_config
from randlabels.training import checkpoints, shards
from randlabels.training import workdir as records_of_run
from randlabels.training.check import check
from randlabels.training.setup import Task, load_task

_SHARED = ("images", "test images", "channel moments")  # of a task: the same for all networks


def merge(directory: str | Path) -> runs.Run:
    """Put the parts of a run together, which stay as they are.

    Args:
        directory: the workdir of the whole run; the parts are in WORKDIR.shards.

    Raises:
        InputError: if a part is missing, unfinished or damaged, parts are of different configs,
            data or models, or the workdir holds something else. Nothing is left behind then.
        AllLostError: if all networks diverged or died; the workdir is written all the same.
    """
    directory = Path(directory)
    check_folder("workdir", directory)
    check_can_hold_checkpoints(directory)
    parts = _finished_parts(directory)
    config = _common_config(parts)
    if directory.exists() and any(directory.iterdir()):
        run = _merged_already(directory, config)
    else:
        with _made_beside(directory) as unfinished:
            _write(unfinished, config, parts)
        run = runs.load_run(directory)
    states.refuse_if_all_lost(directory, run.networks)
    return run


def _finished_parts(directory: Path) -> list[runs.Run]:
    """All parts of a run, in order.

    Raises:
        InputError: if one is missing, or has not come to its end.
    """
    found, folder = shards.parts_there(directory), shards.folder_of_parts(directory)
    counts = {shard.count for shard in found}
    if not found:
        raise InputError(f"there are no parts in {folder}; train them with --shard.")
    if len(counts) > 1:
        raise InputError(
            f"{folder} has parts of {' and of '.join(map(str, sorted(counts)))}; remove those that "
            "are not meant."
        )
    numbers = {shard.number for shard in found}
    missing = [f"{k}/{max(counts)}" for k in range(1, max(counts) + 1) if k not in numbers]
    if missing:
        raise InputError(
            f"{folder} lacks part{'s' * (len(missing) > 1)} {', '.join(missing)}; train with "
            f"--shard={missing[0]}."
        )
    parts = [runs.load_run(path) for path in found.values()]
    for shard, part in zip(found, parts, strict=True):
        if part.status["state"] not in proofs.FINISHED:
            raise InputError(
                f"part {shard} in {part.workdir} is {part.status['state']}; give its command again."
            )
        if part.config["population"].get("shard") != str(shard):
            raise InputError(f"{part.workdir} holds another part than its name says; rename it.")
    return parts


def _whole(saved: dict[str, Any]) -> dict[str, Any]:
    """A saved config without the part."""
    return saved | {"population": saved["population"] | {"shard": ""}}


def _common_config(parts: Sequence[runs.Run]) -> ConfigDict:
    first = _whole(parts[0].config)
    for part in parts[1:]:
        different = differences_of_saved(first, _whole(part.config))
        if different:
            raise InputError(
                f"{parts[0].workdir} and {part.workdir} are parts of different runs: "
                f"{'; '.join(different)}."
            )
    return check(open_config(first))


def _merged_already(directory: Path, config: ConfigDict) -> runs.Run:
    run = runs.load_run(directory)
    same = not differences_of_saved(records.plain(config.to_dict()), run.config)
    if not same or run.status["state"] not in proofs.FINISHED:
        raise InputError(f"workdir {directory} holds another run; move it, or remove it.")
    progress.say(f"{directory} is merged already.")
    return run


@contextlib.contextmanager
def _made_beside(directory: Path) -> Iterator[Path]:
    """A folder beside, which takes the place of `directory` when all is written into it."""
    unfinished = directory.with_name(f".{directory.name}.merging")
    directory.parent.mkdir(parents=True, exist_ok=True)
    try:
        with owner.owned(unfinished):
            for path in unfinished.iterdir():  # of a merging that was killed
                if path.name != owner.LOCK:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            yield unfinished
        os.rename(unfinished, directory)
    except BaseException:
        if not (unfinished / owner.LOCK).exists():  # else it is another's
            shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _write(folder: Path, config: ConfigDict, parts: Sequence[runs.Run]) -> None:
    table = shards.renumbered([row for part in parts for row in part.networks])
    task = load_task(config, table)
    per_epoch = parts[0].steps_per_epoch
    kept = sorted({e * per_epoch for e in (*config.train.checkpoint_epochs, config.train.epochs)})
    _check_same(parts, task, kept[-1])
    of = _meta(parts[0], kept[-1]).get("of", {}) | {"data": task.sketches}
    _check_space(folder, parts, len(kept))
    records_of_run.write_config(folder, config)
    journal = proofs.Journal(folder / "metrics.jsonl")
    told = {record["step"]: record for record in _joined([part.metrics for part in parts])}
    steps = progress.bar(sorted({*told, *kept}), desc=f"merging {len(parts)} parts", unit="step")
    with steps, checkpoints.open_manager(folder, kept) as writer:
        for step in steps:
            if step in told:
                journal.append(told[step])
            if step in kept:
                evidence = {
                    "config": config.to_dict(),
                    "networks": _rows_then(parts, step),
                    "of": of,
                    "metrics": journal.extent,
                }
                state = _state(parts, step)
                checkpoints.save(writer, step, step // per_epoch, state, evidence)
        writer.wait()
    records_of_run.write_table(folder, table)
    records_of_run.write_status(
        folder,
        "lost" if all(row.lost for row in table) else "done",
        started=min(part.status["started"] for part in parts),
        config_digest=proofs.digest_of(config.to_dict()),
        networks=states.counts(table),
        parts=len(parts),
    )


def _meta(part: runs.Run, step: int) -> dict[str, Any]:
    return runs.read_meta(part.workdir / runs.CHECKPOINTS / str(step))


def _rows_then(parts: Sequence[runs.Run], step: int) -> list[dict[str, Any]]:
    """The network table as it was at a checkpoint."""
    rows = [Network.from_json(row) for part in parts for row in _meta(part, step)["networks"]]
    return [dataclasses.asdict(row) for row in shards.renumbered(rows)]


def _state(parts: Sequence[runs.Run], step: int) -> Any:
    """The state of all networks at a checkpoint, whose digests are checked."""
    found = [runs.read_state(part.workdir / runs.CHECKPOINTS / str(step)) for part in parts]
    return jax.tree.map(lambda *of: np.concatenate(of), *found)


def _check_same(parts: Sequence[runs.Run], task: Task, step: int) -> None:
    """Make sure that the parts learned this task, by one model, from the same earlier networks.

    Raises:
        InputError: if one did not.
    """
    first, start = _meta(parts[0], step).get("of", {}), 0
    for part in parts:
        rows = slice(start, start + len(part.networks))
        start = rows.stop
        known = _meta(part, step).get("of", {})
        own = {"labels": sketch(task.labels[rows])}
        if task.test_labels is not None:
            own["test labels"] = sketch(task.test_labels[rows])
        ours = {name: task.sketches[name] for name in _SHARED if name in task.sketches} | own
        data = known.get("data", {})
        other = [f"the {k}" for k in ours if k in data and not agree(data[k], ours[k])]
        model = known.get("model", {}), first.get("model", {})
        if any(proofs.changed(*model, of_model) for of_model in proofs.PARTS):
            other.append("the model")
        if not proofs.same_sources(known.get("sources", {}), first.get("sources", {})):
            other.append("the weights in config.init.run")
        if other:
            raise InputError(
                f"{other[0]} of {part.workdir} are not those of the other parts, or of the data "
                "that are there now; train it again."
            )


def _check_space(folder: Path, parts: Sequence[runs.Run], count: int) -> None:
    """Refuse what the disk cannot hold."""
    step = parts[0].steps[-1]
    first = runs.read_state(parts[0].workdir / runs.CHECKPOINTS / str(step))
    networks = sum(len(part.networks) for part in parts)
    disk.check_space(folder, checkpoints.size_of(first) * networks // len(parts[0].networks), count)


def _joined(values: Sequence[Any]) -> Any:
    """What metrics of all networks would be: lists behind each other, all else the same.

    Raises:
        InputError: if it is not.
    """
    first = values[0]
    if isinstance(first, dict) and all(of.keys() == first.keys() for of in values):
        return {name: _joined([of[name] for of in values]) for name in first}
    if isinstance(first, list) and all(isinstance(of, list) for of in values):
        if first and isinstance(first[0], dict):  # evaluations
            if len({len(of) for of in values}) == 1:
                return [_joined(list(of)) for of in zip(*values, strict=True)]
        else:
            return [one for of in values for one in of]
    elif all(of == first for of in values):
        return first
    told = ", ".join(json.dumps(of)[:50] for of in values[:3])
    raise InputError(f"metrics of the parts do not fit each other ({told}).")
