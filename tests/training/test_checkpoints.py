"""Checkpoints: round trip, damage, and which are kept."""

import json
import logging
import shutil

import jax
import numpy as np
import pytest

from randlabels import load_run, runs
from randlabels.errors import InputError
from randlabels.training import checkpoints, loop

EPOCHS = 4
STEPS = 3  # in an epoch


@pytest.fixture(scope="module")
def small(tiny_config):
    """Every epoch is saved; adam, whose state has more kinds of leaves than sgd's."""
    return tiny_config(
        {
            "model.name": "mlp",
            "model.filters": 48,
            "optimizer.name": "adam",
            "optimizer.learning_rate": 0.01,
            "train.epochs": EPOCHS,
            "train.checkpoint_epochs": (0, 1),
            "train.resume_seconds": 0.0,
        }
    )


@pytest.fixture(scope="module")
def finished(small, tmp_path_factory):
    directory = tmp_path_factory.mktemp("finished") / "run"
    loop.train(small, directory)
    return directory


@pytest.fixture
def copy(finished, tmp_path):
    """A finished run to damage."""
    return shutil.copytree(finished, tmp_path / "run")


def digests(workdir):
    """Of the last checkpoint's arrays, recomputed from what is read."""
    state = runs.read_state(workdir / runs.CHECKPOINTS / str(EPOCHS * STEPS))
    return {name: runs.digest(leaf) for name, leaf in runs.named_leaves(state).items()}


def data_files(checkpoint):
    """The files that hold arrays, largest first."""
    files = [path for path in (checkpoint / "state").rglob("*") if path.is_file()]
    return sorted(files, key=lambda path: -path.stat().st_size)


def flip(checkpoint, files=1):
    """One bit of one byte in the middle of the largest files."""
    for path in data_files(checkpoint)[:files]:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0x10
        path.write_bytes(content)


def truncate(checkpoint):
    path = data_files(checkpoint)[0]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(checkpoint):
    shutil.rmtree(checkpoint)
    checkpoint.mkdir()


def forget_digests(checkpoint):
    (checkpoint / "meta" / "metadata").unlink()


def test_a_state_comes_back_as_it_was(tmp_path):
    rng = np.random.default_rng(0)
    state = {
        "params": {"conv1": {"kernel": rng.random((3, 2, 2)).astype(np.float32)}},
        "batch_stats": {},
        "opt_state": ({"count": np.arange(3, dtype=np.int32)}, (), [rng.random((3, 4))]),
        "step": np.full(3, 7, np.int32),
    }
    with checkpoints.open_manager(tmp_path, [7]) as manager:
        checkpoints.save(manager, 7, 1, state)
    assert runs.newest_intact_step(tmp_path) == 7
    back = checkpoints.restore(tmp_path, 7, jax.tree.map(np.zeros_like, state))
    assert jax.tree.structure(back) == jax.tree.structure(state)
    for ours, theirs in zip(jax.tree.leaves(back), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype


def test_chosen_epochs_and_the_two_newest_are_kept(finished):
    assert runs.checkpoint_steps(finished) == (0, STEPS, 3 * STEPS, 4 * STEPS)


@pytest.mark.parametrize("damage", [flip, truncate, empty, forget_digests])
def test_the_newest_intact_checkpoint_is_used(small, finished, copy, damage, caplog, monkeypatch):
    """The damage is said, and the run ends with the same parameters and records."""
    newest = copy / runs.CHECKPOINTS / str(4 * STEPS)
    damage(newest)
    started = []
    prepared = loop._resume
    monkeypatch.setattr(loop, "_resume", lambda *a: started.append(prepared(*a)) or started[-1])
    with caplog.at_level(logging.WARNING, logger="absl"):
        loop.train(small, copy)
    assert [epoch for epoch, *_ in started] == [4]  # after epoch 3
    said = [r.getMessage() for r in caplog.records if "is trained again" in r.getMessage()]
    assert len(said) == 1
    assert str(newest) in said[0]
    assert digests(copy) == digests(finished)
    assert (copy / "metrics.jsonl").read_text() == (finished / "metrics.jsonl").read_text()
    assert json.loads((copy / "status.json").read_text())["state"] == "done"


def test_when_all_are_damaged_one_sentence_says_so(small, copy):
    for step in runs.checkpoint_steps(copy):
        flip(copy / runs.CHECKPOINTS / str(step))
    with pytest.raises(InputError, match="has no intact checkpoint; train it") as error:
        loop.train(small, copy)
    assert str(copy) in str(error.value)


def test_damage_is_noticed_by_readers(copy):
    """For analysis: the damaged step is refused, the others are read."""
    run = load_run(copy)
    flip(copy / runs.CHECKPOINTS / "3", files=3)  # the kernel of dense1 and its two moments
    with pytest.raises(InputError, match="checkpoints/3 "):
        run.params(3)
    assert run.params(0)["dense1"]["kernel"].shape == (2, 192, 5)
    with pytest.raises(InputError, match="checkpoints/3 "):
        runs.newest_intact_step(copy, 3)
    assert runs.newest_intact_step(copy) == 4 * STEPS


def test_other_arrays_than_expected_are_refused(finished, small):
    with pytest.raises(InputError, match="holds other arrays"):
        checkpoints.restore(finished, 0, {"params": {"dense1": {"kernel": np.zeros(1)}}})
