"""Reading of a run's workdir."""

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import randlabels
from randlabels import records, runs
from randlabels.errors import InputError
from randlabels.training import checkpoints, loop


@pytest.fixture(scope="module")
def workdir(tiny_config, tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "run"
    changes = {"population.seeds": 3, "train.checkpoint_epochs": (0, 1), "labels.test": "same"}
    loop.train(tiny_config(changes), directory)
    return directory


def test_a_run_is_read_as_plain_records(workdir):
    run = randlabels.load_run(workdir)
    assert run.steps == (0, 3, 6)
    assert run.steps_per_epoch == 3  # 50 examples, batches of 16
    assert run.config["model"] == json.loads((workdir / "config.json").read_text())["model"]
    assert [row.seed for row in run.networks] == [0, 1, 2]
    assert run.status["state"] == "done"
    assert [record["epoch"] for record in run.metrics] == [0, 1, 2]
    assert [record["step"] for record in run.metrics] == [0, 3, 6]
    for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy"):
        assert [len(record[name]) for record in run.metrics] == [3, 3, 3]
    assert set(run.metrics[0]["dead"]) == {"conv1", "dense1"}
    assert run.healthy_networks == [0, 1, 2]


def test_parameters_lead_with_the_network(workdir):
    run = randlabels.load_run(workdir)
    params = run.params(6)
    shapes = jax.tree.map(np.shape, params, is_leaf=lambda x: isinstance(x, np.ndarray))
    assert shapes == {
        "conv1": {"kernel": (3, 3, 3, 3, 6), "bias": (3, 6)},
        "dense1": {"kernel": (3, 6 * 6 * 6, 5), "bias": (3, 5)},
        "head": {"kernel": (3, 5, 3), "bias": (3, 3)},
    }
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(params))
    some = run.params(6, networks=[2, 0], layer="conv1")
    assert set(some) == {"conv1"}
    np.testing.assert_array_equal(some["conv1"]["kernel"], params["conv1"]["kernel"][[2, 0]])
    moved = run.params(0, layer="conv1")["conv1"]["kernel"] - params["conv1"]["kernel"]
    assert np.abs(moved).max() > 1e-3


def test_what_is_not_there_is_one_sentence(workdir, tmp_path):
    run = randlabels.load_run(workdir)
    with pytest.raises(InputError, match=r"no checkpoint of step 5; it has \[0, 3, 6\]"):
        run.params(5)
    with pytest.raises(InputError, match="has no layer 'conv9'"):
        run.params(6, layer="conv9")
    with pytest.raises(InputError, match=r"holds no run .there is no such folder.; give the"):
        randlabels.load_run(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no run .config.json is missing.; give the"):
        randlabels.load_run(tmp_path)
    with pytest.raises(InputError, match="has no intact checkpoint"):
        runs.newest_intact_step(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "networks.json", "status.json"])
def test_damaged_records_are_one_sentence(workdir, tmp_path, name):
    copy = shutil.copytree(workdir, tmp_path / "run")
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="records of .* are damaged"):
        randlabels.load_run(copy)


