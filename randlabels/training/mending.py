"""Where the files of a run agree: from there it goes on, and what can be made anew is.

A checkpoint is gone on from if it is whole, of this run's config, of the step of its folder, if all
that were to be kept before it are there, and if metrics.jsonl has what it had when it was written.
What came after is trained again.
"""

import dataclasses
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import logging
from ml_collections import ConfigDict

from randlabels import progress, proofs, records, runs
from randlabels.data.sketch import agree
from randlabels.errors import InputError
from randlabels.models.own import check_variables
from randlabels.networks import Network
from randlabels.saved_config import differences_of_saved, flat

_OF_A_CHECKPOINT = re.compile(r"state|meta|commit_success\.txt|_[A-Z_]+")  # what Orbax writes


@dataclasses.dataclass(frozen=True)
class Agreed:
    """From where a run goes on.

    Attributes:
        step: of the checkpoint, -1 for the start.
        epoch: of the checkpoint, -1 for the start: nothing is done yet.
        networks: the table as it was then; () for the start.
        of: what it was trained on, as `Setup.identity` was then; for the start, as the newest
            checkpoint of this config, which will be removed, knows it.
        metrics: the lines of metrics.jsonl up to then.
        passed_over: one sentence for each checkpoint that cannot be gone on from.
        surplus: steps of these, and of what came after.
    """

    step: int = -1
    epoch: int = -1
    networks: tuple[Network, ...] = ()
    of: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    metrics: bytes = b""
    passed_over: tuple[str, ...] = ()
    surplus: tuple[int, ...] = ()


def agreed(workdir: Path, config: ConfigDict, kept: Sequence[int], per_epoch: int) -> Agreed:
    """The newest point at which all files of a run agree.

    Args:
        workdir: of the run.
        config: of the run.
        kept: steps of the checkpoints that are kept, the last of them at the end.
        per_epoch: updates in an epoch.

    Raises:
        InputError: if there are checkpoints, but none can be read, or if those of this config were
            trained on different data.
    """
    steps = runs.checkpoint_steps(workdir)
    metrics, ours = _read_metrics(workdir), records.plain(config.to_dict())
    metas = _of_config(runs.readable_metas(workdir), ours)
    proven = _proven(metas, metrics)
    proofs.check_origins(workdir, proven)
    search = _Search(workdir, ours, max(kept), per_epoch)
    passed_over = []
    for step in reversed(steps):
        try:
            meta, known = _fitting(search, step, kept, metrics)
        except InputError as error:
            passed_over.append(str(error))
            continue
        earlier = [s for s in steps if s < step]
        spoiled = [s for s in earlier if s not in proven or not search.readable(s)]
        # Some were said before, for later ones.
        passed_over += [search.why_not(s) or _contradicted(workdir, s) for s in spoiled]
        return Agreed(
            step,
            meta["epoch"],
            tuple(Network.from_json(row) for row in meta["networks"]),
            meta.get("of", {}),  # an earlier version noted nothing
            known,
            tuple(dict.fromkeys(passed_over)),
            (*spoiled, *(s for s in steps if s > step)),
        )
    if steps and not any(search.readable(step) for step in steps):
        raise InputError(
            f"{workdir} has no intact checkpoint; train it again in another workdir, or remove "
            f"{workdir / runs.CHECKPOINTS}."
        )
    of = metas[max(metas)].get("of", {}) if metas else {}
    return Agreed(of=of, passed_over=tuple(dict.fromkeys(passed_over)), surplus=steps)


def _of_config(
    metas: Mapping[int, dict[str, Any]], config: dict[str, Any]
) -> dict[int, dict[str, Any]]:
    others = {s for s, meta in metas.items() if differences_of_saved(config, meta.get("config"))}
    return {step: meta for step, meta in metas.items() if step not in others}


def _proven(metas: Mapping[int, dict[str, Any]], metrics: bytes) -> dict[int, dict[str, Any]]:
    """Those that metrics.jsonl does not contradict."""
    fits = {step: proofs.proven(metrics, meta["metrics"]) for step, meta in metas.items()}
    return {step: meta for step, meta in metas.items() if fits[step] is not None}


