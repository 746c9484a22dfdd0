"""Images that stay on disk train the same networks as those in memory."""

import shutil

import jax
import numpy as np
import pytest

from randlabels import runs
from randlabels.analysis import layer_inputs
from randlabels.analysis.alignment_of_run import alignment_of_run
from randlabels.data import drawn, streamed
from randlabels.data.tasks import open_task
from randlabels.errors import InputError
from randlabels.training import chunks, loop, streaming
from randlabels.training.check import check
from randlabels.training.loop import train
from randlabels.training.setup import prepare


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """The data directory of JPEG files of many sizes: 150 of training, 40 of testing."""
    folder = tmp_path_factory.mktemp("drawn")
    drawn.write(str(folder), 150, 40)
    return str(folder)


@pytest.fixture
def stored_config(tiny_config, pictures):
    """A function: changes -> a config of these pictures."""

    def make(changes=None):
        fields = {
            "data.name": drawn.NAME,
            "data.data_dir": pictures,
            "data.short_side": 16,
            "data.image_size": 12,
            "data.upstream_size": 70,
            "data.downstream_size": 60,
            "data.test_size": 30,
        }
        return tiny_config(fields | (changes or {}))

    return make


def same_bits(one, other):
    return all(
        np.array_equal(x, y)
        for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )


CASES = {
    "one device": (1, "auto", {}),
    "networks": (2, "networks", {}),
    "batch": (4, "batch", {"population.vectorize": "vmap"}),
    "both, crops, real labels, downstream": (
        4,
        "both",
        {
            "data.augment": "crop_flip",
            "labels.kind": "real",
            "labels.num_classes": 100,
            "train.task": "downstream",
        },
    ),
    "batch norm": (1, "auto", {"model.name": "resnet18", "model.width": 0.05}),
}
LONG = ("networks", "batch", "batch norm")  # the last compiles for a minute


@pytest.mark.parametrize(
    "case",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in CASES],
)
def test_streamed_and_in_memory_training_have_the_same_bits(
    stored_config, run_population, monkeypatch, case
):
    devices, mode, changes = CASES[case]
    if changes.get("model.name"):
        changes = changes | {"model.filters": 48, "model.widths": (32,)}
    in_memory = run_population(stored_config(changes), devices, mode)
    # Four steps of training in chunks of two, or of one.
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 2 * 16 // devices * 12 * 12 * 3)
    on_disk = run_population(stored_config(changes | {"data.stream": True}), devices, mode)
    assert same_bits(in_memory.params, on_disk.params)
    assert in_memory.table == on_disk.table
    for one, other in zip(in_memory.metrics, on_disk.metrics, strict=True):
        assert one.keys() == other.keys()
        for name, values in one.items():
            np.testing.assert_allclose(
                np.hstack(jax.tree.leaves(values)),
                np.hstack(jax.tree.leaves(other[name])),
                rtol=1e-6,
            )


def test_a_run_on_disk_continues_where_it_was_stopped(stored_config, tmp_path, monkeypatch):
    """From an epoch in its middle, with the batches that follow; and its analysis is the same."""
    config = stored_config({"data.stream": True, "train.checkpoint_epochs": (1,)})
    whole = train(config, tmp_path / "whole")
    record = loop.proofs.Journal.append

    def stopped(journal, line):
        if line["epoch"] == 2:
            raise KeyboardInterrupt
        record(journal, line)

    with monkeypatch.context() as patch:
        patch.setattr(loop.proofs.Journal, "append", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "stopped")
    assert runs.checkpoint_steps(tmp_path / "stopped")[-1] == 4
    again = train(config, tmp_path / "stopped")
    assert same_bits(whole.params(8), again.params(8))
    assert whole.metrics == again.metrics


