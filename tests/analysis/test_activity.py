"""Activity of units against NumPy, on networks with dead, dormant and always active units."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_alignment_of_run import small_config, standardised_images, write_run

from randlabels.analysis.activity import UnitActivity, activity_of_run, unit_activity
from randlabels.data import sources, splits
from randlabels.errors import InputError
from randlabels.models import build

DEAD, DORMANT, ALWAYS = 0, 1, 2  # planted units of conv1


def plant(step, variables, table):
    """conv1 has a dead unit, one that is hardly active and one that always is; none at step 0."""
    if step == 0:
        return
    conv1 = variables["params"]["conv1"]
    conv1["bias"][:, DEAD] = -1e4
    conv1["kernel"][..., DORMANT] *= 1e-4
    conv1["bias"][:, ALWAYS] = 10


def by_hand(images, params):
    """Outputs of both layers of a simple_cnn, float64: conv1 [n, positions, units], dense1."""
    kernel = np.asarray(params["conv1"]["kernel"], np.float64)
    side = images.shape[1] - 2
    patches = np.stack(
        [
            images[:, i : i + 3, j : j + 3].reshape(len(images), -1)
            for i in range(side)
            for j in range(side)
        ],
        axis=1,
    )
    conv1 = np.maximum(patches @ kernel.reshape(27, -1) + params["conv1"]["bias"], 0)
    dense = params["dense1"]
    flat = conv1.reshape(len(images), -1)
    return conv1, np.maximum(flat @ dense["kernel"].astype(float) + dense["bias"], 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two networks at steps 0 (as initialised) and 4 (planted)."""
    directory = tmp_path_factory.mktemp("activity") / "run"
    return write_run(directory, small_config(**{"model.filters": 6}), plant)


def downstream_images(config):
    images = sources.load(config.data).train_images / 255.0
    sizes = config.data.upstream_size, config.data.downstream_size
    chosen = splits.split_indices(config.data.seed, len(images), *sizes)["downstream"]
    return ((images - images.mean((0, 1, 2))) / images.std((0, 1, 2)))[chosen]


@pytest.mark.parametrize(
    ("task", "images_of"), [("", standardised_images), ("downstream", downstream_images)]
)
def test_planted_run_against_numpy(run, task, images_of):
    images = images_of(small_config())
    found = activity_of_run(run, 4, task)
    assert list(found) == ["conv1", "dense1"]
    params = run.params(4)
    for network in range(2):
        conv1, dense1 = by_hand(images, jax.tree.map(lambda x, n=network: x[n], params))
        ours = found["conv1"]
        np.testing.assert_allclose(ours.share[network], (conv1 > 0).mean((0, 1)), atol=1e-4)
        np.testing.assert_allclose(
            ours.share_of_inputs[network], (conv1 > 0).any(1).mean(0), atol=1e-3
        )
        np.testing.assert_allclose(ours.mean_absolute[network], conv1.mean((0, 1)), rtol=1e-5)
        np.testing.assert_allclose(found["dense1"].share[network], (dense1 > 0).mean(0), atol=1e-3)
        np.testing.assert_allclose(
            found["dense1"].mean_absolute[network], dense1.mean(0), rtol=1e-4
        )
    for network in range(2):
        assert ours.dead[network].tolist() == [True] + 5 * [False]
        assert ours.share[network, ALWAYS] == ours.share_of_inputs[network, ALWAYS] == 1
        assert ours.dormant()[network].tolist() == [True, True] + 4 * [False]
        assert ours.share[network, DORMANT] > 0.1  # dormant by size, not by how often


def test_before_planting_every_unit_is_active(run):
    ours = activity_of_run(run, 0)["conv1"]
    assert not (ours.dead | ours.dormant(0.1)).any()
    assert (ours.share < 1).all()


def test_chosen_networks_are_rows_of_the_table(run):
    every = activity_of_run(run, 4)["dense1"]
    second = activity_of_run(run, 4, networks=[1])["dense1"]
    np.testing.assert_array_equal(second.mean_absolute, every.mean_absolute[1:])
    assert not np.array_equal(every.mean_absolute[0], every.mean_absolute[1])


