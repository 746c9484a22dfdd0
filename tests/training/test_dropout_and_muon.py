"""Dropout's masks and muon's updates inside the training step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from randlabels import load_run
from randlabels.errors import InputError
from randlabels.models import build
from randlabels.training import loop
from randlabels.training.check import check
from randlabels.training.dropout import dropout_rngs
from randlabels.training.optimizers import make_optimizer

pytestmark = pytest.mark.usefixtures("quick_programs")


def applied(model, variables, images, **more):
    return np.asarray(model.apply(variables, images, **more))


@pytest.fixture(scope="module")
def dropping(tiny_config):
    """A model with wide hidden layer and dropout .4, its variables, and images."""
    config = check(tiny_config({"model.dropout": 0.4, "model.widths": (2000,)}))
    model = build(config)
    images = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype(np.float32)
    return config, model, model.init(jax.random.key(0), images), images


def test_dropout_acts_in_training_only_and_keeps_the_mean(dropping):
    config, model, variables, images = dropping
    plain = applied(model, variables, images)
    np.testing.assert_array_equal(plain, applied(model, variables, images))
    masked = [
        applied(model, variables, images, train=True, rngs=dropout_rngs(config, jnp.uint32(0), k))
        for k in range(300)
    ]
    assert np.abs(masked[0] - plain).max() > 0.05
    error = np.std(masked, axis=0) / np.sqrt(300)
    assert (np.abs(np.mean(masked, axis=0) - plain) < 4.5 * error).all()


def test_masks_depend_on_the_network_and_the_step_alone(dropping):
    config = dropping[0]

    def words(seed, step):
        return tuple(jax.random.key_data(dropout_rngs(config, seed, step)["dropout"]).tolist())

    assert words(1, 2) == words(1, 2)
    assert len({words(seed, step) for seed in (0, 1) for step in (0, 1, 2)}) == 6


def test_training_with_dropout_is_reproducible_and_differs(tiny_config, tmp_path):
    final = {}
    for name, dropout in (("a", 0.5), ("b", 0.5), ("none", 0.0)):
        loop.train(tiny_config({"model.dropout": dropout, "model.widths": (20,)}), tmp_path / name)
        run = load_run(tmp_path / name)
        final[name] = run.params(run.steps[-1])["conv1"]["kernel"]
    np.testing.assert_array_equal(final["a"], final["b"])
    assert np.abs(final["a"] - final["none"]).max() > 1e-3


def test_dropout_of_a_model_without_it_is_refused(tiny_config):
    config = tiny_config({"model.name": "vgg16", "model.dropout": 0.5, "data.image_size": 32})
    config.model.filters, config.model.widths = 48, (32,)
    with pytest.raises(InputError, match="model.dropout is 0.5, but model vgg16 does not read it"):
        check(config)


def test_muon_orthogonalises_kernels_as_matrices(tiny_config):
    """The first update of a kernel is - lr * scale * U V^T of its gradient as [d, filters]."""
    config = check(tiny_config({"optimizer.name": "muon", "optimizer.momentum": 0.0}))
    rng = np.random.default_rng(1)
    params = {
        "conv1": {"kernel": rng.normal(size=(3, 3, 3, 6)), "bias": np.zeros(6)},
        "head": {"kernel": rng.normal(size=(6, 3)), "bias": np.zeros(3)},
    }
    params = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)
    gradients = jax.tree.map(lambda x: x + 0.1, params)
    network = {name: jnp.float32(v) for name, v in
               {"learning_rate": 0.02, "weight_decay": 0.0, "momentum": 0.0}.items()}  # fmt: skip

    @jax.jit
    def update(network):
        optimizer = make_optimizer(config, 10, network)
        return optimizer.update(gradients, optimizer.init(params), params)[0]

    updates = update(network)
    matrix = np.asarray(gradients["conv1"]["kernel"]).reshape(27, 6)
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    ours = np.asarray(updates["conv1"]["kernel"]).reshape(27, 6)
    # Five steps of the Newton-Schulz iteration bring singular values to .7 .. 1.2 of one scale.
    values = np.linalg.svd(ours, compute_uv=False)
    assert values.max() / values.min() < 1.8
    assert np.linalg.cond(matrix) > 2
    cosine = -np.sum(ours * (u @ v)) / np.linalg.norm(ours) / np.linalg.norm(u @ v)
    assert cosine > 0.98
    adam = optax.adam(0.02, nesterov=True)
    wanted, _ = adam.update(gradients["head"], adam.init(params["head"]), params["head"])
    np.testing.assert_allclose(updates["head"]["kernel"], wanted["kernel"], rtol=0.02)


def test_muon_trains_a_population(tiny_config, tmp_path):
    settings = {"optimizer.name": "muon", "optimizer.momentum": 0.0, "train.epochs": 6}
    loop.train(tiny_config(settings | {"optimizer.learning_rate": 0.01}), tmp_path)
    losses = [record["train_loss"] for record in load_run(tmp_path).metrics]
    assert (np.array(losses[-1]) < 0.92 * np.array(losses[0])).all()
