"""What is done to runs. A trial takes a workdir of its own and returns what went wrong, or ""."""

import dataclasses
import json
import random
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.soak.processes import Ended, Process, command, door
from benchmarks.soak.runs import Reference, copy, wrong_with
from randlabels.analysis.records import alignment_path
from randlabels.config_rules import flatten
from randlabels.configs import base

INTERRUPTED = {0, 130, 143, -signal.SIGINT, -signal.SIGTERM}  # -: before anything was set up


@dataclasses.dataclass
class Trial:
    """One trial: its randomness, its place, and the commands that show what it did.

    Attributes:
        rng: all that is random in it.
        references: {kind: run} that nothing happened to.
        workdir: its own, not there at first.
        story: what was done, a line each.
    """

    rng: random.Random
    references: Mapping[str, Reference]
    workdir: Path
    story: list[str] = dataclasses.field(default_factory=list)

    def choose(self) -> Reference:
        """One of the references."""
        return self.references[self.rng.choice(sorted(self.references))]

    def start(self, name: str, arguments: list[str], largest_file: int | None = None) -> Process:
        """Start a front door and note it."""
        self.story.append(command(name, arguments))
        return Process(door(name, arguments), largest_file)

    def moment(self, reference: Reference) -> float:
        """Sleep for a part of the time that a run takes; how long, in seconds."""
        seconds = self.rng.uniform(0, 1.1 * reference.seconds)
        time.sleep(seconds)
        return seconds

    def finish(self, reference: Reference) -> str:
        """Train to the end; what is wrong with the result."""
        ended = self.start("main", reference.arguments(self.workdir)).wait()
        return wrong_with(reference, self.workdir, ended)


def kill(trial: Trial) -> str:
    """SIGKILL, up to three times, then the same command again."""
    reference = trial.choose()
    for _ in range(trial.rng.randint(1, 3)):
        process = trial.start("main", reference.arguments(trial.workdir))
        trial.story.append(f"SIGKILL after {trial.moment(reference):.3f} s")
        process.send(signal.SIGKILL)
        process.wait()
    return trial.finish(reference)


def interrupt(trial: Trial) -> str:
    """SIGINT or SIGTERM, once or twice, then the same command again."""
    reference = trial.choose()
    number = trial.rng.choice([signal.SIGINT, signal.SIGTERM])
    process = trial.start("main", reference.arguments(trial.workdir))
    trial.story.append(f"{number.name} after {trial.moment(reference):.3f} s")
    process.send(number)
    if trial.rng.random() < 0.2:
        time.sleep(trial.rng.uniform(0, 0.5))
        trial.story.append("and again")
        process.send(number)
    ended = process.wait()
    if ended.broken:
        return ended.broken
    if ended.code not in INTERRUPTED:
        return f"exit status {ended.code}: {ended.output[-300:]}"
    return trial.finish(reference)


def damage(trial: Trial) -> str:
    """One file of a finished or killed run is damaged; then training, or analysis, of it."""
    reference = trial.choose()
    if trial.rng.random() < 0.5:
        copy(reference.folder, trial.workdir)
        trial.story.append(f"a copy of {reference.folder}")
    else:
        process = trial.start("main", reference.arguments(trial.workdir))
        trial.story.append(f"SIGKILL after {trial.moment(reference):.3f} s")
        process.send(signal.SIGKILL)
        process.wait()
    files = sorted(p for p in trial.workdir.rglob("*") if p.is_file())
    if not files:
        return ""
    harm(trial, trial.rng.choice(files))
    if trial.rng.random() < 0.5:
        return _analysed(trial, reference)
    ended = trial.start("main", reference.arguments(trial.workdir)).wait()
    return wrong_with(reference, trial.workdir, ended) if ended.code == 0 else ended.broken


def _analysed(trial: Trial, reference: Reference) -> str:
    """What is wrong with an analysis: a refusal is not, nor is a checkpoint named as left out."""
    ended = trial.start("analyze", [f"--workdir={trial.workdir}"]).wait()
    if ended.broken or ended.code != 0:
        return ended.broken
    if '"done"' not in (trial.workdir / "status.json").read_text():
        return ""
    found = alignment_path(trial.workdir).read_text()
    left_out = json.loads(found)["skipped"]
    if not left_out:
        return "" if found == reference.alignment else "wrong result of analysis"
    if "It is left out." not in ended.output:
        return "a checkpoint left out without a word"
    steps = [entry["step"] for entry in left_out]
    same = _without(steps, found) == _without(steps, reference.alignment)
    return "" if same else "wrong result of the analysis of other checkpoints"


