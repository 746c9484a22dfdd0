"""The optimizer of a step against NumPy and against plain optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from randlabels.data import splits
from randlabels.training.check import check
from randlabels.training.optimizers import make_optimizer
from randlabels.training.setup import prepare
from randlabels.training.step import crop_flip

pytestmark = pytest.mark.usefixtures("quick_programs")

LINEAR = {
    "data.name": "gaussian",
    "data.image_size": 0,
    "data.diagonal": (1.0, 2.0, 0.5, 1.0),
    "model.name": "mlp",
    "model.filters": 48,
    "model.widths": (),
    "train.epochs": 3,
    "train.checkpoint_epochs": (0, 1, 2),
}


def softmax_gradients(x, labels, kernel, bias):
    """Closed form: d loss / d logits = (softmax - one-hot) / n."""
    logits = x @ kernel + bias
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    error = (shares - np.eye(bias.size)[labels]) / len(x)
    return x.T @ error, error.sum(axis=0)


def numpy_sgd(setup, row, start):
    """SGD with momentum in float64; the rate is multiplied from update round(f * total) on."""
    settings, task = setup.config.optimizer, setup.task
    kernel = start["head"]["kernel"].astype(np.float64)
    bias = start["head"]["bias"].astype(np.float64)
    speeds = [np.zeros_like(kernel), np.zeros_like(bias)]
    step = 0
    for epoch in range(1, setup.config.train.epochs + 1):
        for batch in splits.epoch_order(0, epoch, len(task.images), 16):
            labels = task.labels[row.network][batch]
            gradients = softmax_gradients(task.images[batch].astype(float), labels, kernel, bias)
            rate = row.learning_rate
            for fraction in settings.decay_at:
                if step >= round(fraction * setup.total_steps):
                    rate *= settings.decay_factor
            for i, (weight, gradient) in enumerate(zip((kernel, bias), gradients, strict=True)):
                speeds[i] = row.momentum * speeds[i] + gradient + row.weight_decay * weight
                weight -= rate * speeds[i]
            step += 1
    return kernel, bias


def test_sgd_equals_numpy_for_every_network(tiny_config, run_population):
    """Learning rate, momentum and coupled weight decay act per network; 9 updates, two decays.

    float32 against float64 over 9 updates: a few 1e-7 of weights of size 1.
    """
    changes = LINEAR | {
        "population.seeds": 1,
        "optimizer.decay_at": (0.4, 0.8),  # from update round(3.6) = 4 and round(7.2) = 7 on
        "optimizer.decay_factor": 0.1,
        "population.sweep": (
            ("optimizer.learning_rate", (0.5, 0.1)),
            ("optimizer.momentum", (0.9, 0.0)),
            ("optimizer.weight_decay", (0.0, 0.2)),
        ),
    }
    config = tiny_config(changes)
    setup = prepare(check(config))
    assert setup.total_steps == 9
    trained = run_population(config).params["head"]
    for row in setup.table:
        k = row.network
        start = jax.tree.map(lambda x, k=k: x[k], setup.state["params"])
        kernel, bias = numpy_sgd(setup, row, start)
        np.testing.assert_allclose(trained["kernel"][k], kernel, atol=3e-6, err_msg=str(row))
        np.testing.assert_allclose(trained["bias"][k], bias, atol=3e-6)
    # All eight trajectories differ by far more than the tolerance.
    ends = trained["kernel"].reshape(8, -1)
    gaps = np.abs(ends[:, None] - ends[None]).max(axis=-1) + np.eye(8)
    assert gaps.min() > 1e-3


@pytest.mark.parametrize("fraction", [0.0, 0.5, 1.0])
def test_the_learning_rate_decays_from_the_stated_update_on(tiny_config, fraction):
    config = check(
        tiny_config(
            {
                "optimizer.decay_at": (fraction,),
                "optimizer.decay_factor": 0.25,
                "optimizer.momentum": 0.0,
            }
        )
    )
    network = {"learning_rate": 0.5, "momentum": 0.0, "weight_decay": 0.0}
    optimizer = make_optimizer(config, 7, network)
    params = jnp.ones(())
    state, rates = optimizer.init(params), []
    for _ in range(7):
        update, state = optimizer.update(jnp.ones(()), state, params)
        rates.append(float(-update))
    first = round(fraction * 7)  # 0, 4 (3.5 to the even number) or never
    assert rates == [0.5] * first + [0.125] * (7 - first)


def plain_optax(setup, optimizer, row, start):
    """The same training as a plain loop around optax, one network, no scan, no vmap."""
    task, k = setup.task, row.network

    @jax.jit
    def step(params, state, batch, labels):
        def loss(params):
            logits = setup.model.apply({"params": params}, batch)
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    params, state = start, optimizer.init(start)
    for epoch in range(1, setup.config.train.epochs + 1):
        for batch in splits.epoch_order(0, epoch, len(task.images), 16):
            params, state = step(params, state, task.images[batch], task.labels[k][batch])
    return params


@pytest.mark.parametrize(
    ("name", "decay", "plain"),
    [
        ("adam", 0.0, lambda rate, decay: optax.adam(rate)),
        # Coupled: added to the gradient before its moments are taken.
        (
            "adam",
            0.3,
            lambda rate, decay: optax.chain(optax.add_decayed_weights(decay), optax.adam(rate)),
        ),
        # Decoupled (arXiv:1711.05101): an own term beside the step of adam.
        ("adamw", 0.3, lambda rate, decay: optax.adamw(rate, weight_decay=decay)),
        ("rmsprop", 0.0, lambda rate, decay: optax.rmsprop(rate, momentum=0.9)),
    ],
)
def test_other_optimizers_equal_plain_optax(tiny_config, run_population, name, decay, plain):
    config = tiny_config(
        LINEAR
        | {
            "model.widths": (5,),
            "optimizer.name": name,
            "optimizer.weight_decay": decay,
            "population.seeds": 1,
            "population.sweep": (("optimizer.learning_rate", (0.03, 0.01)),),
        }
    )
    setup = prepare(check(config))
    trained = run_population(config).params
    for row in setup.table:
        start = jax.tree.map(lambda x, k=row.network: x[k], setup.state["params"])
        expected = plain_optax(setup, plain(row.learning_rate, decay), row, start)
        for path in ("dense1", "head"):
            ours = trained[path]["kernel"][row.network]
            # adam divides by sqrt(v), which amplifies rounding where gradients are small.
            np.testing.assert_allclose(ours, expected[path]["kernel"], atol=2e-5)
            assert np.abs(ours - start[path]["kernel"]).max() > 0.01


def test_coupled_and_decoupled_decay_differ(tiny_config, run_population):
    changes = LINEAR | {"optimizer.weight_decay": 0.3, "population.seeds": 1}
    ends = [
        run_population(tiny_config(changes | {"optimizer.name": name})).params["head"]["kernel"]
        for name in ("adam", "adamw")
    ]
    assert np.abs(ends[0] - ends[1]).max() > 1e-3


def test_crop_flip_moves_whole_images_by_at_most_four_pixels():
    """Every result is one of the 81 shifts of the zero-padded image, flipped or not."""
    images = np.arange(1, 6 * 5 * 5 * 2 + 1, dtype=np.float32).reshape(6, 5, 5, 2)
    ids = jnp.arange(6)
    seen = set()
    for step in range(40):
        results = np.asarray(crop_flip(images, jnp.uint32(0), jnp.int32(step), ids))
        for image, result in zip(images, results, strict=True):
            padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
            matches = {
                (row, column, flip)
                for row in range(9)
                for column in range(9)
                for flip in (False, True)
                if np.array_equal(
                    padded[row : row + 5, column : column + 5][:, :: -1 if flip else 1], result
                )
            }
            assert matches
            seen |= matches if len(matches) == 1 else set()
    assert {row for row, _, _ in seen} == set(range(9))
    assert {column for _, column, _ in seen} == set(range(9))
    assert {flip for _, _, flip in seen} == {False, True}


def test_crop_flip_depends_on_seed_step_and_example_only():
    images = np.random.default_rng(0).random((4, 8, 8, 3), np.float32)
    ids = jnp.array([3, 9, 4, 7])
    whole = crop_flip(images, jnp.uint32(1), jnp.int32(5), ids)
    part = crop_flip(images[2:], jnp.uint32(1), jnp.int32(5), ids[2:])
    np.testing.assert_array_equal(part, whole[2:])
    for seed, step, others in ((2, 5, ids), (1, 6, ids), (1, 5, ids + 1)):
        other = crop_flip(images, jnp.uint32(seed), jnp.int32(step), others)
        assert not np.array_equal(other, whole)
