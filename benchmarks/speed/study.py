"""A whole study from command to page: when the first step is done, and what is not training.

The command runs in a process of its own, `python -m benchmarks.speed.study STUDY BUDGET WORKDIR
DATA_DIR`, in which the programs of every run are timed; it prints one line of JSON.
"""

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def measure(study: str, budget: str, data_dir: str) -> list[Row]:
    """Seconds of a study, once; the caches of compiled programs are as they are found."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.speed.study", study, budget, folder, data_dir]
        begun = time.time()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.time() - begun
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}"
        )
    found = json.loads(done.stdout.splitlines()[-1])
    training = found["training"] + found["evaluation"]
    row = {
        "case": f"{study} at {budget}",
        "seconds": seconds,
        "to_first_step": found["first_step_at"] - begun,
        **{name: found[name] for name in ("training", "evaluation", "first_calls")},
        "share_of_the_rest": 1 - training / seconds,
    }
    return [row]


def start(repeats: int = 5) -> list[Row]:
    """The least seconds of commands that do nothing."""
    rows = []
    for words in (["--help"], ["list"]):
        taken = []
        for _ in range(repeats):
            begun = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "randlabels", *words], capture_output=True, check=True
            )
            taken.append(time.perf_counter() - begun)
        rows.append({"case": f"randlabels {' '.join(words)}", "seconds": min(taken)})
    return rows


class _Timed:
    """The programs of every run, timed. First calls, which compile, are counted by themselves."""

    def __init__(self, programs: Callable[..., Any]) -> None:
        self._programs = programs
        self.found: dict[str, float] = dict.fromkeys(("training", "evaluation", "first_calls"), 0.0)

    @contextlib.contextmanager
    def __call__(self, *arguments: Any) -> Iterator[tuple[Any, Any]]:
        with self._programs(*arguments) as (train_epoch, evaluate):
            yield self._timed(train_epoch, "training"), self._timed(evaluate, "evaluation")

    def _timed(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        called: list[bool] = []

        def run(*arguments: Any) -> Any:
            begun = time.perf_counter()
            result = function(*arguments)  # metrics are fetched: it is done when it returns
            self.found[kind if called else "first_calls"] += time.perf_counter() - begun
            if kind == "training":
                self.found.setdefault("first_step_at", time.time())
            called.append(True)
            return result

        return run


def _main(study: str, budget: str, workdir: str, data_dir: str) -> None:
    from randlabels.studies import find_study
    from randlabels.studies.run import run_study
    from randlabels.training import loop

    loop.programs = timed = _Timed(loop.programs)
    run_study(find_study(study), Path(workdir), budget, data_dir)
    print(json.dumps(timed.found))


if __name__ == "__main__":
    _main(*sys.argv[1:])
