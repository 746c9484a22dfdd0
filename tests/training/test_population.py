"""A population against separate runs of one network, on one device and on eight."""

import jax
import numpy as np
import pytest

from randlabels.models import build
from randlabels.training.check import check
from randlabels.training.population import initial_variables, network_table

pytestmark = pytest.mark.usefixtures("quick_programs")

# The same float32 sums in another order: 6 updates amplify rounding (6e-8) to a few 1e-7 of
# parameters of size 0.1 to 1. Networks of other seeds differ by more than 0.1.
ROUNDING = {"rtol": 1e-5, "atol": 2e-6}

# Compiles faster than a convolution.
MLP = {"model.name": "mlp", "model.filters": 48}


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
            "seed": row.seed,
            "labels.seed": row.label_seed,
            "labels.noise": row.label_noise,
            "model.init_scale": row.init_scale,
            "optimizer.learning_rate": row.learning_rate,
            "optimizer.momentum": row.momentum,
            "optimizer.weight_decay": row.weight_decay,
            "population.seeds": 1,
            "population.sweep": (),
        }
    )


SWEEP = (
    ("optimizer.learning_rate", (0.05, 0.01)),
    ("optimizer.momentum", (0.9, 0.5)),
    ("optimizer.weight_decay", (0.0, 0.1)),
    ("model.init_scale", (1.0, 0.5)),
    ("labels.noise", (0.2, 0.9)),
    ("labels.seed", (3, 7)),
)


@pytest.mark.parametrize(
    ("vectorize", "shared", "rows"),
    [
        pytest.param("vmap", False, (0, 64, 32, 16, 8, 4, 2, 1), marks=pytest.mark.slow),
        ("map", True, (0, 64, 4, 1)),
    ],
)
def test_networks_equal_separate_runs(tiny_config, run_population, vectorize, shared, rows):
    """128 networks: two seeds at each of the 64 points of a sweep over all that can be swept."""
    changes = {
        "labels.kind": "noisy",
        "labels.num_classes": 5,
        "labels.noise": 0.5,
        "population.vectorize": vectorize,
        "population.shared_batches": shared,
        "train.eval_epochs": (2,),
    }
    population = run_population(tiny_config(changes | {"population.sweep": SWEEP}))
    assert len(population.table) == 128
    columns = ("seed", "learning_rate", "momentum", "weight_decay", "init_scale", "label_noise")
    values = [tuple(getattr(row, c) for c in (*columns, "label_seed")) for row in population.table]
    assert len(set(values)) == 128
    assert {(row.seed, row.label_seed) for row in population.table} == {
        (k, first + k) for k in (0, 1) for first in (3, 7)
    }
    # Row 0 and rows that differ from it in one column each: both the value and its effect must be
    # the network's own.
    for row in rows:
        single = run_population(alone(tiny_config, changes, population.table[row]))
        assert_same(pick(population.params, row), single.params)
        for name in ("loss", "accuracy", "train_loss", "train_accuracy", "test_accuracy"):
            np.testing.assert_allclose(
                population.metrics[-1][name][row], single.metrics[-1][name][0], rtol=1e-5
            )
        if row:
            change = jax.tree.map(lambda x, row=row: np.abs(x[row] - x[0]).max(), population.params)
            assert max(jax.tree.leaves(change)) > 1e-3, values[row]


