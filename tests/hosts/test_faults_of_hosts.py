"""What happens to two processes of one run when one of them dies, hangs, raises or never comes."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from randlabels import runs, watched

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LIMIT = 30  # seconds in which the others end
FLAGS = [
    "--config=base",
    "--config.data.image_size=8",
    "--config.data.upstream_size=64",
    "--config.data.downstream_size=0",
    "--config.data.test_size=10",
    "--config.model.filters=4",
    "--config.model.widths=5,",
    "--config.train.batch_size=16",
    "--config.train.resume_seconds=0",
    "--config.population.seeds=3",
]
FOREVER = "--config.train.epochs=100000"


def start(log, *flags):
    with log.open("w") as written:
        return subprocess.Popen(
            [sys.executable, "-m", "randlabels.main", *FLAGS, *flags],
            cwd=ROOT,
            env=os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "2"},
            stdout=written,
            stderr=written,
        )


class Pair:
    """Two processes of one run; `index` 0 has the workdir."""

    def __init__(self, folder, *flags, of_second=()):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        self.workdir = folder / "run"
        self.logs = [folder / f"log{index}" for index in (0, 1)]
        self.watchers = [
            start(
                self.logs[index],
                *flags,
                f"--workdir={self.workdir}",
                f"--distributed=127.0.0.1:{port},2,{index}",
                *(of_second if index else ()),
            )
            for index in (0, 1)
        ]

    def worker(self, index):
        """The process that works, not the one that watches it."""
        children = subprocess.run(
            ["pgrep", "-P", str(self.watchers[index].pid)], capture_output=True, text=True
        )
        return int(children.stdout)

    def wait_for_checkpoints(self, count=2):
        until = time.monotonic() + 60
        while len(runs.checkpoint_steps(self.workdir)) < count:
            assert time.monotonic() < until, self.said()
            assert all(watcher.poll() is None for watcher in self.watchers), self.said()
            time.sleep(0.1)

    def end(self, limit=LIMIT):
        """The exit codes of both, which come in time, and nothing else is left."""
        try:
            return [watcher.wait(limit) for watcher in self.watchers]
        finally:
            for watcher in self.watchers:
                if watcher.poll() is None:
                    os.kill(self.worker(self.watchers.index(watcher)), signal.SIGKILL)
                    watcher.wait()

    def said(self):
        """The last line of each."""
        texts = [log.read_text().strip() for log in self.logs]
        return [text.splitlines()[-1] if text else "" for text in texts]


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_other_with_one_sentence(tmp_path, victim):
    pair = Pair(tmp_path, FOREVER)
    pair.wait_for_checkpoints()
    os.kill(pair.worker(victim), signal.SIGKILL)
    codes = pair.end()
    assert codes[1 - victim] == watched.ALONE, pair.said()
    assert codes[victim] == 128 + signal.SIGKILL
    assert pair.said()[1 - victim] == watched.GONE
    assert runs.load_run(pair.workdir).steps


def test_a_process_that_hangs_ends_the_other(tmp_path):
    pair = Pair(tmp_path, FOREVER)
    pair.wait_for_checkpoints()
    hanging = pair.worker(1)
    os.kill(hanging, signal.SIGSTOP)
    try:
        assert pair.watchers[0].wait(LIMIT) == watched.ALONE
    finally:
        os.kill(hanging, signal.SIGKILL)
    assert pair.end()[1] == 128 + signal.SIGKILL
    assert pair.said()[0] == watched.GONE


def test_a_signal_to_one_ends_both_after_the_same_epoch(tmp_path):
    pair = Pair(tmp_path, FOREVER)
    pair.wait_for_checkpoints()
    pair.watchers[1].terminate()
    assert pair.end() == [128 + signal.SIGTERM] * 2
    said = pair.said()
    assert said[0] == said[1]
    assert said[0].startswith("randlabels: Interrupted after epoch")
    assert runs.load_run(pair.workdir).status["state"] == "interrupted"


def test_a_process_that_refuses_ends_the_other(tmp_path):
    pair = Pair(tmp_path, FOREVER, of_second=["--config.model.name=nothing"])
    assert pair.end(90) == [watched.ALONE, 1]
    assert pair.said()[0] == watched.GONE
    assert "config.model.name is 'nothing'" in pair.said()[1]
    assert not pair.workdir.exists()


def test_processes_of_different_configs_are_refused(tmp_path):
    pair = Pair(tmp_path, FOREVER, of_second=["--config.seed=5"])
    assert pair.end(90) == [1, 1]
    sentence = "randlabels: the configs differ between the processes; give all of them the same."
    assert pair.said() == [sentence] * 2
    assert not pair.workdir.exists()


def test_a_run_that_lost_a_process_continues_and_ends_as_if_it_had_not(tmp_path):
    twelve = "--config.train.epochs=12"
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    pair = Pair(broken, twelve)
    pair.wait_for_checkpoints(3)
    for index in (1, 0):
        os.kill(pair.worker(index), signal.SIGKILL)
    pair.end()
    assert runs.newest_intact_step(broken / "run") < 12 * 4
    assert Pair(broken, twelve).end(90) == [0, 0]
    done = subprocess.run(
        [sys.executable, "-m", "randlabels.main", *FLAGS, twelve, f"--workdir={whole / 'run'}"],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": "4"},
        capture_output=True,
    )
    assert done.returncode == 0
    found = [runs.load_run(folder / "run") for folder in (whole, broken)]
    for run in found:
        assert run.steps[-1] == 12 * 4
    params = [run.params(12 * 4) for run in found]
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=2e-6), *params)
    assert found[0].networks == found[1].networks
    assert [m["epoch"] for m in found[0].metrics] == [m["epoch"] for m in found[1].metrics]


def test_one_that_never_comes_is_waited_for_no_longer_than_told(tmp_path):
    command = [sys.executable, "-m", "randlabels.main", *FLAGS, f"--workdir={tmp_path / 'run'}"]
    done = subprocess.run(
        [*command, "--distributed=127.0.0.1:1,2,1", "--wait=3"],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == watched.ALONE
    assert done.stderr.splitlines()[-1] == watched.GONE
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("where", ["x", "10.0.0.1:80,2,2", "10.0.0.1:80,0,0", "auto"])
def test_what_is_no_cluster_is_said_at_once(tmp_path, where):
    command = [sys.executable, "-m", "randlabels.main", *FLAGS, f"--workdir={tmp_path / 'run'}"]
    done = subprocess.run(
        [*command, f"--distributed={where}"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "such as 10.0.0.1:8476,2,0" in done.stderr
    assert not (tmp_path / "run").exists()
