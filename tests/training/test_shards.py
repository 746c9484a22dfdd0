"""Parts of a population that are trained without each other, and put together."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest

from randlabels import runs
from randlabels.analysis.run_analysis import analyze
from randlabels.errors import InputError
from randlabels.networks import Network
from randlabels.training import shards
from randlabels.training.loop import train
from randlabels.training.merging import _joined, merge
from randlabels.training.shards import part_of

pytestmark = pytest.mark.usefixtures("quick_programs")

COUNT = 3
CHANGES = {
    "model.name": "mlp",
    "model.filters": 48,
    "labels.test": "same",
    "population.seeds": 2,
    "population.vectorize": "map",
    "population.devices": "networks",
    # The last two of eight diverge.
    "population.sweep": (("optimizer.learning_rate", (0.01, 0.005, 0.002, 1000.0)),),
    "train.loss": "squared",
    "train.epochs": 3,
    "train.eval_epochs": (0, 2),
    "train.checkpoint_epochs": (0, 1),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_config):
    """(folder, config): the run in one piece, `whole`, and the parts of `joined`."""
    folder, config = tmp_path_factory.mktemp("shards"), tiny_config(CHANGES)
    train(config, folder / "whole")
    for number in range(1, COUNT + 1):
        train(*part_of(config, folder / "joined", f"{number}/{COUNT}"))
    return folder, config


@pytest.fixture
def parts(trained, tmp_path):
    """A copy of the parts, and the workdir into which they are to be merged."""
    shutil.copytree(trained[0] / "joined.shards", tmp_path / "joined.shards")
    return tmp_path / "joined"


def left_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_merged_parts_are_the_run_in_one_piece(trained, parts):
    whole, joined = runs.load_run(trained[0] / "whole"), merge(parts)
    assert joined.networks == whole.networks
    assert [row.state for row in whole.networks].count("diverged") == 2
    assert joined.config == whole.config
    assert joined.steps == whole.steps
    for step in whole.steps:
        states = [
            runs.read_state(run.workdir / "checkpoints" / str(step)) for run in (joined, whole)
        ]
        jax.tree.map(np.testing.assert_array_equal, *states)
        metas = [runs.read_meta(run.workdir / "checkpoints" / str(step)) for run in (joined, whole)]
        assert metas[0] == metas[1]
    lines = [(run.workdir / "metrics.jsonl").read_text() for run in (joined, whole)]
    assert lines[0] == lines[1]
    assert joined.status["networks"] == whole.status["networks"]
    assert joined.status["state"] == "done"
    assert joined.status["parts"] == COUNT
    assert left_in(parts.parent) == ["joined", "joined.shards"]


def test_a_merged_run_is_like_any_other(trained, parts, capsys):
    merge(parts)
    merge(parts)
    assert "merged already" in capsys.readouterr().err
    train(trained[1], parts)  # finds that it is finished
    assert "finished already" in capsys.readouterr().err
    assert len(analyze(parts, random_bases=3, leading=4).networks) == 6


def test_parts_have_nearly_equally_many_networks():
    rows = [Network(network=k, arm="scratch", seed=k) for k in range(11)]
    found = [shards.rows_of(rows, f"{number}/4") for number in range(1, 5)]
    assert [len(part) for part in found] == [3, 3, 3, 2]
    assert [row.seed for part in found for row in part] == list(range(11))
    assert [row.network for row in found[2]] == [0, 1, 2]
    assert shards.rows_of(rows, "") == rows


def test_what_is_no_part_is_refused():
    rows = [Network(network=0, arm="scratch", seed=0)]
    for text in ("0/3", "4/3", "3", "a/b", "1/0", "1/2/3", "-1/2", " 1/2"):
        with pytest.raises(InputError, match="give the number of the part"):
            shards.rows_of(rows, text)
    with pytest.raises(InputError, match="there are only 1 networks; make fewer parts"):
        shards.rows_of(rows, "1/2")


def change_config(part):
    path = part / "config.json"
    saved = json.loads(path.read_text())
    saved["population"]["shard"] = "1/3"
    path.write_text(json.dumps(saved))


def interrupt(part):
    path = part / "status.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "interrupted"}))


def flip(part):
    """A byte of the weights at the end."""
    file = max((part / "checkpoints" / "9" / "state").rglob("*"), key=lambda p: p.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (shutil.rmtree, "lacks part 2/3; train with --shard=2/3"),
        (interrupt, "part 2/3 in .* is interrupted; give its command again"),
        (change_config, "config.json does not fit"),
        (lambda part: part.rename(part.with_name("2-of-4")), "has parts of 3 and of 4"),
        (lambda part: (part / "metrics.jsonl").write_text(""), "metrics.jsonl does not fit"),
        (flip, "checkpoints/9.* (damaged|cannot be read)"),
        (lambda part: shutil.rmtree(part / "checkpoints" / "3"), "step 3 is missing"),
    ],
)
def test_parts_that_do_not_make_a_whole_are_refused(parts, harm, said):
    harm(shards.folder_of_parts(parts) / "2-of-3")
    before = left_in(parts.parent)
    with pytest.raises(InputError, match=said):
        merge(parts)
    assert left_in(parts.parent) == before


def test_parts_of_different_runs_are_refused(trained, parts):
    part = shards.folder_of_parts(parts) / "2-of-3"
    shutil.rmtree(part)
    other = trained[1].copy_and_resolve_references()
    with other.unlocked():
        other.optimizer.momentum = 0.5
    train(*part_of(other, parts, "2/3"))
    with pytest.raises(InputError, match=r"parts of different runs: .*momentum"):
        merge(parts)


def test_parts_in_the_wrong_order_are_refused(parts):
    folder = shards.folder_of_parts(parts)
    (folder / "1-of-3").rename(folder / "x")
    (folder / "2-of-3").rename(folder / "1-of-3")
    (folder / "x").rename(folder / "2-of-3")
    with pytest.raises(InputError, match="holds another part than its name says"):
        merge(parts)


def test_other_data_are_refused(parts, monkeypatch):
    from randlabels.training import merging

    def scrambled(config, table):
        task = load(config, table)
        return dataclasses.replace(task, labels=task.labels[::-1].copy())

    load = merging.load_task
    monkeypatch.setattr(merging, "load_task", scrambled)
    with pytest.raises(InputError, match="the labels of .* are not those of the other parts"):
        merge(parts)
    assert not parts.exists()


def test_a_workdir_of_another_run_stays_as_it_is(trained, parts):
    other = trained[1].copy_and_resolve_references()
    with other.unlocked():
        other.seed, other.train.epochs, other.train.eval_epochs = 77, 1, ()
    train(other, parts)
    before = runs.load_run(parts).config
    with pytest.raises(InputError, match="holds another run"):
        merge(parts)
    assert runs.load_run(parts).config == before


def test_what_a_killed_merging_left_is_replaced(trained, parts):
    left = parts.with_name(".joined.merging")
    (left / "checkpoints" / "3").mkdir(parents=True)
    (left / "metrics.jsonl").write_text("{}\n")
    merge(parts)
    assert left_in(parts.parent) == ["joined", "joined.shards"]


def test_without_parts_it_is_said(tmp_path):
    with pytest.raises(InputError, match=r"there are no parts in .*base\.shards; train them"):
        merge(tmp_path / "base")
    with pytest.raises(InputError, match="is an address; give a folder of this machine"):
        merge("gs://bucket/base")
    assert left_in(tmp_path) == []


def test_metrics_of_different_evaluations_do_not_join():
    one = [{"step": 3, "loss": [1.0], "dead": {"conv1": [0.5]}}]
    assert _joined([one, one]) == [{"step": 3, "loss": [1.0, 1.0], "dead": {"conv1": [0.5, 0.5]}}]
    for other in ([{"step": 4, "loss": [1.0], "dead": {"conv1": [0.5]}}], one * 2, [{"step": 3}]):
        with pytest.raises(InputError, match="do not fit each other"):
            _joined([one, other])
