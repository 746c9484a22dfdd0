"""The runs of a soak test: three kinds, the flags that train them, and when two are the same."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

from benchmarks.soak.processes import Ended, Process, command, door, printed_by
from randlabels.analysis.records import alignment_path
from randlabels.runs import digest, load_run, named_leaves

_COMMON = {
    "data.upstream_size": 60,
    "data.downstream_size": 60,
    "data.test_size": 20,
    "train.batch_size": 20,
    "train.epochs": 12,
    "train.resume_seconds": 0,
    "train.checkpoint_epochs": "(0,6)",
    "population.seeds": 2,
    "optimizer.learning_rate": 0.02,
}
_VECTORS = {
    "data.name": "gaussian",
    "data.image_size": 0,
    "data.diagonal": "(1.0,2.0,3.0)",
    "model.name": "mlp",
    "model.widths": "(8,)",
}
_IMAGES = {"data.image_size": 8, "model.filters": 4, "model.widths": "(5,)"}
_TRANSFER = {
    "train.task": "downstream",
    "labels.kind": "real",
    "init.arms": "('scratch','pretrained')",
}
KINDS = {
    "vectors": _COMMON | _VECTORS,
    "images": _COMMON | _IMAGES,
    "transfer": _COMMON | _IMAGES | _TRANSFER,
}


@dataclasses.dataclass(frozen=True)
class Reference:
    """A run, with its analysis, that nothing happened to.

    Attributes:
        flags: that train it, without the workdir.
        folder: its workdir.
        seconds: that training took.
        fingerprint: of its result.
        alignment: what its analysis wrote.
    """

    flags: tuple[str, ...]
    folder: Path
    seconds: float
    fingerprint: str
    alignment: str

    def arguments(self, workdir: Path) -> list[str]:
        """The flags that train the same in another folder."""
        return [*self.flags, f"--workdir={workdir}"]


def train_references(folder: Path) -> dict[str, Reference]:
    """Train each kind twice, {kind: the second, for which programs were compiled}.

    Raises:
        RuntimeError: if one of them fails, or is not the same twice.
    """
    found: dict[str, Reference] = {}
    for kind, fields in KINDS.items():
        source = {"init.run": found["images"].folder} if kind == "transfer" else {}
        flags = ("--config=base", *(f"--config.{k}={v}" for k, v in (fields | source).items()))
        first, second = (_train(flags, folder / name / kind) for name in ("first", "reference"))
        if first.fingerprint != second.fingerprint or first.alignment != second.alignment:
            raise RuntimeError(f"two runs of {kind} differ.")
        found[kind] = second
    return found


def _train(flags: tuple[str, ...], workdir: Path) -> Reference:
    trained = _demand("main", [*flags, f"--workdir={workdir}"])
    _demand("analyze", [f"--workdir={workdir}"])
    alignment = alignment_path(workdir).read_text()
    return Reference(flags, workdir, trained.seconds, fingerprint(workdir), alignment)


def _demand(name: str, arguments: list[str]) -> Ended:
    ended = Process(door(name, arguments)).wait()
    if ended.code != 0:
        raise RuntimeError(f"{command(name, arguments)} failed:\n{ended.output}")
    return ended


def fingerprint(workdir: Path) -> str:
    """A digest of what a run says: parameters at its start and end, metrics, network table.

    Raises:
        RuntimeError: if it cannot be read.
    """

    def show() -> None:
        loaded = load_run(workdir)
        parameters = [
            {name: digest(leaf) for name, leaf in named_leaves(loaded.params(step)).items()}
            for step in (loaded.steps[0], loaded.steps[-1])
        ]
        table = [dataclasses.asdict(row) for row in loaded.networks]
        said = [loaded.steps[0], loaded.steps[-1], parameters, loaded.metrics, table]
        text = json.dumps(said, sort_keys=True, default=str)
        print(hashlib.sha256(text.encode()).hexdigest())

    return printed_by(show).split()[-1]


def copy(reference: Path, workdir: Path) -> None:
    """Put a copy of a workdir in the place of another."""
    shutil.rmtree(workdir, ignore_errors=True)
    shutil.copytree(reference, workdir)


def wrong_with(reference: Reference, workdir: Path, ended: Ended) -> str:
    """What is wrong with a run that was to be trained to its end; "" if nothing is."""
    if ended.broken:
        return ended.broken
    if ended.code != 0:
        return "not finished: " + ended.output.strip()[-300:]
    try:
        same = fingerprint(workdir) == reference.fingerprint
    except RuntimeError as error:
        return f"finished, but cannot be read: {error}"
    return "" if same else "wrong result"
