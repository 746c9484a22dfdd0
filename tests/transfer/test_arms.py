"""How each arm starts: what is taken over, what differs from before, what stays as it was."""

import dataclasses

import jax
import numpy as np
import pytest

from randlabels import load_run
from randlabels.analysis.layers import LayerInputs
from randlabels.errors import InputError
from randlabels.models.naming import get_layer, layer_paths
from randlabels.training import loop
from randlabels.training.check import check
from randlabels.training.setup import prepare
from randlabels.transfer.earlier_run import EarlierRun, open_earlier_run
from randlabels.transfer.start import start_networks

pytestmark = pytest.mark.usefixtures("quick_programs")

ARMS = ("scratch", "pretrained", "pretrained_unscaled", "covariance")
# conv1 has 2 * 2 * 3 = 12 weights a filter and 16 filters a network.
MODEL = {"model.filters": 16, "model.kernel_size": 2, "model.widths": (6,)}


@pytest.fixture(scope="module")
def upstream(tiny_config, tmp_path_factory):
    """A finished run of three networks, trained hot so that every layer moves."""
    directory = tmp_path_factory.mktemp("upstream") / "run"
    settings = MODEL | {"population.seeds": 3, "train.epochs": 4, "optimizer.learning_rate": 0.1}
    loop.train(tiny_config(settings), directory)
    return directory


def downstream(tiny_config, upstream, **changes):
    settings = MODEL | {
        "train.task": "downstream",
        "init.run": str(upstream),
        "init.arms": ARMS,
        "init.layers": ("conv1",),
        "population.seeds": 2,
    }
    return check(tiny_config(settings | changes))


def start(config):
    """Initial parameters by (arm, seed), and the network table."""
    setup = prepare(config)
    assert [row.network for row in setup.table] == list(range(len(setup.table)))
    params = {
        (row.arm, row.seed): jax.tree.map(lambda x, k=row.network: x[k], setup.state["params"])
        for row in setup.table
    }
    return params, setup.table


@pytest.fixture(scope="module")
def started(tiny_config, upstream):
    """All arms, first layer taken over."""
    return start(downstream(tiny_config, upstream))


def trained(upstream, network, step=None):
    run = load_run(upstream)
    params = run.params(run.steps[-1] if step is None else step)
    return jax.tree.map(lambda x: x[network], params)


def norm(layer):
    return np.linalg.norm(layer["kernel"])


def test_only_the_named_layer_differs_from_scratch(started):
    """Before and elsewhere: the other layers, the head among them, are scratch's of that seed."""
    params, table = started
    assert len(table) == 8
    for arm in ARMS[1:]:
        for seed in (0, 1):
            ours, scratch = params[arm, seed], params["scratch", seed]
            assert layer_paths(ours) == ("conv1", "dense1", "head")
            for path in ("dense1", "head"):
                for name in ("kernel", "bias"):
                    np.testing.assert_array_equal(ours[path][name], scratch[path][name])
            assert not np.isclose(ours["conv1"]["kernel"], scratch["conv1"]["kernel"]).any(-1).all()
            assert np.abs(ours["conv1"]["kernel"] - scratch["conv1"]["kernel"]).max() > 0.1


def test_pretrained_unscaled_is_a_copy(started, upstream):
    params, table = started
    for seed in (0, 1):
        source = trained(upstream, seed)["conv1"]
        for name in ("kernel", "bias"):
            np.testing.assert_array_equal(
                params["pretrained_unscaled", seed]["conv1"][name], source[name]
            )
        assert np.abs(source["bias"]).max() > 1e-3
    assert [row.source for row in table if row.arm == "pretrained_unscaled"] == [0, 1]
    assert [row.source for row in table if row.arm == "scratch"] == [None, None]


def test_pretrained_is_a_copy_with_the_norm_of_scratch(started, upstream):
    params, _ = started
    for seed in (0, 1):
        ours, source = params["pretrained", seed]["conv1"], trained(upstream, seed)["conv1"]
        ratio = norm(params["scratch", seed]["conv1"]) / norm(source)
        assert abs(ratio - 1) > 0.01
        np.testing.assert_allclose(ours["kernel"], ratio * source["kernel"], rtol=1e-5)
        np.testing.assert_allclose(ours["bias"], ratio * source["bias"], rtol=1e-5)