def _contradicted(workdir: Path, step: int) -> str:
    return f"metrics.jsonl in {workdir} is not what it was at the checkpoint of step {step}."


def _fitting(
    search: "_Search", step: int, kept: Sequence[int], metrics: bytes
) -> tuple[dict[str, Any], bytes]:
    """The meta of a checkpoint that can be gone on from, and the lines of metrics.jsonl by then.

    Raises:
        InputError: if it cannot.
    """
    meta, known = search.checked(step), b""
    for earlier in [*sorted({k for k in kept if k < step}), step]:
        proven = proofs.proven(metrics, search.checked(earlier)["metrics"])
        if proven is None:
            raise InputError(_contradicted(search.workdir, earlier))
        known = proven
    return meta, known


class _Search:
    """Checkpoints of one run, each read once."""

    def __init__(self, workdir: Path, config: dict[str, Any], last: int, per_epoch: int) -> None:
        self.workdir, self._folder = workdir, workdir / runs.CHECKPOINTS
        self._config, self._last, self._per_epoch = config, last, per_epoch
        self._metas: dict[int, dict[str, Any]] = {}
        self._reasons: dict[int, str] = {}

    def checked(self, step: int) -> dict[str, Any]:
        """The meta of a checkpoint that is whole and of this run.

        Raises:
            InputError: if it is not.
        """
        reason = self.why_not(step)
        if reason:
            raise InputError(reason)
        return self._metas[step]

    def readable(self, step: int) -> bool:
        """Whether a checkpoint is whole and of this run."""
        return not self.why_not(step)

    def why_not(self, step: int) -> str:
        """The sentence about a checkpoint that is not, "" about one that is."""
        if step not in self._reasons:
            try:
                self._metas[step] = self._read(step)
                self._reasons[step] = ""
            except InputError as error:
                self._reasons[step] = str(error)
        return self._reasons[step]

    def _read(self, step: int) -> dict[str, Any]:
        path = self._folder / str(step)
        meta = runs.read_meta(path)
        if "networks" not in meta:
            raise InputError(f"The checkpoint {path} has no network table.")
        if step > self._last or step != meta["epoch"] * self._per_epoch:
            raise InputError(f"The checkpoint {path} is of no epoch of this run.")
        if differences_of_saved(self._config, meta.get("config")):
            raise InputError(f"The checkpoint {path} is of another config.")
        runs.read_state(path)
        return meta


def configs_of_checkpoints(workdir: Path) -> list[dict[str, Any]]:
    """The configs that the readable checkpoints were trained with, the oldest first."""
    metas = runs.readable_metas(workdir).values()
    return [flat(meta["config"]) for meta in metas if isinstance(meta.get("config"), dict)]


def is_finished(workdir: Path, config: ConfigDict, kept: Sequence[int], per_epoch: int) -> bool:
    """Whether a run has come to its end and every file of it proves the others."""
    try:
        run = runs.load_run(workdir)
        if run.status["state"] not in proofs.FINISHED:
            return False
        found = agreed(workdir, config, kept, per_epoch)
    except InputError:
        return False
    # A later folder that is no checkpoint of this run would be taken for one.
    return found.step == max(kept) and not found.passed_over


def continued(found: Agreed, ours: dict[str, Any]) -> dict[str, Any]:
    """What the checkpoints of a run know it by that goes on: it started as it did then.

    What made its initial weights, and which networks were sources, may be others by now.

    Args:
        found: what `agreed` found.
        ours: `Setup.identity`.
    """
    if found.step < 0:
        return ours
    was, now = found.of.get("model", {}), ours["model"]
    # Of other versions the digest would be another, and none says nothing.
    same = all(was.get(key) == now.get(key) for key in proofs.COMPARABLE)
    made = {"initialisation": was["initialisation"]} if same and "initialisation" in was else {}
    model = {key: value for key, value in now.items() if key != "initialisation"} | made
    sources = {k: v for k, v in found.of.get("sources", {}).items() if k == proofs.HEALTHY}
    return ours | {"model": model, "sources": ours["sources"] | sources}