def _without(steps: list[int], alignment: str) -> dict[str, Any]:
    """An analysis without some steps, to 9 digits: batches differ in the 16th."""
    found = json.loads(alignment, parse_float=lambda number: f"{float(number):.9g}")
    records = [record for record in found["records"] if record["step"] not in steps]
    return found | {"records": records, "skipped": []}


def harm(trial: Trial, path: Path) -> None:
    """Delete, cut, empty, flip, overwrite or swap a file."""
    content, rng = path.read_bytes(), trial.rng
    how = rng.choice(["deleted", "cut", "emptied", "flipped", "garbage", "swapped", "line lost"])
    trial.story.append(f"{path.relative_to(trial.workdir)}: {how}")
    if how == "deleted":
        path.unlink()
        return
    place = rng.randrange(max(len(content), 1))
    lines = content.splitlines(keepends=True)
    changed = {
        "cut": content[:place],
        "emptied": b"",
        "flipped": content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :],
        "garbage": rng.randbytes(rng.randint(1, 400)),
        "swapped": _namesake(trial, path, content),
        "line lost": b"".join(lines[:-2] + lines[-1:]),
    }
    path.write_bytes(changed[how])


def _namesake(trial: Trial, path: Path, content: bytes) -> bytes:
    """The file of the same place in another run, or the same bytes where there is none."""
    other = trial.choose().folder / path.relative_to(trial.workdir)
    return other.read_bytes() if other.is_file() else content


def disk(trial: Trial) -> str:
    """No file may grow beyond a size for a while; then there is space again."""
    reference, largest = trial.choose(), int(10 ** trial.rng.uniform(1, 4.5))
    process = trial.start("main", reference.arguments(trial.workdir), largest)
    trial.story.append(f"with files of at most {largest} bytes")
    ended = process.wait()
    if ended.broken:
        return ended.broken
    left = [p.name for p in trial.workdir.rglob("*.tmp")] if trial.workdir.exists() else []
    return f"left behind: {left[:3]}" if left else trial.finish(reference)


def rivals(trial: Trial) -> str:
    """Two processes on one workdir: one works, the other says so."""
    reference, pause = trial.choose(), trial.rng.choice([0.0, 0.0, trial.rng.uniform(0, 2)])
    processes = []
    for _ in range(2):
        processes.append(trial.start("main", reference.arguments(trial.workdir)))
        time.sleep(pause)
    trial.story.append(f"{pause:.3f} s apart")
    ended = [process.wait() for process in processes]
    broken = "".join(sorted({e.broken for e in ended}))
    if broken:
        return broken
    if all(e.code != 0 for e in ended):
        return "neither works: " + ended[0].output[-300:]
    return trial.finish(reference)


VALUES = (
    "0", "-1", "1", "2", "3.5", "1e308", "-1e-320", "nan", "inf", "1000000000", str(10**20),
    "''", "x", "é", "../..", "/etc/passwd", "http://x", "a" * 300, "()", "(1,)", "(0,0)",
    "('a',)", "(1e308,)", "None", "True", "False", "{}", "[]", "(", "%s", "$(id)", "first:0",
    "closed_form:-1", "real", "noisy", "batch", "vgg16", "mlp", "gaussian", "cifar10", "adam",
)  # fmt: skip


def fuzz(trial: Trial) -> str:
    """One to three fields with odd values: a run, or one sentence."""
    reference = trial.choose()
    fields = trial.rng.sample(sorted(flatten(base.get_config())), trial.rng.randint(1, 3))
    odd = [f"--config.{field}={trial.rng.choice(VALUES)}" for field in fields]
    arguments = [*reference.arguments(trial.workdir), "--config.train.epochs=1", *odd]
    ended = trial.start("main", [*arguments, "--config.train.checkpoint_epochs=(0,)"]).wait()
    return ended.broken or _silent(ended)


def _silent(ended: Ended) -> str:
    said = "randlabels:" in ended.output or ended.code in (0, 1)
    return "" if said else f"exit status {ended.code} without a word"


TRIALS: dict[str, Callable[[Trial], str]] = {
    "kill": kill,
    "signal": interrupt,
    "damage": damage,
    "disk": disk,
    "rivals": rivals,
    "fuzz": fuzz,
}