def test_covariance_has_the_norm_of_scratch_and_no_bias(started, upstream):
    params, _ = started
    for seed in (0, 1):
        ours = params["covariance", seed]["conv1"]
        assert norm(ours) == pytest.approx(norm(params["scratch", seed]["conv1"]), rel=1e-5)
        assert not ours["bias"].any()
        for network in range(3):
            source = trained(upstream, network)["conv1"]["kernel"]
            cosine = np.sum(ours["kernel"] * source) / norm(ours) / np.linalg.norm(source)
            assert abs(cosine) < 0.6  # 192 weights: drawn anew, not copied
    first, second = (params["covariance", seed]["conv1"]["kernel"] for seed in (0, 1))
    assert not np.isclose(first, second).all()


@pytest.mark.parametrize("pooling", ["pooled", "network"])
def test_drawn_filters_have_the_covariance_of_the_source(tiny_config, upstream, pooling):
    """400 networks of 16 filters: up to their common norm, E[w w^T] is the source's."""
    config = downstream(
        tiny_config,
        upstream,
        **{"init.arms": ("covariance",), "init.covariance": pooling, "population.seeds": 3},
    )
    setup = prepare(config)
    row = setup.table[2]
    table = [dataclasses.replace(row, network=k, seed=k) for k in range(400)]
    fresh = jax.tree.map(lambda x: np.repeat(x[2:3], 400, axis=0), setup.state["params"])
    inputs = LayerInputs(setup.model, setup.task.images[:1].astype(np.float32))
    params = start_networks(config, table, {"params": fresh}, open_earlier_run(config), inputs)
    filters = params["conv1"]["kernel"].reshape(400, 12, 16).transpose(1, 0, 2).reshape(12, -1)
    run = load_run(upstream)
    kernels = run.params(run.steps[-1])["conv1"]["kernel"].astype(np.float64)
    sources = kernels if pooling == "pooled" else kernels[row.source][None]
    wanted = sources.transpose(1, 2, 3, 0, 4).reshape(12, -1)
    wanted = wanted @ wanted.T
    found = filters.astype(np.float64) @ filters.T
    wanted, found = wanted / np.trace(wanted), found / np.trace(found)
    values, vectors = np.linalg.eigh(wanted)
    white = (vectors / np.sqrt(values)).T @ found @ (vectors / np.sqrt(values))
    # 6,400 filters: entries deviate by sqrt(2 / 6400) = 0.018; fixing each network's norm adds a
    # few percent on the diagonal. The covariance of the other choice differs by far more.
    assert np.abs(white - np.eye(12)).max() < 0.12
    other = kernels[0][None] if pooling == "pooled" else kernels
    other = other.transpose(1, 2, 3, 0, 4).reshape(12, -1)
    other = other @ other.T / np.sum(other**2)
    white = (vectors / np.sqrt(values)).T @ other @ (vectors / np.sqrt(values))
    assert np.abs(white - np.eye(12)).max() > 0.3


def test_several_layers_are_rescaled_together(tiny_config, upstream):
    """The bias of the second layer is scaled by both factors; `all` leaves out the head."""
    arms = {"init.arms": ("scratch", "pretrained"), "init.layers": ("all",)}
    params, _ = start(downstream(tiny_config, upstream, **arms))
    ours, scratch, source = (
        params["pretrained", 1],
        params["scratch", 1],
        trained(upstream, 1),
    )
    ratios = [norm(scratch[path]) / norm(source[path]) for path in ("conv1", "dense1")]
    np.testing.assert_allclose(
        ours["dense1"]["bias"], np.prod(ratios) * source["dense1"]["bias"], rtol=1e-5
    )
    np.testing.assert_allclose(
        ours["dense1"]["kernel"], ratios[1] * source["dense1"]["kernel"], rtol=1e-5
    )
    np.testing.assert_array_equal(ours["head"]["kernel"], scratch["head"]["kernel"])


def test_a_chosen_step_is_read(tiny_config, upstream):
    changes = {"init.arms": ("pretrained_unscaled",), "init.step": 0}
    params, _ = start(downstream(tiny_config, upstream, **changes))
    ours = params["pretrained_unscaled", 0]["conv1"]["kernel"]
    np.testing.assert_array_equal(ours, trained(upstream, 0, step=0)["conv1"]["kernel"])
    assert not np.isclose(ours, trained(upstream, 0)["conv1"]["kernel"]).all()


def test_fresh_weights_downstream_are_not_those_of_upstream(started, upstream):
    params, _ = started
    before = trained(upstream, 0, step=0)
    for path in ("conv1", "dense1", "head"):
        fresh = get_layer(params["scratch", 0], path)["kernel"]
        assert not np.isclose(fresh, get_layer(before, path)["kernel"]).all()
        assert np.abs(fresh - get_layer(before, path)["kernel"]).max() > 0.1


