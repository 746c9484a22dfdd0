"""Batch norms in transfer: what rescaling preserves in front of a norm, and what is copied."""

from types import SimpleNamespace

import flax.linen as nn
import jax
import numpy as np
import pytest

from randlabels.errors import InputError
from randlabels.models import build
from randlabels.models.flow import flow_of
from randlabels.models.naming import get_layer, layer_paths
from randlabels.runs import Run
from randlabels.training import checkpoints, workdir
from randlabels.training.check import check
from randlabels.training.population import initial_variables, network_table
from randlabels.training.setup import prepare
from randlabels.transfer import rescale_to_reference
from randlabels.transfer.earlier_run import Checkpoint, EarlierRun
from randlabels.transfer.norms import take_over_norms

pytestmark = pytest.mark.usefixtures("quick_programs")

MODEL = {
    "model.name": "wide_resnet",
    "model.depth": 10,
    "model.width": 0.5,
    "model.filters": 8,  # as many as group 1 has channels: no shortcut there
    "model.kernel_size": 3,
    "model.widths": (32,),
    "population.seeds": 4,
}


class AnyNames(nn.Module):
    """Norms behind their layers, of three kinds, and a branch, called as it comes."""

    num_classes: int = 3

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(6, (3, 3), name="zeta")(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, name="middle")(x))
        y = nn.relu(nn.LayerNorm(name="last")(nn.Conv(8, (3, 3), name="beta")(x)))
        x = nn.Conv(8, (1, 1), name="alpha")(x) + nn.Conv(8, (3, 3), name="gamma")(y)
        x = nn.relu(nn.GroupNorm(2, name="first")(x)).mean((1, 2))
        x = nn.relu(nn.Dense(7, name="omega")(x))
        return nn.Dense(self.num_classes, name="answer")(x)


def flow_and_norms(model):
    """The flow of a model, and the paths of its norms, which are all its companions."""
    flow = flow_of(model, (8, 8, 3))
    return flow, tuple(flow.companions)


def trained_variables(fresh, grow, norms, seed=0):
    """ "Trained" variables [network, ...]: kernels of another network's fresh ones, as many times
    larger as `grow` says by path; norms with random scales, biases and running statistics."""
    rng = np.random.default_rng(seed)
    trained = jax.tree.map(lambda x: np.array(x[::-1]), fresh)
    for number, path in enumerate(layer_paths(trained["params"])):
        layer = get_layer(trained["params"], path)
        if "bias" in layer:
            layer["bias"] = np.float32(rng.normal(size=layer["bias"].shape))
        layer["kernel"] = rng.permuted(layer["kernel"], axis=-1) * np.float32(grow(number, path))
    for path in norms:
        for kind in ("params", "batch_stats"):
            tree = get_layer(trained[kind], path) if has(trained[kind], path) else {}
            for name, values in tree.items():
                draw = rng.uniform(0.5, 2, values.shape) if name in ("scale", "var") else None
                tree[name] = np.float32(rng.normal(size=values.shape) if draw is None else draw)
    return trained


def has(tree, path):
    return path.split("/")[0] in tree


def same_stream(number, path):
    """All that adds to the stream has grown alike; the first convolutions of blocks have not."""
    adds = path.endswith(("conv2", "shortcut")) or path == "conv1"
    return 2.5 if adds else 1.5 + number


