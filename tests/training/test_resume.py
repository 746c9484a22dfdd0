"""A run that is killed and started again ends as if nothing had happened."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from randlabels import runs
from randlabels.training import loop

ROOT = Path(__file__).parents[2]
EPOCHS, STEPS = 20, 3
FLAGS = [
    "--config=configs/base.py",
    "--config.data.upstream_size=48",
    "--config.data.downstream_size=0",
    "--config.data.image_size=6",
    "--config.data.test_size=10",
    "--config.data.augment=crop_flip",
    "--config.model.filters=3",
    "--config.model.widths=4,",
    "--config.labels.test=same",
    "--config.optimizer.decay_at=0.5,",
    f"--config.train.epochs={EPOCHS}",
    "--config.train.batch_size=16",
    "--config.train.resume_seconds=0",
    "--config.population.seeds=2",
    # Networks of the second learning rate diverge on the way.
    "--config.train.loss=squared",
    "--config.population.sweep=(('optimizer.learning_rate',(0.05,1000.0)),)",
]


@pytest.fixture
def start(tmp_path):
    """A function that starts the front door on a workdir."""
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }

    def run(workdir):
        return subprocess.Popen(
            [sys.executable, "-m", "randlabels.main", *FLAGS, f"--workdir={workdir}"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def outcome(workdir):
    """What must not depend on interruptions: all arrays of the last state, records, table."""
    state = runs.read_state(workdir / runs.CHECKPOINTS / str(EPOCHS * STEPS))
    digests = {name: runs.digest(leaf) for name, leaf in runs.named_leaves(state).items()}
    return (
        digests,
        (workdir / "metrics.jsonl").read_text(),
        json.loads((workdir / "networks.json").read_text()),
        json.loads((workdir / "status.json").read_text())["networks"],
        runs.checkpoint_steps(workdir),
    )


def finish(process):
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    return errors


def reached(workdir):
    path = workdir / "metrics.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_ten_times_a_run_ends_bit_identical(start, tmp_path):
    finish(start(tmp_path / "unbroken"))
    broken, rng, kills = tmp_path / "broken", random.Random(0), []
    for _ in range(10):
        process = start(broken)
        # A tenth of the way further, plus a moment within or between epochs; the first kills
        # come before anything is written.
        goal = len(kills) * EPOCHS // 10
        while reached(broken) < goal and process.poll() is None:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.06))
        if process.poll() is not None:
            break
        process.kill()
        process.communicate()
        kills.append(reached(broken))
    assert len(kills) >= 5, kills
    assert kills[-1] > 0
    said = finish(start(broken))
    assert f"Continuing {broken} after epoch" in said
    expected, found = outcome(tmp_path / "unbroken"), outcome(broken)
    assert found == expected
    assert [row["diverged_epoch"] is None for row in found[2]] == [True, True, False, False]


def test_a_finished_run_is_left_as_it_is(tiny_config, tmp_path, monkeypatch):
    config = tiny_config({"model.name": "mlp", "model.filters": 48, "train.epochs": 1})
    directory = tmp_path / "run"
    loop.train(config, directory)
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    before = [(path, path.stat().st_mtime_ns, path.read_bytes()) for path in files]

    def forbidden(*arguments):
        raise AssertionError("a finished run needs no data and no compilation")

    monkeypatch.setattr(loop, "prepare", forbidden)
    loop.train(config, directory)
    after = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    assert [(path, path.stat().st_mtime_ns, path.read_bytes()) for path in after] == before


def test_an_error_on_the_way_is_recorded_and_the_run_can_go_on(tiny_config, tmp_path, monkeypatch):
    config = tiny_config(
        {"model.name": "mlp", "model.filters": 48, "train.resume_seconds": 0.0, "train.epochs": 3}
    )
    directory = tmp_path / "run"
    loop.train(config, tmp_path / "unbroken")
    original = loop._batches

    def failing(setup, epoch):
        if epoch == 2:
            raise RuntimeError("power failure")
        return original(setup, epoch)

    monkeypatch.setattr(loop, "_batches", failing)
    with pytest.raises(RuntimeError, match="power failure"):
        loop.train(config, directory)
    status = json.loads((directory / "status.json").read_text())
    assert (status["state"], status["error"]) == ("failed", "RuntimeError: power failure")
    assert runs.checkpoint_steps(directory) == (0, 3)
    monkeypatch.setattr(loop, "_batches", original)
    loop.train(config, directory)
    for name in ("metrics.jsonl", "networks.json"):
        assert (directory / name).read_text() == (tmp_path / "unbroken" / name).read_text()
    last = [runs.read_state(d / "checkpoints" / "9") for d in (directory, tmp_path / "unbroken")]
    ours, theirs = (
        {name: runs.digest(leaf) for name, leaf in runs.named_leaves(state).items()}
        for state in last
    )
    assert ours == theirs
