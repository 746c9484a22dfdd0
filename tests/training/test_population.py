"""A population against separate runs of one network, on one device and on eight."""

import jax
import numpy as np
import pytest

from randlabels.config import check
from randlabels.models import build
from randlabels.training.population import initial_variables, network_table

# The same float32 sums in another order: 6 updates amplify rounding (6e-8) to a few 1e-7 of
# parameters of size 0.1 to 1. Networks of other seeds differ by more than 0.1.
ROUNDING = {"rtol": 1e-5, "atol": 2e-6}


def assert_same(params, expected):
    assert jax.tree.structure(params) == jax.tree.structure(expected)
    for (path, ours), theirs in zip(
        jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, **ROUNDING, err_msg=str(path))


def pick(params, network):
    return jax.tree.map(lambda x: x[network : network + 1], params)


def alone(make, changes, row):
    """The config of a run that holds nothing but the network of one row."""
    return make(
        changes
        | {
            "seed": row["seed"],
            "labels.seed": row["label_seed"],
            "labels.noise": row["label_noise"],
            "model.init_scale": row["init_scale"],
            "optimizer.learning_rate": row["learning_rate"],
            "optimizer.momentum": row["momentum"],
            "optimizer.weight_decay": row["weight_decay"],
            "population.seeds": 1,
            "population.sweep": (),
        }
    )


@pytest.mark.parametrize(
    ("vectorize", "shared"), [("vmap", True), ("map", True), ("map", False), ("vmap", False)]
)
def test_networks_equal_separate_runs(tiny_config, run_population, vectorize, shared):
    changes = {
        "population.seeds": 3,
        "population.vectorize": vectorize,
        "labels.test": "same",
        "train.eval_epochs": (2,),
        "population.shared_batches": shared,
    }
    population = run_population(tiny_config(changes))
    for k, row in enumerate(population.table):
        assert (row["seed"], row["label_seed"]) == (k, k)
        single = run_population(alone(tiny_config, changes, row))
        assert_same(pick(population.params, k), single.params)
        for name in ("loss", "accuracy", "train_loss", "test_loss", "test_accuracy"):
            np.testing.assert_allclose(
                population.metrics[-1][name][k], single.metrics[-1][name][0], rtol=1e-5
            )
    first, second = (pick(population.params, k)["conv1"]["kernel"] for k in (0, 1))
    assert np.abs(first - second).max() > 0.1


SWEEP = (
    ("optimizer.learning_rate", (0.05, 0.01)),
    ("optimizer.momentum", (0.9, 0.5)),
    ("optimizer.weight_decay", (0.0, 0.1)),
    ("model.init_scale", (1.0, 0.5)),
    ("labels.noise", (0.2, 0.9)),
    ("labels.seed", (0, 7)),
)


@pytest.mark.parametrize("vectorize", ["vmap", "map"])
def test_swept_networks_equal_separate_runs(tiny_config, run_population, vectorize):
    changes = {
        "labels.kind": "noisy",
        "labels.num_classes": 5,
        "labels.noise": 0.5,
        "population.seeds": 1,
        "population.vectorize": vectorize,
        "train.eval_epochs": (2,),
    }
    population = run_population(tiny_config(changes | {"population.sweep": SWEEP}))
    assert len(population.table) == 64
    columns = ("learning_rate", "momentum", "weight_decay", "init_scale", "label_noise")
    values = [tuple(row[c] for c in (*columns, "label_seed")) for row in population.table]
    assert len(set(values)) == 64
    # Row 0 and the six rows that differ from it in one swept field each: both the value and its
    # effect must be the network's own.
    for row in [0, 32, 16, 8, 4, 2, 1]:
        single = run_population(alone(tiny_config, changes, population.table[row]))
        assert_same(pick(population.params, row), single.params)
        if row:
            change = jax.tree.map(lambda x, row=row: np.abs(x[row] - x[0]).max(), population.params)
            assert max(jax.tree.leaves(change)) > 1e-3, values[row]


