"""A run of a tiny network, trained once, and copies of it to damage."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ml_collections import ConfigDict

from randlabels import runs
from randlabels.training import loop

ROOT = Path(__file__).parents[2]
EPOCHS, STEPS = 3, 3
FLAGS = [
    "--config=base",
    "--config.data.upstream_size=64",
    "--config.data.downstream_size=0",
    "--config.data.test_size=10",
    "--config.data.image_size=6",
    "--config.model.name=mlp",
    "--config.train.batch_size=16",
    "--config.train.resume_seconds=0",
    "--config.population.seeds=2",
]


@pytest.fixture(scope="session")
def small(tiny_config) -> ConfigDict:
    """Every epoch is saved, those of 0 and 1 are kept."""
    changes = {
        "model.name": "mlp",
        "model.filters": 48,
        "train.epochs": EPOCHS,
        "train.checkpoint_epochs": (0, 1),
        "train.resume_seconds": 0.0,
    }
    return tiny_config(changes)


@pytest.fixture(scope="session")
def finished(small, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("finished") / "run"
    loop.train(small, directory)
    return directory


@pytest.fixture(scope="session")
def other(small, tmp_path_factory) -> Path:
    """A run of another config, whose files are like those of `finished`."""
    config = small.copy_and_resolve_references()
    config.seed = 7
    config.optimizer.learning_rate = 0.04
    directory = tmp_path_factory.mktemp("other") / "run"
    loop.train(config, directory)
    return directory


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    """A finished run to damage."""
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture(scope="session")
def outcome() -> Callable[[Path], tuple[Any, ...]]:
    """A function: workdir -> all that must not depend on faults."""

    def read(workdir: Path) -> tuple[Any, ...]:
        state = runs.read_state(workdir / runs.CHECKPOINTS / str(EPOCHS * STEPS))
        status = json.loads((workdir / "status.json").read_text())
        return (
            {name: runs.digest(leaf) for name, leaf in runs.named_leaves(state).items()},
            (workdir / "metrics.jsonl").read_bytes(),
            (workdir / "networks.json").read_bytes(),
            (workdir / "config.json").read_bytes(),
            (status["state"], status["networks"], status["config_digest"]),
            {0, STEPS, EPOCHS * STEPS} - set(runs.checkpoint_steps(workdir)),
        )

    return read


@pytest.fixture(scope="session")
def front_door() -> Callable[..., subprocess.Popen[str]]:
    """A function: (workdir, flags...) -> a process that trains networks of 4 updates an epoch."""

    def start(workdir: Path, *flags: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "randlabels.main", *FLAGS, *flags, f"--workdir={workdir}"],
            cwd=ROOT,
            env={"JAX_PLATFORMS": "cpu"} | os.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture(scope="session")
def wait_for_epochs() -> Callable[[Any, Path, int], None]:
    """A function: (process, workdir, number) -> when that many epochs are in its metrics."""

    def wait(process: subprocess.Popen[str], workdir: Path, number: int) -> None:
        metrics = workdir / "metrics.jsonl"
        while not metrics.exists() or metrics.read_bytes().count(b"\n") < number:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)

    return wait
