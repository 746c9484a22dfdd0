"""Data or a model that changed since a run was begun are noticed, not mixed with what they were."""

import importlib
import json
import logging
import shutil
import sys

import flax.linen as nn
import jax
import numpy as np
import pytest

from randlabels import load_run, proofs, runs
from randlabels.analysis.layer_inputs import open_inputs
from randlabels.analysis.run_analysis import analyze
from randlabels.errors import InputError
from randlabels.models.own import identity_of
from randlabels.proofs import changed
from randlabels.training import loop
from randlabels.transfer.earlier_run import EarlierRun

OWN = """
import flax.linen as nn
import jax
import numpy as np

from randlabels.data.generators import Generator
from randlabels.models.layers import Dense

SHIFT, ACTIVATION, SCALE, AT_THE_END = 0, nn.relu, np.ones(6, np.float32), 1.0
INITIAL, OF_MANY = 1.0, 1.0


def draw(seed, count):
    rng = np.random.default_rng(seed + SHIFT)
    images = rng.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    return images, rng.integers(0, 3, count).astype(np.int32)


own = Generator(draw, ("a", "b", "c"))


class Net(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x, train=False):
        x = ACTIVATION(Dense(6, INITIAL, name="dense1")(x.reshape(x.shape[0], -1)))
        x = x * OF_MANY if len(x) > 8 else x
        x = x * SCALE if train else x * SCALE * AT_THE_END
        return Dense(self.num_classes, 1.0, name="head")(x)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of the user's own, with a data set and a model."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"own_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(OWN)
    yield __import__(name)
    del sys.modules[name]


@pytest.fixture
def config(tiny_config, own):
    changes = {
        "data.name": f"{own.__name__}:own",
        "data.image_size": 16,
        "model.name": f"{own.__name__}:Net",
        "model.init_scale": 0.35,
        "model.filters": 48,
        "model.widths": (32,),
        "train.epochs": 3,
        "train.checkpoint_epochs": (0, 1, 2),
    }
    return tiny_config(changes)


@pytest.fixture
def cut(config, tmp_path):
    """A run whose last epoch is yet to come."""
    loop.train(config, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / runs.CHECKPOINTS / "9")
    return tmp_path / "run"


def test_other_images_are_refused_and_those_that_were_go_on(config, cut, own, monkeypatch):
    before = runs.checkpoint_steps(cut)
    monkeypatch.setattr(own, "SHIFT", 1)
    with pytest.raises(InputError, match=r"the images are not those with which .*run was begun"):
        loop.train(config, cut)
    assert runs.checkpoint_steps(cut) == before
    assert json.loads((cut / "status.json").read_text())["state"] == "done"  # as it was
    monkeypatch.setattr(own, "SHIFT", 0)
    loop.train(config, cut)
    assert load_run(cut).status["state"] == "done"


def test_other_labels_are_refused(config, cut, own):
    draw = own.own.draw
    object.__setattr__(own.own, "draw", lambda *a: (draw(*a)[0], 2 - draw(*a)[1]))
    config.labels.kind = "real"
    config.labels.num_classes = 3
    loop.train(config, cut.parent / "real")
    object.__setattr__(own.own, "draw", draw)
    shutil.rmtree(cut.parent / "real" / runs.CHECKPOINTS / "9")
    with pytest.raises(InputError, match="the labels are not those with which"):
        loop.train(config, cut.parent / "real")


PHOTOS = """
import numpy as np

from randlabels.data.generators import Generator