@pytest.mark.parametrize(
    ("mode", "shared", "augment", "vectorize"),
    [
        ("networks", True, "none", "map"),
        ("networks", False, "crop_flip", "vmap"),
        ("batch", True, "crop_flip", "map"),
        ("batch", False, "none", "vmap"),
    ],
)
def test_eight_devices_equal_one(tiny_config, run_population, mode, shared, augment, vectorize):
    config = tiny_config(
        {
            "population.seeds": 8 if mode == "networks" else 3,
            "population.shared_batches": shared,
            "population.vectorize": vectorize,
            "data.augment": augment,
            "labels.test": "same",
        }
    )
    one = run_population(config, 1, mode)
    eight = run_population(config, 8, mode)
    assert_same(eight.params, one.params)
    for ours, theirs in zip(eight.metrics, one.metrics, strict=True):
        for name in theirs.keys() - {"dead"}:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5)
        assert ours["dead"] == theirs["dead"]


def test_unshared_batches_and_augmentation_change_the_result(tiny_config, run_population):
    """What the comparisons above vary does something, or they would compare nothing."""
    plain = run_population(tiny_config()).params["conv1"]["kernel"]
    unshared = run_population(tiny_config({"population.shared_batches": False}))
    augmented = run_population(tiny_config({"data.augment": "crop_flip"}))
    # Network 0's own seed is the data seed, so only network 1 sees other batches.
    assert_same(unshared.params["conv1"]["kernel"][0], plain[0])
    assert np.abs(unshared.params["conv1"]["kernel"][1] - plain[1]).max() > 1e-3
    assert np.abs(augmented.params["conv1"]["kernel"] - plain).max() > 1e-3


def test_initial_weights_do_not_depend_on_the_population(tiny_config):
    """Bit for bit: no rounding is allowed here."""
    example = np.zeros((1, 8, 8, 3), np.float32)

    def weights(seeds, first=0, task="upstream"):
        config = check(tiny_config({"population.seeds": seeds, "seed": first}))
        return initial_variables(build(config), network_table(config), task, example)["params"]

    many = weights(7)
    for count in (1, 2, 5):
        few = weights(count)
        jax.tree.map(lambda x, y, n=count: np.testing.assert_array_equal(x, y[:n]), few, many)
    third = weights(1, first=3)
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x[0], y[3]), third, many)
    kernel = many["conv1"]["kernel"]
    assert len({kernel[k].tobytes() for k in range(7)}) == 7
    other = weights(7, task="downstream")["conv1"]["kernel"]
    assert not np.isclose(kernel, other).any(axis=(1, 2, 3, 4)).all()


def test_table_is_arms_by_sweep_by_seeds(tiny_config):
    config = tiny_config(
        {
            "seed": 10,
            "labels.seed": 20,
            "init.run": "unread",
            "init.arms": ("scratch", "pretrained"),
            "population.sweep": (("optimizer.learning_rate", (0.1, 0.2)),),
        }
    )
    table = network_table(check(config), sources=[4, 6, 7])
    shown = [
        (r["network"], r["arm"], r["learning_rate"], r["seed"], r["label_seed"], r["source"])
        for r in table
    ]
    assert shown == [
        (0, "scratch", 0.1, 10, 20, None),
        (1, "scratch", 0.1, 11, 21, None),
        (2, "scratch", 0.2, 10, 20, None),
        (3, "scratch", 0.2, 11, 21, None),
        (4, "pretrained", 0.1, 10, 20, 4),
        (5, "pretrained", 0.1, 11, 21, 6),
        (6, "pretrained", 0.2, 10, 20, 4),
        (7, "pretrained", 0.2, 11, 21, 6),
    ]
    with pytest.raises(ValueError, match="has only 1 networks that did not diverge"):
        network_table(check(config), sources=[4])
