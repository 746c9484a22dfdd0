"""Two processes of four devices each against one process of eight, and of one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from randlabels import runs
from randlabels.analysis.records import load_alignment
from randlabels.analysis.run_analysis import analyze
from randlabels.configs import base
from randlabels.data import drawn
from randlabels.training.loop import train

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LIMIT = 120  # seconds for all jobs of a pair of processes
ROUNDING = {"rtol": 1e-5, "atol": 2e-6}  # as in test_population

TINY = {
    "data.upstream_size": 64,
    "data.downstream_size": 48,
    "data.test_size": 10,
    "data.image_size": 8,
    "labels.num_classes": 3,
    "labels.test": "same",
    "model.filters": 4,
    "model.widths": [5],
    "train.batch_size": 16,
    "train.epochs": 3,
    "train.checkpoint_epochs": [0],
}
GRIDS = {
    "networks": {"population.seeds": 7, "population.devices": "networks"},
    "batch": {"population.seeds": 3, "population.devices": "batch"},
    "both": {"population.seeds": 5, "population.devices": "both", "data.augment": "crop_flip"},
    # A row of four networks and their own batches; the other process has a row without any.
    "few": {"population.seeds": 1, "population.devices": "networks"},
    "own": {
        "population.seeds": 6,
        "population.shared_batches": False,
        "population.vectorize": "vmap",
    },
}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(where, jobs, devices):
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, str(Path(__file__).with_name("process.py")), where, str(jobs)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run_in_two(folder, jobs):
    """What both processes said of each job."""
    file = folder / "jobs.json"
    file.write_text(json.dumps(jobs))
    port = free_port()
    processes = [start(f"127.0.0.1:{port},2,{k}", file, 4) for k in (0, 1)]
    try:
        ended = [process.communicate(timeout=LIMIT) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0, 0], ended
    return [
        dict(line.split(": ", 1) for line in out.splitlines() if ": " in line) for out, _ in ended
    ]


def config_of(changes):
    config = base.get_config()
    config.update_from_flattened_dict(
        {k: tuple(v) if isinstance(v, list) else v for k, v in (TINY | changes).items()}
    )
    return config


def on_disk(folder):
    """Pictures of many sizes, of which each process decodes its part of the batches."""
    return {
        "data.name": drawn.NAME,
        "data.data_dir": str(folder / "data"),
        "data.short_side": 12,
        "population.seeds": 2,
    }


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """(folder, what each process said), after all jobs that need no other."""
    folder = tmp_path_factory.mktemp("hosts")
    jobs = [
        {"name": name, "workdir": str(folder / name), "config": TINY | changes}
        for name, changes in GRIDS.items()
    ]
    # A signal in process 1 alone ends both; what was trained is there.
    jobs.append(
        {
            "name": "stopped",
            "workdir": str(folder / "stopped"),
            "config": TINY | GRIDS["networks"],
            "stop": [2, 1],
        }
    )
    return folder, run_in_two(folder, jobs)


def same(one, other):
    """Two workdirs hold the same run, but for rounding."""
    one, other = runs.load_run(one), runs.load_run(other)
    assert [(row.seed, row.state) for row in one.networks] == [
        (row.seed, row.state) for row in other.networks
    ]
    assert one.steps[-1] == other.steps[-1]
    params = [run.params(run.steps[-1]) for run in (one, other)]
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **ROUNDING), *params)
    for ours, theirs in zip(one.metrics, other.metrics, strict=True):
        for name in ("loss", "accuracy", "train_loss", "train_accuracy", "test_accuracy"):
            assert (name in ours) == (name in theirs)
            np.testing.assert_allclose(ours.get(name, 0), theirs.get(name, 0), rtol=1e-5)


@pytest.mark.parametrize("grid", GRIDS)
def test_two_processes_equal_one(pair, grid, tmp_path):
    folder, said = pair
    assert said[0][grid] == said[1][grid]
    train(config_of(GRIDS[grid]), tmp_path / "one")
    same(folder / grid, tmp_path / "one")


def test_two_processes_read_from_disk_what_one_has_in_memory(tmp_path):
    drawn.write(str(tmp_path / "data"), 130, 20)
    changes = TINY | on_disk(tmp_path)
    jobs = [
        {
            "name": devices,
            "workdir": str(tmp_path / devices),
            "config": changes | {"data.stream": True, "population.devices": devices},
        }
        for devices in ("batch", "both")
    ]
    said = run_in_two(tmp_path, jobs)
    train(config_of(on_disk(tmp_path)), tmp_path / "one")
    for devices in ("batch", "both"):
        assert said[0][devices] == said[1][devices]
        same(tmp_path / devices, tmp_path / "one")


def test_checkpoints_are_analysed_by_both_and_a_study_is_run(tmp_path):
    changes = {"train.checkpoint_epochs": [0, 1, 2], "population.seeds": 2}
    layers = ["conv1", "head"]
    for name in ("two", "one"):
        train(config_of(changes), tmp_path / name)
    workdir = str(tmp_path / "two")
    jobs = [
        {"name": "analysis", "workdir": workdir, "analyze": layers},
        {"name": "no layer", "workdir": workdir, "analyze": ["conv7"]},
        {"name": "study", "workdir": str(tmp_path / "study"), "study": "quickstart"},
    ]
    said = run_in_two(tmp_path, jobs)
    assert said[0]["analysis"] == said[1]["analysis"]
    assert all("there is no layer 'conv7'" in one["no layer"] for one in said)
    assert said[1]["study"] == "[None]"
    assert (tmp_path / "study" / "report.html").is_file()
    alone = analyze(tmp_path / "one", layers=layers, random_bases=3)
    both = load_alignment(tmp_path / "two")
    assert len(both.records) == len(alone.records) == 2 * 4 * 3
    for one, other in zip(both.records, alone.records, strict=True):
        assert (one.layer, one.step, one.networks) == (other.layer, other.step, other.networks)
        np.testing.assert_allclose(one.eigenvalues, other.eigenvalues, **ROUNDING)
        np.testing.assert_allclose(one.tau, other.tau, rtol=1e-4, atol=1e-6)


def test_a_signal_in_one_ends_both_and_one_process_continues(pair):
    folder, said = pair
    for of_process in said:
        assert of_process["stopped"].startswith("Interrupted")
    stopped = runs.load_run(folder / "stopped")
    assert stopped.status["state"] == "interrupted"
    assert stopped.steps[-1] == 2 * 4
    train(config_of(GRIDS["networks"]), folder / "stopped")  # eight devices
    same(folder / "stopped", folder / "networks")