rng = np.random.default_rng(5)
images = rng.integers(0, 256, (200, 8, 8, 3)).astype(np.uint8)
labels = rng.integers(0, 3, 200).astype(np.int32)
own = Generator(lambda seed, count: (images[:count], labels[:count]), ("a", "b", "c"), at_once=True)
"""


@pytest.fixture
def photos(tiny_config, own, tmp_path):
    """A finished run of stored photos, the module that holds them, and its config."""
    (tmp_path / f"{own.__name__}.py").write_text(OWN + PHOTOS)
    module = importlib.reload(own)
    config = tiny_config(
        {
            "data.name": f"{own.__name__}:own",
            "data.image_size": 16,
            "labels.kind": "real",
            "train.checkpoint_epochs": (0, 1),
        }
    )
    loop.train(config, tmp_path / "run")
    return module, config, tmp_path / "run"


def _swap_photos(module):
    module.images[[3, 7]] = module.images[[7, 3]]


def _darken_the_other_task(module):
    module.images[100:148] //= 2  # what comes after the test


def _relabel_the_test(module):
    module.labels[50:100] = (module.labels[50:100] + 1) % 3


def _swap_labels(module):
    module.labels[:50] = np.roll(module.labels[:50], 1)


@pytest.mark.parametrize(
    ("change", "named", "analysed"),
    [
        (_swap_photos, "images", True),
        (_darken_the_other_task, "channel moments", True),
        (_relabel_the_test, "test labels", False),
        (_swap_labels, "labels", False),
    ],
)
def test_what_changed_of_stored_photos_is_named(photos, change, named, analysed):
    module, config, run = photos
    change(module)
    if analysed:
        with pytest.raises(InputError, match=f"the {named} of .*:own are not those with which"):
            open_inputs(load_run(run))
    shutil.rmtree(run / runs.CHECKPOINTS / "6")
    with pytest.raises(InputError, match=f"^the {named} are not those with which"):
        loop.train(config, run)


def test_a_checkpoint_of_other_photos_does_not_vouch_for_them(photos, tmp_path):
    module, config, run = photos
    expected = load_run(run).params(6)["conv1"]["kernel"]
    shutil.rmtree(run / runs.CHECKPOINTS / "6")
    module.images[:] = module.images[::-1].copy()
    loop.train(config, tmp_path / "other")
    shutil.copytree(tmp_path / "other" / runs.CHECKPOINTS / "6", run / runs.CHECKPOINTS / "6")
    with pytest.raises(InputError, match="are not those with which"):
        loop.train(config, run)
    module.images[:] = module.images[::-1].copy()
    found = loop.train(config, run).params(6)["conv1"]["kernel"]
    np.testing.assert_array_equal(found, expected)


def test_analysis_refuses_other_images(config, own, tmp_path, monkeypatch, caplog):
    loop.train(config, tmp_path / "run")
    monkeypatch.setattr(own, "SHIFT", 1)
    with pytest.raises(InputError, match="images of .*:own are not those with which .*put them"):
        analyze(tmp_path / "run")
    with pytest.raises(InputError, match="the test images of .*:own are not those"):
        open_inputs(load_run(tmp_path / "run"), "downstream")
    monkeypatch.setattr(own, "SHIFT", 0)
    with caplog.at_level(logging.WARNING, logger="absl"):
        analyze(tmp_path / "run", random_bases=2)
    few = "There is no misalignment of dense1: Sigma_w of 12 filters in 192 dimensions is singular"
    assert caplog.text.count(few) == 1


@pytest.mark.parametrize(
    ("what", "value", "is_now"), [("SHIFT", 1, 0), ("AT_THE_END", 3.0, 1.0), ("INITIAL", 2.0, 1.0)]
)
def test_a_checkpoint_of_something_else_under_the_same_config_is_refused(
    config, own, tmp_path, monkeypatch, what, value, is_now
):
    config.train.eval_epochs = (3,)  # until then metrics.jsonl proves nothing
    loop.train(config, tmp_path / "run")
    monkeypatch.setattr(own, what, value)
    loop.train(config, tmp_path / "other")
    monkeypatch.setattr(own, what, is_now)
    folder = tmp_path / "run" / runs.CHECKPOINTS / "3"
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "other" / runs.CHECKPOINTS / "3", folder)
    refused = "^the checkpoints of steps 0 and 3 in .* were trained on different data"
    for use in (load_run, lambda workdir: loop.train(config, workdir)):
        with pytest.raises(InputError, match=refused):
            use(tmp_path / "run")
    shutil.rmtree(folder)
    loop.train(config, tmp_path / "run")
    assert 3 in load_run(tmp_path / "run").steps


def test_a_checkpoint_that_the_metrics_contradict_is_trained_again(
    config, own, tmp_path, monkeypatch
):
    config.train.checkpoint_epochs, config.train.resume_seconds = (0,), 0.0
    expected = loop.train(config, tmp_path / "run")
    monkeypatch.setattr(own, "SHIFT", 1)
    loop.train(config, tmp_path / "other")
    monkeypatch.setattr(own, "SHIFT", 0)
    assert expected.steps == (0, 6, 9)  # of which 6 need not be there
    folder = tmp_path / "run" / runs.CHECKPOINTS / "6"
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "other" / runs.CHECKPOINTS / "6", folder)
    with pytest.raises(InputError, match="the command that trained it mends them"):
        load_run(tmp_path / "run")
    loop.train(config, tmp_path / "run")
    assert load_run(tmp_path / "run").metrics == expected.metrics
    assert not folder.exists()


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("ACTIVATION", nn.tanh),
        ("SCALE", np.full(6, 2, np.float32)),
        ("AT_THE_END", 3.0),
        ("OF_MANY", 2.0),
    ],
)
def test_a_model_that_computes_something_else_is_refused(
    config, cut, own, monkeypatch, what, value
):
    before = runs.checkpoint_steps(cut)
    monkeypatch.setattr(own, what, value)
    with pytest.raises(InputError, match="the model computes something else than when .* was beg"):
        loop.train(config, cut)
    assert runs.checkpoint_steps(cut) == before
    assert json.loads((cut / "status.json").read_text())["state"] == "done"  # as it was


def test_a_model_goes_on_whatever_made_its_weights(config, cut, own, monkeypatch):
    monkeypatch.setattr(own, "INITIAL", 2.0)
    loop.train(config, cut)
    assert runs.checkpoint_steps(cut)[-1] == 9


def test_other_initial_weights_are_refused_where_a_run_would_be_trained_from_the_start(
    config, cut, own, monkeypatch
):
    shutil.rmtree(cut / runs.CHECKPOINTS / "0")
    monkeypatch.setattr(own, "INITIAL", 2.0)
    with pytest.raises(InputError, match="the model computes something else than when"):
        loop.train(config, cut)
    assert 3 in runs.checkpoint_steps(cut)


def test_a_model_with_other_parameters_is_refused(config, cut, own, tmp_path):
    loop.train(config, tmp_path / "whole run")
    (tmp_path / f"{own.__name__}.py").write_text(OWN.replace("Dense(6, ", "Dense(7, "))
    importlib.reload(own)
    own.SCALE = np.ones(7, np.float32)
    changed = r"the model has params/dense1/bias \(7,\) where it was \(6,\) when .*run was begun"
    with pytest.raises(InputError, match=changed):
        loop.train(config, cut)
    with pytest.raises(InputError, match=changed):
        open_inputs(load_run(tmp_path / "whole run"))
    with pytest.raises(InputError, match=changed):
        loop.train(config, tmp_path / "whole run")  # which is finished


def test_analysis_and_transfer_say_that_a_model_computes_something_else(
    config, own, tmp_path, caplog, monkeypatch
):
    loop.train(config, tmp_path / "run")
    tuned = config.copy_and_resolve_references()
    tuned.train.task = "downstream"
    tuned.init.arms, tuned.init.run = ("pretrained",), str(tmp_path / "run")
    said = f"the model {config.model.name} computes something else than when"
    with caplog.at_level(logging.WARNING, logger="absl"):
        open_inputs(load_run(tmp_path / "run"))
        assert said not in caplog.text
        monkeypatch.setattr(own, "AT_THE_END", 3.0)
        open_inputs(load_run(tmp_path / "run"))
        assert said in caplog.text
        for changed, workdir in ((tuned, "tuned"), (config, "run")):  # which is finished
            caplog.clear()
            loop.train(changed, tmp_path / workdir)
            assert said in caplog.text


KEYED = """
KEY = jax.random.key(7)
TABLE, SLOPE = np.ones(6, np.float32), 1.0


