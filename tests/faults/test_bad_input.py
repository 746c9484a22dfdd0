"""Bad input to a run: one clear sentence, and nothing is written."""

import os

import pytest

from randlabels import load_run
from randlabels.errors import InputError
from randlabels.training import loop


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer.learning_rate": 1e9}, "optimizer.learning_rate must be from 0.0 to 1000.0"),
        ({"train.batch_size": 51}, "batch_size is 51, but the upstream task has only 50 examples"),
        ({"model.kernel_size": 9}, "only 8 pixels wide or high, but simple_cnn needs 9"),
        (
            {"model.name": "vgg16", "model.filters": 48, "model.widths": (32,)},
            "only 8 pixels wide or high, but vgg16 needs 32",
        ),
        ({"data.image_size": 3}, "image_size of at least 4 pixels, got 3"),
        ({"labels.kind": "real"}, "num_classes is 3, but dead_leaves has 5 classes"),
        (
            {"labels.kind": "noisy", "labels.noise": 0.5, "labels.num_classes": 4},
            "num_classes is 4, but dead_leaves has 5",
        ),
        (
            {"population.devices": "both", "train.batch_size": 13},
            "2 with batches of 13 cannot be spread and split over 8 devices",
        ),
        (
            {"population.devices": "batch", "train.batch_size": 20},
            "batch_size 20 does not divide over 8 devices",
        ),
        (
            {"init.run": "nowhere", "init.arms": ("pretrained",)},
            "nowhere holds no run .there is no such folder",
        ),
        ({"data.name": "cifar11"}, "cifar11"),
        (
            {
                "data.name": "gaussian",
                "data.image_size": 0,
                "data.diagonal": (0.0, 1.0),
                "model.name": "mlp",
                "model.filters": 48,
            },
            "diagonal must be a tuple of positive numbers",
        ),
    ],
)
def test_bad_input_leaves_nothing_behind(tiny_config, tmp_path, changes, message):
    directory = tmp_path / "below" / "run"
    if changes.get("data.image_size") == 0 or changes.get("model.name") == "vgg16":
        changes = {"model.widths": (5,)} | changes
    with pytest.raises(InputError, match=message) as error:
        loop.train(tiny_config(changes), directory)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_that_is_not_prepared_names_the_command(tiny_config, tmp_path):
    config = tiny_config(
        {"data.name": "cifar10", "data.data_dir": str(tmp_path / "none"), "data.image_size": 0}
    )
    with pytest.raises(InputError, match="python -m randlabels.data.prepare --name=cifar10"):
        loop.train(config, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_refused_config_leaves_an_existing_run_alone(tiny_config, tmp_path):
    config = tiny_config({"model.name": "mlp", "model.filters": 48, "train.epochs": 1})
    loop.train(config, tmp_path / "run")
    files = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    config.optimizer.learning_rate = 0.07
    with pytest.raises(InputError, match="learning_rate: 0.05 there, 0.07 here"):
        loop.train(config, tmp_path / "run")
    assert {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()} == files


def test_damaged_records_of_the_earlier_run(tiny_config, tmp_path):
    config = tiny_config({"train.epochs": 1})
    loop.train(config, tmp_path / "earlier")
    (tmp_path / "earlier" / "networks.json").write_text("[{")
    later = tiny_config({"init.run": str(tmp_path / "earlier"), "init.arms": ("pretrained",)})
    with pytest.raises(InputError, match="records of .*earlier are damaged"):
        loop.train(later, tmp_path / "later")
    assert not (tmp_path / "later").exists()


def test_a_workdir_whose_name_is_no_utf_8_is_refused(small, tmp_path):
    """Its bytes come as surrogates, which Orbax cannot write."""
    name = os.fsdecode(b"\xff\xfe")
    with pytest.raises(InputError, match="is no text in UTF-8; give another name"):
        loop.train(small, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    loop.train(small, tmp_path / "ü x 日本")
    assert load_run(tmp_path / "ü x 日本").status["state"] == "done"
