"""Loss, accuracy and dead units against NumPy; every example counts once."""

import jax
import numpy as np
import pytest

from randlabels.models import build
from randlabels.training.check import check
from randlabels.training.devices import choose_layout
from randlabels.training.evaluate import (
    evaluation_batches,
    largest_norm,
    make_evaluate,
    summarise,
)
from randlabels.training.population import initial_variables, network_table
from randlabels.training.setup import load_task, prepare

NUM_EXAMPLES = 29  # 4 batches of 8, the last with 5 examples


def numpy_evaluation(params, images, labels):
    """Loss, accuracy and share of dead units of one mlp, in float64."""
    params = jax.tree.map(lambda x: x.astype(np.float64), params)
    hidden = images @ params["dense1"]["kernel"] + params["dense1"]["bias"]
    hidden = np.maximum(hidden, 0)
    logits = hidden @ params["head"]["kernel"] + params["head"]["bias"]
    top = logits.max(axis=1, keepdims=True)
    log_shares = logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
    loss = -log_shares[np.arange(len(labels)), labels].mean()
    accuracy = (logits.argmax(axis=1) == labels).mean()
    return loss, accuracy, (hidden == 0).all(axis=0).mean()


@pytest.mark.parametrize(
    ("mode", "num_devices", "vectorize"),
    [("networks", 1, "vmap"), ("networks", 4, "map"), ("batch", 8, "vmap"), ("batch", 2, "map")],
)
def test_evaluate_equals_numpy(tiny_config, mode, num_devices, vectorize):
    config = check(
        tiny_config(
            {
                "data.name": "gaussian",
                "data.image_size": 0,
                "data.diagonal": (1.0,) * 6,
                "model.name": "mlp",
                "model.filters": 48,
                "model.widths": (10,),
                "train.batch_size": 8,
                "population.seeds": 4,
            }
        )
    )
    rng = np.random.default_rng(0)
    images = rng.standard_normal((NUM_EXAMPLES, 6)).astype(np.float32)
    labels = rng.integers(0, 3, (4, NUM_EXAMPLES)).astype(np.int32)
    table, model = network_table(config), build(config)
    params = initial_variables(model, table, "upstream", images[:1])["params"]
    params["dense1"]["bias"][1, :3] = -100.0  # three dead units of network 1
    # A unit of network 2 that is active on the last example alone is not dead.
    params["dense1"]["kernel"][2, :, 4] = images[-1]
    threshold = np.sort(images @ images[-1])[-2:]
    assert np.argmax(images @ images[-1]) == NUM_EXAMPLES - 1
    params["dense1"]["bias"][2, 4] = -threshold.mean()

    layout = choose_layout(mode, 4, 8, tuple(jax.local_devices()[:num_devices]))
    data = {"images": images, "mean": np.zeros(6, np.float32), "std": np.ones(6, np.float32)}
    evaluate = make_evaluate(model, "cross_entropy", layout, vectorize)
    sums = evaluate(
        layout.replicate(data),
        layout.split_batches(evaluation_batches(NUM_EXAMPLES, 8), shared=True),
        layout.spread(labels),
        layout.spread({"params": params}),
    )
    found = layout.gather(sums)
    np.testing.assert_array_equal(found["count"], [NUM_EXAMPLES] * 4)
    summary = summarise(found)
    for k in range(4):
        one = jax.tree.map(lambda x, k=k: x[k], params)
        loss, accuracy, dead = numpy_evaluation(one, images.astype(float), labels[k])
        np.testing.assert_allclose(summary["loss"][k], loss, rtol=1e-6)
        assert summary["accuracy"][k] == pytest.approx(accuracy, abs=1e-12)
        assert summary["dead"]["dense1"][k] == pytest.approx(dead, abs=1e-12)
        norms = [np.linalg.norm(x) / x.shape[-1] ** 0.5 for x in jax.tree.leaves(one)]
        assert summary["norm"][k] == pytest.approx(max(norms), rel=1e-5)
    assert summary["dead"]["dense1"][1] >= 0.3


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, 0.0), (2.0, 6.0), (-1e30, 3e30), (np.inf, np.nan)]
)
def test_norms_of_weights_are_finite_as_long_as_the_weights_are(value, expected):
    """One kernel of 9 inputs is larger than all else; its squares may be too large for float32."""
    kernel = np.full((3, 3, 1, 4), value, np.float32)
    params = {"conv1": {"kernel": kernel, "bias": np.zeros(4, np.float32)}, "scale": np.zeros(())}
    np.testing.assert_allclose(largest_norm(params), expected, rtol=1e-6)


@pytest.mark.parametrize(("size", "batch"), [(1, 4), (8, 4), (9, 4), (3, 3)])
def test_every_example_is_in_one_batch(size, batch):
    indices = evaluation_batches(size, batch)
    assert indices.shape == (-(-size // batch), batch)
    kept = indices[indices >= 0]
    np.testing.assert_array_equal(kept, np.arange(size))
    assert (indices == -1).sum() == indices.size - size


def test_a_channel_that_fires_anywhere_is_alive(tiny_config, run_population):
    """A convolution's unit is its channel, over all positions and examples."""
    config = tiny_config({"train.epochs": 1, "optimizer.learning_rate": 0.0})
    setup = prepare(check(config))
    setup.state["params"]["conv1"]["bias"][1, 2:5] = -100.0
    setup.state["params"]["dense1"]["kernel"][0] = 0.0
    layout = choose_layout("networks", 2, 16, tuple(jax.local_devices()[:1]))
    evaluate = make_evaluate(setup.model, "cross_entropy", layout, "map")
    task = setup.task
    sums = evaluate(
        layout.replicate({"images": task.images, "mean": task.mean, "std": task.std}),
        layout.split_batches(evaluation_batches(50, 16), shared=True),
        layout.spread(task.labels),
        layout.spread({"params": setup.state["params"]}),
    )
    dead = summarise(layout.gather(sums))["dead"]
    np.testing.assert_allclose(dead["conv1"], [0, 3 / 6])
    np.testing.assert_allclose(dead["dense1"], [1, dead["dense1"][1]])
    assert dead["dense1"][1] < 1


def test_test_labels(tiny_config):
    """`clean` are the real ones (none for random labels); `same` are drawn as in training."""

    def labels(kind, test, noise=0.0):
        changes = {
            "labels.kind": kind,
            "labels.test": test,
            "labels.num_classes": 5,
            "labels.noise": noise,
            "data.test_size": 300,
        }
        return load_task(
            check(tiny_config(changes)), network_table(check(tiny_config(changes)))
        ).test_labels

    assert labels("random", "clean") is None
    real = labels("real", "clean")
    assert real.shape == (2, 300)
    np.testing.assert_array_equal(real[0], real[1])
    np.testing.assert_array_equal(labels("real", "same"), real)
    np.testing.assert_array_equal(labels("noisy", "clean", 0.5), real)
    noisy = labels("noisy", "same", 0.5)
    # A redrawn label is the real one in 1 of 5 cases: 0.6 of 300 agree, within 4 deviations.
    for network in noisy:
        assert abs((network == real[0]).mean() - 0.6) < 4 * (0.24 / 300) ** 0.5
    assert not np.array_equal(noisy[0], noisy[1])
    drawn = labels("random", "same")
    for network in drawn:
        assert abs((network == real[0]).mean() - 0.2) < 4 * (0.16 / 300) ** 0.5
    assert not np.array_equal(drawn[0], drawn[1])