@jax.jit
def look_up(x):
    return x * jnp.asarray(TABLE)


@jax.custom_vjp
def through(x):
    return jnp.sign(x)


through.defvjp(lambda x: (jnp.sign(x), None), lambda _, g: (SLOPE * g,))


class Ruled(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x, train=False):
        x = Dense(6, 1.0, name="dense1")(x.reshape(x.shape[0], -1))
        return Dense(self.num_classes, 1.0, name="head")(through(look_up(x)))


def named(name):
    def double(x):
        return 2 * x

    def straight(x):
        return jnp.sign(x)

    def forwards(x):
        return jnp.sign(x), None

    def helper(x):
        return passed(jnp.tanh(doubled(x)))

    for function in (double, straight, forwards, helper):
        function.__name__ = name
    doubled = jax.custom_jvp(double)
    doubled.defjvp(lambda x, t: (2 * x[0], 2 * t[0]))
    passed = jax.custom_vjp(straight)
    passed.defvjp(forwards, lambda _, g: (g,))
    solve = jax.jit(double)
    helper = jax.jit(helper)
    return lambda x: helper(jax.scipy.sparse.linalg.cg(lambda y: solve(y), x)[0])


class Helped(nn.Module):
    num_classes: int
    name_of_helper: str = "a"

    @nn.compact
    def __call__(self, x, train=False):
        x = Dense(6, 1.0, name="dense1")(x.reshape(x.shape[0], -1))
        return Dense(self.num_classes, 1.0, name="head")(named(self.name_of_helper)(x))


