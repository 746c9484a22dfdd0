"""Masks of dropout depend on the network's seed, the step and the example, not on devices."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from randlabels import runs
from randlabels.models import build
from randlabels.training import checkpoints, loop, own_model, setup
from randlabels.training.check import check
from randlabels.training.devices import Splits, choose_layout
from randlabels.training.dropout import draws_by_example, dropout_rngs, masks_by_example
from randlabels.training.setup import prepare

pytestmark = pytest.mark.usefixtures("quick_programs")

# Networks of 16 and 12 units, so that dropout acts twice.
DROPPING = {
    "data.name": "gaussian",
    "data.image_size": 0,
    "data.diagonal": (1.0,) * 4,
    "model.name": "mlp",
    "model.filters": 48,
    "model.widths": (16, 12),
    "model.dropout": 0.4,
}


def test_masks_are_those_of_examples_whatever_the_batch(tiny_config):
    config = check(tiny_config(DROPPING | {"model.widths": (300, 200)}))
    model = build(config)
    images = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    variables = model.init(jax.random.key(0), images)

    def outputs(ids, seed=1, step=5, rows=(0, 1, 2, 3)):
        rngs = dropout_rngs(config, jnp.uint32(seed), jnp.int32(step))
        with masks_by_example(jnp.array(ids)):
            x = images[np.array(rows)]
            return np.asarray(model.apply(variables, x, train=True, rngs=rngs))

    whole = outputs([3, 9, 4, 7])
    np.testing.assert_allclose(outputs([7, 4], rows=(3, 2)), whole[[3, 2]], rtol=1e-5)
    for other in (outputs([3, 9, 4, 7], seed=2), outputs([3, 9, 4, 7], step=6)):
        assert (np.abs(other - whole).max(axis=1) > 0.01).all()
    moved = np.abs(outputs([3, 10, 4, 7]) - whole).max(axis=1) > 0.01
    assert moved.tolist() == [False, True, False, False]
    # Two examples that look alike have masks of their own, and so has the second layer.
    assert np.abs(np.diff(outputs([3, 9], rows=(0, 0)), axis=0)).max() > 0.01


@pytest.mark.slow
def test_devices_change_results_by_rounding_alone(tiny_config, run_population):
    """Three networks on one device, one on each of three, and batches split over eight."""
    config = tiny_config(DROPPING | {"population.seeds": 3, "data.upstream_size": 80})
    expected = run_population(config).params
    for mode, num_devices in (("networks", 3), ("batch", 8)):
        params = run_population(config, num_devices, mode).params
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=2e-6), params, expected)


def train(setup, directory):
    loop.run_epochs(setup, directory, loop.agreed(setup, directory))


@pytest.mark.slow
def test_a_run_continues_on_another_number_of_devices(tiny_config, tmp_path, monkeypatch):
    changes = DROPPING | {"population.seeds": 3, "train.epochs": 3, "train.resume_seconds": 0.0}
    setup = prepare(check(tiny_config(changes)))

    def on(mode, num_devices):
        devices = tuple(jax.local_devices()[:num_devices])
        return dataclasses.replace(
            setup, table=list(setup.table), layout=choose_layout(mode, 3, 16, devices)
        )

    def last(directory):
        step = runs.newest_intact_step(directory)
        return step, checkpoints.restore(directory, step, setup.state)

    for name in ("unbroken", "broken"):
        (tmp_path / name).mkdir()
    train(on("networks", 1), tmp_path / "unbroken")
    original = loop._batches

    def failing(setup, epoch):
        if epoch == (2 if setup.layout.parts > 1 else 3):
            raise RuntimeError("power failure")
        return original(setup, epoch)

    monkeypatch.setattr(loop, "_batches", failing)
    for mode, num_devices in (("batch", 8), ("networks", 3)):
        with pytest.raises(RuntimeError, match="power failure"):
            train(on(mode, num_devices), tmp_path / "broken")
    monkeypatch.setattr(loop, "_batches", original)
    train(on("networks", 1), tmp_path / "broken")
    (step, state), (end, expected) = (last(tmp_path / name) for name in ("broken", "unbroken"))
    assert step == end == 9
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=2e-6), state, expected)


class Drawing(nn.Module):
    """A user's model, which drops in one of several ways."""

    how: str

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Dense(6)(x)
        if self.how == "called":
            x = nn.Dropout(0.5)(x, deterministic=not train)
        elif self.how == "channels":
            x = nn.Dropout(0.5, broadcast_dims=(1,), deterministic=not train)(x)
        elif self.how == "shared":
            x = nn.Dropout(0.5, broadcast_dims=(0,), deterministic=not train)(x)
        elif self.how == "transposed":
            x = nn.Dropout(0.5, deterministic=not train)(x.T).T
        elif self.how == "in pairs" and train:
            x = nn.Dropout(0.5, deterministic=False)(x.reshape(len(x) // 2, -1)).reshape(x.shape)
        elif self.how == "own key" and train:
            x = x + jax.jit(jax.random.normal, static_argnums=1)(jax.random.key(3), x.shape)
        elif train:
            x = x + jax.random.normal(self.make_rng("dropout"), x.shape)
        return nn.Dense(2)(x)


@pytest.mark.parametrize(
    ("how", "expected"),
    [("called", True), ("channels", True), ("shared", False), ("transposed", False),
     ("in pairs", False), ("own key", False), ("noise", False)],
)  # fmt: skip
def test_what_a_model_draws_is_found_out(how, expected):
    model = Drawing(how)
    assert draws_by_example(model, (4,)) == expected
    variables = model.init(jax.random.key(0), jnp.ones((4, 4)))
    with masks_by_example(jnp.arange(4)):
        key = jax.random.key(1)
        trained = model.apply(variables, jnp.ones((4, 4)), train=True, rngs={"dropout": key})
    assert np.abs(trained - model.apply(variables, jnp.ones((4, 4)))).max() > 1e-3


def test_own_models_draw_by_example(tiny_config):
    for name in ("simple_cnn", "conv_net"):
        changes = {"model.name": name, "model.dropout": 0.5}
        if name == "conv_net":
            changes |= {"model.filters": 48, "model.channels": (4, 4)}
        config = check(tiny_config(changes))
        assert draws_by_example(build(config), (8, 8, 3))


def test_auto_splits_no_batches_of_a_model_that_draws_across_examples(tiny_config, monkeypatch):
    asked = []
    monkeypatch.setattr(setup, "choose_layout", lambda *a: asked.append(a[-1]) or choose_layout(*a))
    config = check(tiny_config(DROPPING | {"population.seeds": 3}))
    prepare(config)
    monkeypatch.setattr(own_model, "draws_by_example", lambda model, shape: False)
    prepare(config)
    assert asked == [Splits(), Splits(over_all=False, in_groups=False)]