def check_resumable(
    workdir: Path, found: Agreed, ours: dict[str, Any], table: Sequence[Network]
) -> None:
    """Make sure that a run can go on: trained on the same, and what is removed are checkpoints.

    What it was trained on is what the checkpoint from which it goes on knows; where it is trained
    from the start, what the newest of the checkpoints that would be removed knows.

    Args:
        workdir: of the run.
        found: what `agreed` found.
        ours: `Setup.identity`.
        table: of the run.

    Raises:
        InputError: if the data, the networks' sources, or the run that networks started from, are
            others, the model, one of the user's own, has other parameters or computes something
            else, or what would be removed is no checkpoint.
    """
    for step in found.surplus:
        _check_removable(workdir / runs.CHECKPOINTS / str(step))
    known, ours = found.of, continued(found, ours)
    theirs, data = known.get("data", {}), ours["data"]
    other = [f"the {k}" for k in data if k in theirs and not agree(theirs[k], data[k])]
    if not proofs.same_sources(known.get("sources", ours["sources"]), ours["sources"]):
        other.append("the weights in config.init.run")
    if other:
        raise InputError(
            f"{other[0]} are not those with which {workdir} was begun; put them back, or use "
            "another workdir."
        )
    if found.networks and not _are_those(workdir, table, found):
        raise InputError(
            f"the networks of {workdir} would start from others than they did, since "
            "config.init.run has changed; use a new workdir."
        )
    was, now = known.get("model", {}), ours["model"]
    check_variables(was, now, workdir, "put it back, or use another workdir")
    if any(proofs.changed(was, now, part) for part in proofs.PARTS):
        raise InputError(
            f"the model computes something else than when {workdir} was begun; put it back, or use "
            "another workdir."
        )


def _are_those(workdir: Path, table: Sequence[Network], found: Agreed) -> bool:
    """Whether the networks of a checkpoint are those of a run.

    Some of their sources may be none any more, which matters no longer once networks have started;
    then networks.json has to know them as the checkpoint does, if it is there.
    """
    if _rows(table) == _rows(found.networks):
        return True
    saved, but = _saved_table(workdir), ("source",)
    known = "sources" in found.of and _rows(saved or found.networks) == _rows(found.networks)
    return known and _rows(table, but) == _rows(found.networks, but)


def adopt(workdir: Path, found: Agreed, table: list[Network]) -> None:
    """Say what does not agree, remove it, and give the table the states that it had.

    Args:
        workdir: of the run, which is owned.
        found: what `agreed` found.
        table: of the run, which is changed.
    """
    for sentence in found.passed_over:
        wrong = sentence.removesuffix(f"; {runs.MENDED}").removesuffix(".")
        logging.warning("%s; what does not fit is trained again.", wrong)
    if found.step < 0 and (found.passed_over or _read_metrics(workdir)):
        progress.say(f"{workdir} is trained from the start.")
    if found.networks:
        table[:] = found.networks
        if _rows(_saved_table(workdir)) != _rows(table):
            progress.say(f"networks.json in {workdir} is made anew.")
    folder = workdir / runs.CHECKPOINTS
    for step in found.surplus:
        _remove(folder / str(step))


def _rows(table: Sequence[Network], but: Sequence[str] = ()) -> list[dict[str, Any]]:
    rows = proofs.identities([dataclasses.asdict(row) for row in table])
    return [{k: v for k, v in row.items() if k not in but} for row in rows]


def _saved_table(workdir: Path) -> list[Network]:
    """What networks.json holds, [] if it cannot be read."""
    try:
        rows = records.read_json(workdir / "networks.json")
        return [Network.from_json(row) for row in rows]
    except (OSError, ValueError, TypeError):
        return []


def _read_metrics(workdir: Path) -> bytes:
    try:
        return records.read_bytes(workdir / "metrics.jsonl")
    except (OSError, ValueError):
        return b""


def _check_removable(path: Path) -> None:
    if path.is_symlink() or not path.exists():
        return
    parts = path.iterdir() if path.is_dir() else [path]
    if not all(_OF_A_CHECKPOINT.fullmatch(part.name) for part in parts):
        raise InputError(f"{path} holds what is of no checkpoint; move it to another place.")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