def test_a_task_without_images_is_one_sentence(run):
    config = run.config | {"data": run.config["data"] | {"downstream_size": 0}}
    with pytest.raises(InputError, match="no downstream images .config.data.downstream_size is 0"):
        activity_of_run(dataclasses.replace(run, config=config), 4, "downstream")


def test_dormant_units_by_their_score():
    """Scores 0, .02, .08, 1.1 and 3.8: mean_absolute over its mean, 1."""
    sizes = np.array([0.0, 0.02, 0.08, 1.1, 3.8])
    activity = UnitActivity(np.ones(5), np.array([0.0, 1, 1, 1, 1]), 7 * sizes)
    np.testing.assert_allclose(activity.score, sizes)
    assert activity.dormant().tolist() == [True, True, False, False, False]
    assert activity.dormant(0.1).tolist() == [True, True, True, False, False]
    assert activity.dormant(0.0).tolist() == (activity.score == 0).tolist()  # at most tau
    assert activity.dormant(0.0).any()
    assert activity.dead.tolist() == [True, False, False, False, False]


def test_a_silent_layer_is_dormant_as_a_whole():
    activity = UnitActivity(np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 3)))
    assert (activity.dead & activity.dormant()).all()


def test_batches_of_any_size_give_the_same_numbers(tiny_config):
    model = build(tiny_config())
    x = np.random.default_rng(0).standard_normal((23, 8, 8, 3)).astype(np.float32)
    variables = model.init(jax.random.key(0), x[:1])
    whole = unit_activity(model, variables, [x])
    parts = unit_activity(model, variables, [x[:5], x[5:6], x[6:]])
    for layer, one in whole.items():
        np.testing.assert_array_equal(one.share, parts[layer].share)
        np.testing.assert_array_equal(one.share_of_inputs, parts[layer].share_of_inputs)
        np.testing.assert_allclose(one.mean_absolute, parts[layer].mean_absolute, rtol=1e-7)
    with pytest.raises(ValueError, match="at least one input"):
        unit_activity(model, variables, [])


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "sigmoid", "gelu", "elu"])
def test_active_is_a_positive_input_to_every_activation(tiny_config, activation):
    changes = {"model.name": "mlp", "model.widths": (40,), "model.filters": 48}
    model = build(tiny_config(changes | {"model.kernel_size": 3, "model.activation": activation}))
    x = np.random.default_rng(0).standard_normal((50, 7)).astype(np.float32)
    variables = model.init(jax.random.key(0), x[:1])
    layer = variables["params"]["dense1"]
    before = x @ np.asarray(layer["kernel"])
    found = unit_activity(model, variables, [x])["dense1"]
    np.testing.assert_allclose(found.share, (before > 0).mean(0))


def test_sums_are_float64(tiny_config):
    """One input in 100,000 is 2^24 times the others': float32 would lose half of the others."""
    changes = {"model.name": "mlp", "model.widths": (1,), "model.filters": 48}
    model = build(tiny_config(changes | {"model.kernel_size": 3}))
    x = np.ones((100_000, 1), np.float32)
    x[0] = 2.0**24
    params = {
        "dense1": {"kernel": jnp.ones((1, 1)), "bias": jnp.zeros(1)},
        "head": {"kernel": jnp.ones((1, 3)), "bias": jnp.zeros(3)},
    }
    found = unit_activity(model, {"params": params}, [x])["dense1"]
    assert found.mean_absolute[0] == x.sum(dtype=np.float64) / len(x)


def test_layers_come_in_forward_order(tiny_config):
    """In a pre-activation block the first norm comes before the first convolution."""
    model = build(tiny_config({"model.name": "wide_resnet", "model.depth": 10, "model.width": 0.2}))
    x = np.random.default_rng(0).standard_normal((2, 4, 4, 3)).astype(np.float32)
    variables = jax.tree.map(
        lambda leaf: jnp.ones(leaf.shape), jax.eval_shape(model.init, jax.random.key(0), x)
    )
    blocks = [f"group{group}_block1/{name}" for group in (1, 2, 3) for name in ("norm1", "conv1")]
    assert list(unit_activity(model, variables, [x])) == [*blocks, "norm_last"]