@pytest.fixture
def planted(tiny_config, tmp_path, monkeypatch):
    """A function: growth of kernels -> fresh, trained and taken over variables of a population."""

    def make(grow, arm="pretrained", layers=("all",), lacks="", own=None):
        settings = {"init.arms": (arm,), "init.run": "planted", "init.layers": layers}
        config = check(tiny_config(MODEL | settings))
        table = network_table(config, sources=(3, 2, 1, 0))
        model = own or build(config)
        fresh = initial_variables(model, table, "upstream", np.zeros((1, 8, 8, 3), np.float32))
        flow, norms = flow_and_norms(model)
        trained = trained_variables(fresh, grow, norms)
        monkeypatch.setattr(EarlierRun, "checkpoint", lambda run, step: Checkpoint(run, trained))
        started = jax.tree.map(np.array, fresh)
        for row in table:
            picked = jax.tree.map(lambda x, k=row.source: x[k], trained["params"])
            reference = jax.tree.map(lambda x, k=row.network: x[k], fresh["params"])
            if arm == "pretrained":
                picked = rescale_to_reference(picked, reference, flow)
            for path in layer_paths(picked):
                for name, new in get_layer(picked, path).items():
                    get_layer(started["params"], path)[name][row.network] = new
        if lacks:
            trained["params"][lacks].pop("norm1")
        run = EarlierRun(Run(tmp_path, {}, [], [], {}, ()))
        found = take_over_norms(table, started, run, flow)
        return SimpleNamespace(
            apply=jax.jit(model.apply),
            table=table,
            fresh=fresh,
            trained=trained,
            started=started,
            found=found,
            norms=norms,
        )

    return make


def logits(apply, variables, network, head, name="head"):
    """Of one network with another's head, so that only what lies below is compared."""
    x = np.random.default_rng(5).standard_normal((16, 8, 8, 3)).astype(np.float32)
    own = jax.tree.map(lambda leaf: leaf[network], variables)
    own["params"] = own["params"] | {name: head}
    return np.asarray(apply(own, x), np.float64)


def test_predictions_stay_where_all_that_adds_to_a_stream_has_the_same_factor(planted):
    p = planted(same_stream)
    sources = [row.source for row in p.table]
    stale = p.found | {
        "batch_stats": jax.tree.map(lambda theirs: theirs[sources], p.trained["batch_stats"])
    }
    for here, there in enumerate(sources):
        head = jax.tree.map(lambda x, k=there: x[k], p.trained["params"]["head"])
        before = logits(p.apply, p.trained, there, head)
        spread = before.std()
        after = logits(p.apply, p.found, here, head)
        np.testing.assert_allclose(after, before, atol=5e-3 * spread)  # epsilon in the variance
        # Without the norms, or with their statistics as they were, nothing is left of it.
        for other in (p.started, stale):
            assert np.abs(logits(p.apply, other, here, head) - before).max() > spread


@pytest.mark.parametrize("arm", ["pretrained", "pretrained_unscaled"])
def test_predictions_of_any_network_stay_whatever_its_names_and_where_its_norms(planted, arm):
    """Branches have one factor; the factor behind the last norm is the logits' own."""
    p = planted(lambda n, path: 2.5 if path in ("alpha", "gamma") else 1.5 + n, arm, own=AnyNames())
    sources = [row.source for row in p.table]
    for here, there in enumerate(sources):
        head = jax.tree.map(lambda x, k=there: x[k], p.trained["params"]["answer"])
        head["bias"] = np.zeros_like(head["bias"])
        before = logits(p.apply, p.trained, there, head, "answer")
        ours, theirs = (v["params"]["omega"]["kernel"] for v in (p.found, p.trained))
        factor = np.linalg.norm(ours[here]) / np.linalg.norm(theirs[there])
        after = logits(p.apply, p.found, here, head, "answer") / factor
        np.testing.assert_allclose(after, before, atol=5e-3 * before.std())
        # With fresh norms nothing is left of it.
        stale = logits(p.apply, p.started, here, head, "answer") / factor
        assert np.abs(stale - before).max() > 0.1 * before.std()


def test_predictions_change_where_branches_have_different_factors(planted):
    """What the docstring says is not preserved."""
    p = planted(lambda number, path: 1.5 + number)
    head = jax.tree.map(lambda x: x[3], p.trained["params"]["head"])
    before = logits(p.apply, p.trained, 3, head)
    assert np.abs(logits(p.apply, p.found, 0, head) - before).max() > 0.1 * before.std()


