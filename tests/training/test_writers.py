"""Metrics for TensorBoard and Weights & Biases, with stand-ins for both."""

import contextlib
import dataclasses
import sys
import types
from typing import ClassVar

import numpy as np
import pytest

from randlabels.errors import InputError
from randlabels.networks import Network
from randlabels.training import writers
from randlabels.training.loop import train

TABLE = (
    Network(0, "scratch", seed=0, label_seed=0),
    Network(1, "scratch", seed=1, label_seed=1, diverged_epoch=1),
    Network(2, "scratch", seed=2, label_seed=2),
    Network(3, "pretrained", seed=0, label_seed=0),
)
RECORD = {"epoch": 2, "step": 8, "train_loss": np.array([1.0, 99.0, 3.0, 5.0]),
          "train_accuracy": [0.5, None, 0.7, np.nan]}  # fmt: skip


def test_means_of_each_arm_over_healthy_networks():
    assert writers.scalars(RECORD, TABLE) == {
        "scratch/train_loss": 2.0,
        "pretrained/train_loss": 5.0,
        "scratch/train_accuracy": pytest.approx(0.6),
    }


def test_an_arm_without_healthy_networks_is_left_out():
    lost = [dataclasses.replace(row, diverged_epoch=1) for row in TABLE]
    assert writers.scalars(RECORD, lost) == {}


class Written:
    """In the place of tensorboardX's SummaryWriter and of a run of wandb."""

    all: ClassVar[list] = []

    def __init__(self, folder="wandb"):
        self.folder = folder

    def __enter__(self):
        return self

    def __exit__(self, *error):
        Written.all.append(("closed",))

    def add_scalar(self, name, value, step):
        Written.all.append((self.folder, name, value, step))

    def flush(self):
        pass

    def log(self, values, step):
        for name, value in values.items():
            self.add_scalar(name, value, step)


@pytest.mark.parametrize("kind", ["tensorboard", "wandb"])
def test_a_run_is_written_as_its_metrics_are(tiny_config, tmp_path, monkeypatch, kind):
    asked = {}

    def init(**arguments):
        asked.update(arguments)
        return Written()

    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=Written))
    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=init))
    monkeypatch.setattr(Written, "all", [])
    run = train(tiny_config({}), tmp_path / "run", log=kind)
    of = [entry for entry in Written.all[:-1] if entry[1] == "scratch/train_accuracy"]
    means = {
        r["epoch"]: float(np.mean(r["train_accuracy"]))
        for r in run.metrics
        if "train_accuracy" in r
    }
    assert {entry[3]: entry[2] for entry in of} == pytest.approx(means)
    assert Written.all[-1] == ("closed",)
    folder = str(tmp_path / "run" / "tensorboard") if kind == "tensorboard" else "wandb"
    assert {entry[0] for entry in Written.all[:-1]} == {folder}
    if kind == "wandb":
        assert asked["config"]["train"]["epochs"] == run.config["train"]["epochs"]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("tensorboard", "--log=tensorboard needs tensorboardX; install it by pip"),
        ("wandb", "--log=wandb needs wandb; install it by pip"),
        ("csv", "log is 'csv'; it may be none, tensorboard, wandb"),
    ],
)
def test_what_is_not_there_is_said_before_training(
    tiny_config, tmp_path, monkeypatch, kind, message
):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match=message):
        train(tiny_config({}), tmp_path / "run", log=kind)
    assert not (tmp_path / "run").exists()


def test_none_is_nothing(tmp_path):
    with contextlib.ExitStack() as stack:
        write = stack.enter_context(writers.opened("none", tmp_path, {}, TABLE))
        assert write(RECORD) is None
    assert list(tmp_path.iterdir()) == []