def test_the_analysis_is_that_of_images_in_memory(stored_config, tmp_path):
    """Of the first layer, which is shown the data, and inputs of one that is shown activations."""
    analysed, deeper = [], []
    for stream in (False, True):
        config = stored_config({"data.stream": stream, "train.epochs": 1})
        run = train(config, tmp_path / str(stream))
        analysed.append(alignment_of_run(run, ("conv1",), "checkpoint", 2).records)
        inputs = layer_inputs.open_inputs(run)
        variables = jax.tree.map(lambda x: x[1], layer_inputs.read_variables(run, 4))
        deeper.append(inputs.moments(variables, "dense1").covariance)
    np.testing.assert_array_equal(*deeper)
    for one, other in zip(*analysed, strict=True):
        np.testing.assert_array_equal(one.eigenvalues, other.eigenvalues)
        assert one.misalignment_data == other.misalignment_data


def test_other_pictures_are_known(stored_config, tmp_path, tmp_path_factory):
    config = stored_config({"data.stream": True})
    run = train(config, tmp_path / "run")
    other = tmp_path_factory.mktemp("other")
    drawn.write(str(other), 150, 40, seed=1)
    config.data.data_dir = str(other)
    data = open_task(config)
    with pytest.raises(InputError, match="images of drawn_jpegs are not those with which"):
        layer_inputs._check_data(run, "", data)


def test_random_crops_are_of_the_epoch_and_the_example(stored_config, tmp_path):
    """So they are others in each epoch, and the same after an interruption."""
    changes = {"data.stream": True, "data.augment": "resized_crop_flip"}
    setup = prepare(check(stored_config(changes)))
    passes = streaming.passes_of(setup, range(1, 3), {1})
    assert [one.crops for one in passes] == [(0, 1), (), (0, 2)]  # the train set alone has labels
    batches = streaming.Batches(passes, setup.layout.columns)
    per_epoch, evaluated = setup.steps_per_epoch, len(passes[1].order())
    seen = {}
    for epoch, first in ((1, 0), (2, per_epoch + evaluated)):
        order = passes[0 if epoch == 1 else 2].order()
        images = np.concatenate([batches(first + step) for step in range(per_epoch)])
        seen[epoch] = dict(zip(order.ravel().tolist(), images, strict=True))
    both = seen[1].keys() & seen[2].keys()
    assert len(both) > 40
    assert not any(np.array_equal(seen[1][k], seen[2][k]) for k in both)
    later = streaming.Batches(streaming.passes_of(setup, range(2, 3), set()), setup.layout.columns)
    np.testing.assert_array_equal(later(1), batches(per_epoch + evaluated + 1))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data.shuffle_pixels": True}, "shuffle_pixels shuffles images in memory"),
        ({"population.shared_batches": False}, "set config.population.shared_batches to True"),
        ({"data.short_side": 10}, "more than the 10 pixels of config.data.short_side"),
        ({"data.name": "dead_leaves", "data.data_dir": ""}, "does not read it"),
        ({"data.augment": "resized_crop_flip", "data.stream": False}, "set config.data.stream"),
    ],
)
def test_what_does_not_go_with_images_on_disk(stored_config, changes, said):
    with pytest.raises(InputError, match=said):
        check(stored_config({"data.stream": True} | changes))


def test_pictures_of_many_sizes_need_a_short_side(stored_config):
    config = check(stored_config({"data.short_side": 0}))
    with pytest.raises(InputError, match="set config.data.short_side"):
        open_task(config)


def test_a_file_that_vanishes_during_training_is_one_sentence(pictures, stored_config, tmp_path):
    """What was saved before stays, and the run continues once the file is back."""
    folder = tmp_path / "data"
    shutil.copytree(pictures, folder)
    changes = {"data.stream": True, "data.data_dir": str(folder), "train.epochs": 6}
    config = stored_config(changes | {"train.resume_seconds": 0.0})
    (shard,) = folder.glob("drawn_jpegs/1.0.0/*train*record*")
    content = shard.read_bytes()
    append = loop.proofs.Journal.append

    def spoil(journal, line):
        append(journal, line)
        if line["epoch"] == 2:
            streamed._open.cache_clear()
            shard.write_bytes(content[: len(content) // 2])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.proofs.Journal, "append", spoil)
        with pytest.raises(InputError, match="the train split in .* is damaged"):
            train(config, tmp_path / "run")
    shard.write_bytes(content)
    streamed._open.cache_clear()
    found = train(config, tmp_path / "run")
    assert same_bits(found.params(24), train(config, tmp_path / "unbroken").params(24))