def test_networks_that_diverged_are_not_sources(tiny_config, tmp_path):
    directory = tmp_path / "run"
    sweep = (("optimizer.learning_rate", (900.0, 0.005)),)
    settings = MODEL | {"population.sweep": sweep, "train.loss": "squared"}
    loop.train(tiny_config(settings), directory)
    assert load_run(directory).healthy_networks == [2, 3]
    _, table = start(downstream(tiny_config, directory))
    assert [row.source for row in table if row.arm == "pretrained"] == [2, 3]
    with pytest.raises(InputError, match="has only 2 networks that neither diverged nor died"):
        start(downstream(tiny_config, directory, **{"population.seeds": 3}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.seed": 1}, "config.data.seed: 0 there, 1 here"),
        ({"data.image_size": 9}, "config.data.image_size: 8 there, 9 here"),
        ({"data.upstream_size": 40}, "config.data.upstream_size: 50 there, 40 here"),
        ({"data.downstream_size": 40}, "config.data.downstream_size: 48 there, 40 here"),
        (
            {"model.name": "mlp", "model.kernel_size": 3, "model.filters": 48},
            "config.model.name: 'simple_cnn' there, 'mlp' here",
        ),
        ({"init.step": 5}, r"has no checkpoint of step 5; it has \[0, 12\]"),
        (
            {"model.kernel_size": 3},
            r"conv1 is \(2, 2, 3, 16\) there, \(3, 3, 3, 16\) here",
        ),
        ({"init.layers": ("conv7",)}, "names 'conv7'; .* are conv1, dense1"),
        ({"init.layers": ("first:3",)}, "'first:3', but the model has 2 layers"),
        ({"population.seeds": 4}, "seeds is 4, but the run .* has only 3 networks"),
    ],
)
def test_what_does_not_match_is_one_sentence(tiny_config, upstream, changes, message):
    with pytest.raises(InputError, match=message) as error:
        start(downstream(tiny_config, upstream, **changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("pooling", ["pooled", "network"])
def test_too_few_filters_for_a_covariance_are_refused(tiny_config, tmp_path, pooling):
    """12 dimensions: 2 networks of 4 filters are too few, 3 would be too, 4 are needed."""
    few = MODEL | {"model.filters": 4, "train.epochs": 1}
    loop.train(tiny_config(few), tmp_path / "run")
    changes = {"model.filters": 4, "init.arms": ("covariance",), "init.covariance": pooling}
    count = {"pooled": 8, "network": 4}[pooling]
    with pytest.raises(
        InputError, match=f"conv1 has 12 dimensions but only {count} filters; pool at least 4 net"
    ):
        start(downstream(tiny_config, tmp_path / "run", **changes))


def layer_inputs(setup, network, path):
    """Patches (row, column, channel) [n, d] that reach a layer of one network, by NumPy."""
    filters = setup.config.model.filters
    params = jax.tree.map(lambda x: x[network], setup.state["params"])
    x = (setup.task.images / 255 - setup.task.mean) / setup.task.std
    windows = np.lib.stride_tricks.sliding_window_view(x, (2, 2), axis=(1, 2))
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(len(x), -1, 12)
    if path == "conv1":
        return patches.reshape(-1, 12)
    kernel = params["conv1"]["kernel"].reshape(12, filters)
    return np.maximum(patches @ kernel + params["conv1"]["bias"], 0).reshape(len(x), -1)


def test_a_layer_by_rank_has_the_sources_map_in_its_own_eigenbasis(tiny_config, upstream):
    """Of dense1 only tau is taken over; its eigenvectors are those under the redrawn conv1."""
    wide = {"model.widths": (300,), "model.filters": 6, "data.image_size": 6}
    directory = upstream.parent / "wide"
    hot = {"train.epochs": 12, "population.seeds": 3, "optimizer.learning_rate": 0.15}
    loop.train(tiny_config(MODEL | wide | hot), directory)
    config = downstream(
        tiny_config,
        directory,
        **wide,
        **{"init.arms": ("by_rank",), "init.layers": ("all",), "population.seeds": 1},
    )
    setup = prepare(config)
    inputs = layer_inputs(setup, 0, "dense1")
    values, vectors = np.linalg.eigh(np.cov(inputs.T, bias=True))
    order = np.argsort(values)[::-1][:20]
    kernel = setup.state["params"]["dense1"]["kernel"][0].astype(np.float64)
    found = np.sqrt(np.mean((vectors[:, order].T @ kernel) ** 2, axis=1))
    _, tau = EarlierRun(load_run(directory)).checkpoint(36).eigenvalue_map("dense1", (0, 1, 2))
    ratio = found / tau[:20]
    # 300 filters: 4% each, and the directions are float32's.
    np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=0.15)
    assert tau[0] / tau[-1] > 1.2  # the map is not flat, so that the ratio says something


def test_arms_made_from_data_and_a_sweep_over_their_settings(tiny_config):
    """One population: arms, curves and layers; points that an arm does not read are one."""
    settings = MODEL | {
        "init.arms": ("scratch", "aligned", "orthogonal", "patch_whitening"),
        "init.images": 48,
        "population.seeds": 1,
        "population.sweep": (
            ("init.curve", ("power:0", "power:1")),
            ("init.layers", (("conv1",), ("all",))),
        ),
    }
    setup = prepare(check(tiny_config(settings)))
    table = setup.table
    counts = {arm: sum(row.arm == arm for row in table) for arm in ("scratch", "aligned")}
    assert counts == {"scratch": 1, "aligned": 4}
    assert [row.curve for row in table if row.arm == "orthogonal"] == [None] * 2
    assert all(row.source is None for row in table)
    params = setup.state["params"]
    variances = np.cov(layer_inputs(setup, 0, "conv1").T, bias=True)
    for row in table:
        kernel = params["conv1"]["kernel"][row.network].reshape(12, 16).astype(np.float64)
        scratch = params["conv1"]["kernel"][row.seed].reshape(12, 16).astype(np.float64)
        if row.arm == "scratch":
            continue
        moment = layer_inputs(setup, 0, "conv1")
        power = [np.mean((moment @ k) ** 2) for k in (kernel, scratch)]
        assert power[0] == pytest.approx(power[1], rel=0.02)  # 48 of 50 images
        dense = params["dense1"]["kernel"]
        same = np.array_equal(dense[row.network], dense[row.seed])
        assert same == (row.layers == ("conv1",))
        if row.arm == "orthogonal":
            gram = kernel @ kernel.T  # 16 filters in 12 dimensions: orthogonal rows
            np.testing.assert_allclose(gram / gram[0, 0], np.eye(12), atol=1e-5)
    along = np.linalg.eigh(variances)[1][:, -1]
    first = {row.curve: row.network for row in table if row.layers == ("conv1",)}
    share = {
        curve: np.sum((along @ params["conv1"]["kernel"][network].reshape(12, 16)) ** 2)
        / np.sum(params["conv1"]["kernel"][network] ** 2)
        for curve, network in first.items()
        if curve
    }
    assert share["power:1"] > 3 * share["power:0"]


def test_a_swept_step_is_read_for_each_network(tiny_config, upstream):
    sweep = (("init.step", (0, 12)),)
    arms = ("scratch", "pretrained_unscaled")
    changes = {"init.arms": arms, "population.sweep": sweep, "population.seeds": 1}
    setup = prepare(downstream(tiny_config, upstream, **changes))
    assert [row.source_step for row in setup.table] == [None, 0, 12]
    for network, step in ((1, 0), (2, 12)):
        np.testing.assert_array_equal(
            setup.state["params"]["conv1"]["kernel"][network],
            trained(upstream, 0, step)["conv1"]["kernel"],
        )
    wrong = changes | {"population.sweep": (("init.step", (0, 5)),)}
    with pytest.raises(InputError, match="has no checkpoint of step 5"):
        prepare(downstream(tiny_config, upstream, **wrong))


def test_a_measured_curve_needs_a_run(tiny_config, upstream):
    with pytest.raises(InputError, match="arm aligned starts from an earlier run"):
        check(tiny_config({"init.arms": ("aligned",), "init.curve": "measured"}))
    params, table = start(
        downstream(tiny_config, upstream, **{"init.arms": ("aligned",), "init.curve": "measured"})
    )
    assert [row.source_step for row in table] == [-1, -1]
    assert norm(params["aligned", 0]["conv1"]) > 0
    with pytest.raises(InputError, match="The curve 'cubic' is none of"):
        prepare(check(tiny_config({"init.arms": ("aligned",), "init.curve": "cubic"})))


def test_a_differing_test_size_or_augmentation_does_not_matter(tiny_config, upstream):
    """They change nothing of what the earlier run learned."""
    changes = {"data.test_size": 5, "data.augment": "crop_flip", "init.arms": ("pretrained",)}
    params, _ = start(downstream(tiny_config, upstream, **changes))
    assert params["pretrained", 0]["conv1"]["kernel"].shape == (2, 2, 3, 16)


def test_a_missing_run_is_one_sentence(tiny_config, tmp_path):
    with pytest.raises(InputError, match="holds no run .config.json is missing.; give the"):
        start(downstream(tiny_config, tmp_path))