class Keyed(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x, train=False):
        x = Dense(6, 1.0, name="dense1")(x.reshape(x.shape[0], -1))
        return Dense(self.num_classes, 1.0, name="head")(x + jax.random.normal(KEY, x.shape))
"""


IMPORTS = "import jax\nimport jax.numpy as jnp\n"


@pytest.mark.parametrize(
    ("what", "value", "parts"),
    [
        ("TABLE", np.arange(6, dtype=np.float32), {"train", "evaluation"}),
        ("SLOPE", 2.0, {"train"}),
    ],
)
def test_rules_of_derivatives_and_what_inner_functions_hold_are_part_of_it(
    config, own, tmp_path, what, value, parts
):
    (tmp_path / f"{own.__name__}.py").write_text(IMPORTS + OWN + KEYED)
    config.model.name = f"{own.__name__}:Ruled"

    def known(**changes):
        module = importlib.reload(own)  # as in another process
        for name, changed_to in changes.items():
            setattr(module, name, changed_to)
        return identity_of(config, module.Ruled(3), (8, 8, 3))

    first, now = known(), known(**{what: value})
    assert known() == first
    assert {part for part in ("train", "evaluation") if changed(first, now, part)} == parts


def test_names_of_functions_are_no_part_of_it(config, own, tmp_path):
    (tmp_path / f"{own.__name__}.py").write_text(IMPORTS + OWN + KEYED)
    importlib.reload(own)
    config.model.name = f"{own.__name__}:Helped"
    one, other = (identity_of(config, own.Helped(3, name), (8, 8, 3)) for name in ("a", "helper"))
    assert one == other


def test_a_key_that_a_model_holds_is_part_of_what_it_computes(config, own, tmp_path):
    (tmp_path / f"{own.__name__}.py").write_text(IMPORTS + OWN + KEYED)
    importlib.reload(own)
    config.model.name = f"{own.__name__}:Keyed"
    shape = (8, 8, 3)

    def known():
        return identity_of(config, own.Keyed(3), shape)

    first = known()
    assert known() == first
    own.KEY = jax.random.key(8)
    assert changed(first, known(), "train")
    assert changed(first, known(), "evaluation")


def test_models_of_the_package_are_not_traced_for_it(finished):
    newest = finished / runs.CHECKPOINTS / str(runs.checkpoint_steps(finished)[-1])
    of = runs.read_meta(newest)["of"]
    assert of["model"] == {}
    assert set(of["data"]) == {
        "images",
        "labels",
        "test images",
        "channel moments",
    }
    assert len(json.dumps(of)) < 1500


@pytest.fixture
def tuned(small, finished, tmp_path):
    """A source, and a run that was fine-tuned from it, whose last epoch is yet to come."""
    shutil.copytree(finished, tmp_path / "source")
    config = small.copy_and_resolve_references()
    config.train.task = "downstream"
    config.init.arms, config.init.run = ("pretrained",), str(tmp_path / "source")
    loop.train(config, tmp_path / "tuned")
    shutil.rmtree(tmp_path / "tuned" / runs.CHECKPOINTS / "9")
    return config


def test_a_source_that_was_trained_anew_is_refused(small, tuned, tmp_path):
    loop.train(tuned, tmp_path / "tuned")  # the same source goes on
    shutil.rmtree(tmp_path / "tuned" / runs.CHECKPOINTS / "9")
    shutil.rmtree(tmp_path / "source")
    changed = small.copy_and_resolve_references()
    changed.optimizer.learning_rate = 0.04
    loop.train(changed, tmp_path / "source")
    for step in (0, 3):  # where training goes on, and where it would begin again
        with pytest.raises(InputError, match=r"the weights in config.init.run are not those with"):
            loop.train(tuned, tmp_path / "tuned")
        shutil.rmtree(tmp_path / "tuned" / runs.CHECKPOINTS / str(step))


def test_a_source_that_is_not_finished_is_said(tuned, tmp_path, caplog):
    shutil.rmtree(tmp_path / "source" / runs.CHECKPOINTS / "9")
    status = json.loads((tmp_path / "source" / "status.json").read_text())
    (tmp_path / "source" / "status.json").write_text(json.dumps(status | {"state": "interrupted"}))
    with caplog.at_level(logging.WARNING, logger="absl"):
        loop.train(tuned, tmp_path / "other")
    assert "source is not finished (interrupted); networks start from its newest" in caplog.text
    assert "of step 6." in caplog.text


@pytest.mark.parametrize("arm", ["pretrained", "aligned"])
def test_sources_that_were_lost_since_matter_where_networks_are_drawn_anew(
    tuned, tmp_path, monkeypatch, arm
):
    """A measured f is that of all healthy networks of a run, which may not be finished."""
    tuned.init.arms, tuned.population.seeds = (arm,), 1
    if arm == "aligned":
        tuned.init.curve = "measured"
    directory = tmp_path / "drawn"
    loop.train(tuned, directory)
    monkeypatch.setattr(EarlierRun, "healthy_networks", [1])
    shutil.rmtree(directory / runs.CHECKPOINTS / "9")
    loop.train(tuned, directory)  # its networks have started already
    assert load_run(directory).status["state"] == "done"
    table = (directory / "networks.json").read_bytes()
    (directory / "networks.json").unlink()
    loop.train(tuned, directory)
    assert (directory / "networks.json").read_bytes() == table
    (directory / "metrics.jsonl").unlink()
    with pytest.raises(InputError, match=r"the weights in config.init.run are not those with"):
        loop.train(tuned, directory)
    assert 0 in runs.checkpoint_steps(directory)


def test_a_checkpoint_of_networks_with_other_sources_is_refused(tuned, tmp_path, monkeypatch):
    """Of a run of the same config, which was begun when other networks of the source lived."""
    tuned.population.seeds, tuned.train.eval_epochs = 1, (3,)
    tuned.train.checkpoint_epochs = ()
    loop.train(tuned, tmp_path / "ours")
    with monkeypatch.context() as lost:
        lost.setattr(EarlierRun, "healthy_networks", [1])
        loop.train(tuned, tmp_path / "theirs")
    ours, theirs = (tmp_path / name / runs.CHECKPOINTS for name in ("ours", "theirs"))
    shutil.rmtree(ours)
    shutil.copytree(theirs, ours)
    shutil.rmtree(ours / "9")
    (tmp_path / "ours" / "metrics.jsonl").write_bytes(b"")
    with pytest.raises(InputError, match="would start from others than they did"):
        loop.train(tuned, tmp_path / "ours")


def test_checkpoints_are_compared_although_an_older_one_cannot_be(tmp_path):
    """An older version noted no healthy networks; another of JAX traces other programs."""
    sources, healthy = {"digests": {"9": "a"}}, proofs.HEALTHY
    models = [
        {"versions": versions, "batch": 8, "train": train}
        for versions, train in (("1", "X"), ("2", "A"), ("2", "B"))
    ]
    of = [
        {"sources": sources, "model": models[0]},
        {"sources": sources | {healthy: [0, 1]}, "model": models[1]},
        {"sources": sources | {healthy: [0, 1]}, "model": models[1]},
    ]
    proofs.check_origins(tmp_path, {step: {"of": one} for step, one in enumerate(of)})
    for change in ({"sources": sources | {healthy: [1, 2]}}, {"model": models[2]}):
        metas = {step: {"of": one} for step, one in enumerate([*of, of[-1] | change])}
        with pytest.raises(InputError, match="the checkpoints of steps 1 and 3"):
            proofs.check_origins(tmp_path, metas)


def test_what_is_no_checkpoint_is_not_removed(small, copy):
    shutil.rmtree(copy / runs.CHECKPOINTS / "9")
    (copy / runs.CHECKPOINTS / "99").mkdir()
    (copy / runs.CHECKPOINTS / "99" / "thesis.txt").write_text("years")
    with pytest.raises(InputError, match="99 holds what is of no checkpoint; move it"):
        loop.train(small, copy)
    assert (copy / runs.CHECKPOINTS / "99" / "thesis.txt").read_text() == "years"
    assert json.loads((copy / "status.json").read_text())["state"] == "done"  # as it was
    assert (copy / runs.CHECKPOINTS / "0").exists()
    shutil.rmtree(copy / runs.CHECKPOINTS / "99")
    (copy / runs.CHECKPOINTS / "99").write_text("years")
    with pytest.raises(InputError, match="99 holds what is of no checkpoint; move it"):
        loop.train(small, copy)
    assert (copy / runs.CHECKPOINTS / "99").read_text() == "years"
    with pytest.raises(InputError, match="is among the checkpoints of another run"):
        loop.train(small, copy / runs.CHECKPOINTS / "98")


def test_an_analysis_that_is_elsewhere_is_refused(copy, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (copy / "analysis").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="analysis is a link; remove it"):
        analyze(copy)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", ["a[1]", "b\\c"])
def test_folders_in_which_no_checkpoints_can_be_written_are_refused(small, tmp_path, name):
    (tmp_path / name).mkdir()
    for folder in (tmp_path / name, tmp_path / name / "run"):
        with pytest.raises(InputError, match=r"in its name or above it, where checkpoints cannot"):
            loop.train(small, folder)
    assert list((tmp_path / name).iterdir()) == []


@pytest.mark.parametrize("name", ["a(1)", "b c", "d{e}", "f?*", "%s", "é"])
def test_other_names_hold_checkpoints(small, tmp_path, name):
    run = loop.train(small, tmp_path / name)
    assert run.params(run.steps[-1])["head"]["kernel"].shape[0] == 2