def test_kernels_have_the_norms_of_scratch(planted):
    p = planted(same_stream)
    for path in layer_paths(p.fresh["params"]):
        ours, theirs = (get_layer(v["params"], path)["kernel"] for v in (p.found, p.fresh))
        for network in range(4):
            norm = np.linalg.norm(theirs[network])
            assert np.linalg.norm(ours[network]) == pytest.approx(norm, rel=1e-5)


def test_unscaled_norms_are_copies(planted):
    p = planted(same_stream, "pretrained_unscaled")
    for kind in ("params", "batch_stats"):
        for path in p.norms:
            for name, values in get_layer(p.found[kind], path).items():
                theirs = get_layer(p.trained[kind], path)[name]
                np.testing.assert_allclose(values, theirs[::-1], rtol=1e-6)
                assert not np.allclose(values, get_layer(p.fresh[kind], path)[name])


def test_norms_that_receive_from_fresh_layers_stay_fresh(planted):
    p = planted(same_stream, layers=("conv1", "group1_block1/conv1", "group2_block1/conv1"))
    taken = {"group1_block1/norm1", "group1_block1/norm2"}
    assert taken < set(p.norms)
    for path in p.norms:
        for kind in ("params", "batch_stats"):
            for name, values in get_layer(p.found[kind], path).items():
                same = np.array_equal(values, get_layer(p.fresh[kind], path)[name])
                assert same == (path not in taken)


def test_statistics_follow_the_kernel_in_front(planted):
    p = planted(lambda number, path: 1.5 + number)
    ours, theirs = (get_layer(v["params"], "group2_block1/conv1") for v in (p.found, p.trained))
    ratio = np.linalg.norm(ours["kernel"][0]) / np.linalg.norm(theirs["kernel"][3])
    assert ratio < 0.5
    ours, theirs = (
        get_layer(v["batch_stats"], "group2_block1/norm2") for v in (p.found, p.trained)
    )
    np.testing.assert_allclose(ours["mean"][0], ratio * theirs["mean"][3], rtol=1e-5)
    np.testing.assert_allclose(ours["var"][0], ratio**2 * theirs["var"][3], rtol=1e-5)


def test_a_run_without_the_norm_is_refused(planted):
    with pytest.raises(InputError, match="group1_block1/norm1 has a '(scale|bias)' .* same model"):
        planted(same_stream, lacks="group1_block1")


def test_a_population_starts_with_the_norms_of_an_earlier_run(tiny_config, tmp_path):
    """Through a checkpoint and `prepare`: statistics arrive in the state that is trained."""
    upstream = check(tiny_config(MODEL))
    table = network_table(upstream)
    fresh = initial_variables(
        build(upstream), table, "upstream", np.zeros((1, 8, 8, 3), np.float32)
    )
    trained = trained_variables(fresh, same_stream, flow_and_norms(build(upstream))[1])
    workdir.write_config(tmp_path, upstream)
    with checkpoints.open_manager(tmp_path, [0]) as manager:
        checkpoints.save(manager, 0, 0, trained)
    workdir.write_table(tmp_path, table)
    workdir.write_status(tmp_path, "running")
    arms = {"init.run": str(tmp_path), "init.arms": ("scratch", "pretrained_unscaled")}
    setup = prepare(check(tiny_config(MODEL | arms | {"population.seeds": 2})))
    ours = setup.state["batch_stats"]["group3_block1"]["norm2"]
    theirs = trained["batch_stats"]["group3_block1"]["norm2"]
    for name, unlearned in (("mean", 0), ("var", 1)):
        np.testing.assert_array_equal(ours[name][:2], np.full_like(ours[name][:2], unlearned))
        np.testing.assert_allclose(ours[name][2:], theirs[name][:2], rtol=1e-6)
    bias = setup.state["params"]["norm_last"]["bias"]
    np.testing.assert_array_equal(bias[2:], trained["params"]["norm_last"]["bias"][:2])
    assert not bias[:2].any()