def test_a_line_cut_short_is_left_out(workdir, tmp_path):
    copy = shutil.copytree(workdir, tmp_path / "run")
    with (copy / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "st')
    assert [record["epoch"] for record in randlabels.load_run(copy).metrics] == [0, 1, 2]


def test_reading_needs_no_training_code(workdir):
    """A checkpoint is read without the code that wrote it, on another number of devices."""
    code = (
        "import sys, randlabels\n"
        f"run = randlabels.load_run({str(workdir)!r})\n"
        "print(run.params(6)['conv1']['kernel'].sum(dtype='float64'))\n"
        "assert not any(n.startswith(('randlabels.training', 'randlabels.models', 'flax')) "
        "for n in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    here = randlabels.load_run(workdir).params(6)["conv1"]["kernel"].sum(dtype=np.float64)
    assert float(done.stdout) == here


def test_a_layer_within_a_block_is_read_by_its_path(tmp_path):
    params = {
        "block1": {
            name: {"kernel": np.full((2, 3), k)} for k, name in enumerate(("conv1", "conv2"))
        },
        "block10": {"conv1": {"kernel": np.full((2, 3), 7)}},
    }
    with checkpoints.open_manager(tmp_path, [5]) as manager:
        checkpoints.save(manager, 5, 1, {"params": params})
    run = runs.Run(tmp_path, {}, [], [], {}, runs.checkpoint_steps(tmp_path))
    jax.tree.map(np.testing.assert_array_equal, run.params(5), params)
    found = run.params(5, layer="block1/conv2")
    jax.tree.map(
        np.testing.assert_array_equal, found, {"block1": {"conv2": params["block1"]["conv2"]}}
    )


def test_digests_tell_bits_shapes_and_types_apart():
    array = np.arange(6, dtype=np.float32)
    flipped = array.view(np.uint32) ^ np.array([0, 0, 1, 0, 0, 0], np.uint32)
    others = [array.reshape(2, 3), array.astype(np.float64), flipped.view(np.float32), -array]
    digests = {runs.digest(a) for a in (array, *others, array.view(np.int32))}
    assert len(digests) == 6
    assert runs.digest(array.reshape(2, 3).T) == runs.digest(array.reshape(2, 3).T.copy())


def test_orbax_is_quiet_and_the_log_level_comes_back(workdir, caplog):
    before = logging.getLogger("absl").level
    runs.read_state(workdir / "checkpoints" / "6")
    assert logging.getLogger("absl").level == before
    assert caplog.records == []


def test_records_survive_json_and_replace_files_whole(tmp_path):
    value = {
        "a": np.float32(0.5),
        "b": (1, [np.int64(2)]),
        "c": np.array([1.0, np.nan, np.inf]),
        "d": float("-inf"),
        "e": None,
        "f": jax.numpy.arange(2),
    }
    path = tmp_path / "x.json"
    path.write_text("old")
    records.write_json(path, value)
    assert json.loads(path.read_text()) == {
        "a": 0.5,
        "b": [1, [2]],
        "c": [1.0, None, None],
        "d": None,
        "e": None,
        "f": [0, 1],
    }
    with pytest.raises(TypeError):
        records.write_json(path, {"a": object()})
    assert json.loads(path.read_text())["a"] == 0.5
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("ValueError: Error reading .zarray in OCDBT database", False),
        ("ValueError: of someone else", True),
    ],
)
def test_reads_that_fail_beside_the_one_that_is_raised_are_not_reported(
    said, shown, capfd, monkeypatch
):
    """Before the exception arrives, or long after it."""
    logger, handler = logging.getLogger("asyncio"), logging.StreamHandler()
    monkeypatch.setattr(logger, "filters", [])  # that another test left behind
    handler.terminator = " <end>\n"
    logger.addHandler(handler)
    lost = ValueError(said)

    def report():
        logger.error("Task exception was never retrieved", exc_info=(ValueError, lost, None))

    def read():
        with runs._quiet_orbax():
            report()
            raise KeyError

    with pytest.raises(KeyError):
        read()
    report()
    logger.removeHandler(handler)
    assert capfd.readouterr().err.count("<end>") == 2 * shown


def test_reports_of_a_closed_loop_come_late_and_are_spared(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    closed = SimpleNamespace(exc_value=RuntimeError("Event loop is closed"))
    other = SimpleNamespace(exc_value=RuntimeError("Something else"))
    with runs.without_closed_loops():
        sys.unraisablehook(closed)
    sys.unraisablehook(closed)
    assert seen == [closed]  # of somebody else's
    for _ in range(2):
        with pytest.raises(KeyError), runs.without_closed_loops():
            raise KeyError
        sys.unraisablehook(closed)
        sys.unraisablehook(other)
    assert seen == [closed, other, other]