@pytest.mark.parametrize(
    ("mode", "networks", "devices", "shared", "augment", "vectorize", "model"),
    [
        # Two networks a device; the last one holds one, and filling.
        ("networks", 7, 4, False, "crop_flip", "vmap", {}),
        ("networks", 7, 4, True, "none", "map", MLP),
        pytest.param("batch", 3, 8, True, "crop_flip", "map", {}, marks=pytest.mark.slow),
        ("batch", 3, 8, False, "none", "vmap", MLP),
        ("both", 5, 6, True, "crop_flip", "map", MLP),  # three pairs of devices, two networks each
        ("both", 5, 6, False, "none", "vmap", {}),
    ],
)
def test_devices_in_any_grid_equal_one(
    tiny_config, run_population, mode, networks, devices, shared, augment, vectorize, model
):
    config = tiny_config(
        model
        | {
            "population.seeds": networks,
            "population.shared_batches": shared,
            "population.vectorize": vectorize,
            "data.augment": augment,
            "labels.test": "same",
        }
    )
    one = run_population(config)
    many = run_population(config, devices, mode)
    assert_same(many.params, one.params)
    for ours, theirs in zip(many.metrics, one.metrics, strict=True):
        for name in theirs.keys() - {"dead"}:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5)
        assert ours["dead"] == theirs["dead"]


def test_unshared_batches_and_augmentation_change_the_result(tiny_config, run_population):
    """What the comparisons above vary does something, or they would compare nothing."""

    def kernel(changes):
        return run_population(tiny_config(MLP | changes)).params["dense1"]["kernel"]

    plain, unshared = kernel({}), kernel({"population.shared_batches": False})
    # Network 0's own seed is the data seed, so only network 1 sees other batches.
    np.testing.assert_allclose(unshared[0], plain[0], **ROUNDING)
    assert np.abs(unshared[1] - plain[1]).max() > 1e-3
    assert np.abs(kernel({"data.augment": "crop_flip"}) - plain).max() > 1e-3


@pytest.mark.slow
def test_batch_norm_sees_the_whole_batch_of_its_network(tiny_config, run_population):
    """Not half of it, nor what the other pair of devices sees, which has another network."""
    config = tiny_config(
        {
            "model.name": "wide_resnet",
            "model.depth": 10,
            "model.width": 0.02,
            "model.filters": 3,
            "model.widths": (32,),
            "model.init_scale": 1.4,
            "population.seeds": 2,
            "population.shared_batches": False,
            "train.epochs": 1,
            "train.batch_size": 48,
        }
    )
    one, four = run_population(config), run_population(config, 4, "both")
    assert_same(four.params, one.params)
    for name in ("loss", "train_loss"):
        np.testing.assert_allclose(four.metrics[-1][name], one.metrics[-1][name], rtol=1e-5)


def test_initial_weights_do_not_depend_on_the_population(tiny_config):
    """Bit for bit: no rounding is allowed here."""
    example = np.zeros((1, 8, 8, 3), np.float32)

    def weights(seeds, first=0, task="upstream"):
        config = check(tiny_config({"population.seeds": seeds, "seed": first}))
        return initial_variables(build(config), network_table(config), task, example)["params"]

    many = weights(7)
    for count in (1, 2):
        few = weights(count)
        jax.tree.map(lambda x, y, n=count: np.testing.assert_array_equal(x, y[:n]), few, many)
    third = weights(1, first=3)
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x[0], y[3]), third, many)
    kernel = many["conv1"]["kernel"]
    assert len({kernel[k].tobytes() for k in range(7)}) == 7
    other = weights(1, task="downstream")["conv1"]["kernel"]
    assert not np.isclose(kernel[:1], other).all()


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
    shown = [(r.network, r.arm, r.learning_rate, r.seed, r.label_seed, r.source) for r in table]
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
    with pytest.raises(ValueError, match="has only 1 networks that neither diverged nor died"):
        network_table(check(config), sources=[4])


def test_points_that_an_arm_does_not_tell_apart_are_one(tiny_config):
    sweep = (("optimizer.learning_rate", (0.1, 0.2)), ("init.step", (0, 4)))
    changes = {"init.run": "unread", "init.arms": ("scratch", "pretrained")}
    config = tiny_config(changes | {"population.sweep": sweep, "population.seeds": 1})
    table = network_table(check(config), sources=[0])
    shown = [(r.arm, r.learning_rate, r.source_step) for r in table]
    scratch = [("scratch", rate, None) for rate in (0.1, 0.2)]
    assert shown == scratch + [("pretrained", rate, step) for rate in (0.1, 0.2) for step in (0, 4)]
