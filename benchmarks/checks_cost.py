"""What locks, checks and digests cost: `python -m benchmarks.checks_cost --help`.

A study is run in pairs of processes, with all of them and without; which of a pair goes first
alternates. Without means: no lock, no digest of an array, a record or a file, no plan of memory, no
look at the free space, no sketch of data, no wait for a file to reach the disk. Ratios of wall and
of processor time are printed pair by pair; of one machine, within one run.
"""

import argparse
import contextlib
import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from randlabels import disk, owner, proofs, records, runs
from randlabels.analysis import layer_inputs, run_analysis
from randlabels.data import manifest, sketch
from randlabels.studies import find_study
from randlabels.studies import run as running
from randlabels.training import memory, mending, setup

KINDS = ("with", "without")


def main() -> None:
    """Run the pairs and print ratios; or be one of a pair."""
    parser = argparse.ArgumentParser(description="The cost of locks, checks and digests.")
    parser.add_argument("--study", default="proposition1")
    parser.add_argument("--budget", default="smoke")
    parser.add_argument("--pairs", default=5, type=int)
    parser.add_argument("--data_dir", default="datasets")
    parser.add_argument("--be", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--workdir", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.be:
        _be(asked)
    else:
        _compare(asked)


def _compare(asked: argparse.Namespace) -> None:
    ratios = []
    for pair in range(-1, asked.pairs):  # the first compiles, and is not counted
        times = {kind: _timed(asked, kind) for kind in (KINDS if pair % 2 else KINDS[::-1])}
        wall, cpu = (a / b for a, b in zip(times["with"], times["without"], strict=True))
        counted = "" if pair >= 0 else ", not counted"
        print(f"wall {times['with'][0]:.2f} s, {wall:.4f}; processors {cpu:.4f}{counted}")
        ratios += [(wall, cpu)] if pair >= 0 else []
    for name, of in zip(("wall", "processors"), zip(*ratios, strict=True), strict=True):
        print(f"with / without, {name}: {statistics.median(of):.4f} ({min(of):.4f}, {max(of):.4f})")


def _timed(asked: argparse.Namespace, kind: str) -> tuple[float, float]:
    """Seconds of the clock and of the processors that a study takes in a new workdir.

    Raises:
        SystemExit: if it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.checks_cost", f"--be={kind}"]
        command += [f"--{name}={getattr(asked, name)}" for name in ("study", "budget", "data_dir")]
        started, before = time.monotonic(), os.times()
        ended = subprocess.run([*command, f"--workdir={folder}/run"], capture_output=True)
        after = os.times()
        if ended.returncode != 0:
            raise SystemExit(ended.stderr.decode()[-2000:])
    cpu = sum(after[2:4]) - sum(before[2:4])  # of children
    return time.monotonic() - started, cpu


def _be(asked: argparse.Namespace) -> None:
    with without_checks() if asked.be == "without" else contextlib.nullcontext():
        study = find_study(asked.study)
        running.run_study(study, Path(asked.workdir), asked.budget, asked.data_dir)


@contextlib.contextmanager
def without_checks() -> Iterator[None]:
    """Within the body nothing is locked, checked or proved."""
    constant: Callable[..., str] = lambda *_: ""  # noqa: E731
    plan = memory.Plan(*(1 for _ in dataclasses.fields(memory.Plan)))
    replaced: list[tuple[Any, str, Any]] = [
        *((module, "owned", _made) for module in (owner, running, run_analysis)),
        (runs, "digest", constant),
        (proofs, "digest_of", constant),
        *((module, "file_digest", constant) for module in (records, manifest)),
        (disk, "check_space", lambda *_: None),
        (setup, "plan_memory", lambda *_: plan),
        (setup, "check_memory", lambda *_: None),
        (sketch, "sketch", lambda *_: {}),
        (layer_inputs, "_check_data", lambda *_: None),
        (mending, "check_resumable", lambda *_: None),
        (proofs, "check_origins", lambda *_: None),
        (os, "fsync", lambda _: None),
    ]
    with contextlib.ExitStack() as stack:
        for module, name, instead in replaced:
            stack.enter_context(mock.patch.object(module, name, instead))
        yield


@contextlib.contextmanager
def _made(workdir: Path) -> Iterator[None]:
    workdir.mkdir(parents=True, exist_ok=True)
    yield


if __name__ == "__main__":
    main()
