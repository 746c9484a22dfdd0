"""Records of alignment against runs with planted weights, and against NumPy."""

import dataclasses
import itertools
import math
from functools import partial

import jax
import numpy as np
import pytest

from randlabels import records
from randlabels.analysis import alignment_of_run, costs, layer_inputs
from randlabels.configs import base
from randlabels.data import sources, splits
from randlabels.errors import AllLostError, InputError
from randlabels.models import build
from randlabels.models.naming import get_layer
from randlabels.runs import load_run
from randlabels.training import checkpoints, workdir
from randlabels.training.check import check
from randlabels.training.population import network_table

pytestmark = pytest.mark.usefixtures("quick_programs")

FILTERS = 64  # more than the 27 weights of a filter


def small_config(**changes):
    config = base.get_config()
    config.data.update(image_size=8, upstream_size=64, downstream_size=64, test_size=8)
    config.model.update(filters=FILTERS, widths=(5,))
    config.train.batch_size = 16
    config.population.seeds = 2
    config.update_from_flattened_dict(changes)
    return check(config)


def drawn_variables(model, table, example):
    """Variables as networks would start with, drawn by NumPy, which compiles nothing."""
    rng = np.random.default_rng(0)
    scales = np.array([row.init_scale for row in table])

    def draw(path, leaf):
        shape = len(table), *leaf.shape
        if path[-1].key != "kernel":
            return np.full(shape, path[-1].key in ("scale", "var"), np.float32)
        deviations = scales.reshape(-1, *[1] * leaf.ndim) / np.sqrt(math.prod(leaf.shape[:-1]))
        return (deviations * rng.standard_normal(shape)).astype(np.float32)

    shapes = jax.eval_shape(model.init, jax.random.key(0), example)
    return jax.tree_util.tree_map_with_path(draw, shapes)


def write_run(directory, config, plant=lambda step, variables, table: None, steps=(0, 4)):
    """A workdir without training: random weights, which `plant` may change at each step."""
    table = network_table(config)
    dataset = sources.load(config.data)
    example = np.zeros((1, *dataset.train_images.shape[1:]), np.float32)
    variables = drawn_variables(build(config), table, example)
    workdir.write_config(directory, config)
    with checkpoints.open_manager(directory, steps) as manager:
        for step in steps:
            plant(step, variables, table)
            state = {"batch_stats": {}} | jax.tree.map(np.array, variables)
            checkpoints.save(manager, step, step // 4, state)
    workdir.write_table(directory, table)
    workdir.write_status(directory, "running")
    return load_run(directory)


def standardised_images(config):
    """The images of the upstream task, float64, as training sees them; NumPy alone."""
    images = sources.load(config.data).train_images / 255.0
    sizes = config.data.upstream_size, config.data.downstream_size
    chosen = splits.split_indices(config.data.seed, len(images), *sizes)["upstream"]
    return ((images - images.mean((0, 1, 2))) / images.std((0, 1, 2)))[chosen]


def patches_of(images, side, stride=1, padding=(0, 0)):
    """All patches [n, side * side * channels] by plain loops."""
    images = np.pad(images, ((0, 0), padding, padding, (0, 0)))
    last = images.shape[1] - side + 1
    positions = itertools.product(range(0, last, stride), repeat=2)
    cut = [images[:, i : i + side, j : j + side].reshape(len(images), -1) for i, j in positions]
    return np.stack(cut, 1).reshape(-1, cut[0].shape[1])


def descending(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return values[::-1], vectors[:, ::-1]


def misalignment_of(basis, sigma_w):
    forward = np.einsum("di,de,ei->i", basis, sigma_w, basis)
    backward = np.einsum("di,de,ei->i", basis, np.linalg.inv(sigma_w), basis)
    return np.sqrt(forward * backward).sum() - len(sigma_w)


def whitened(seed, dim, num_filters):
    """Filters [dim, num_filters] whose uncentred covariance is exactly the identity."""
    normal = np.random.default_rng(seed).standard_normal((num_filters, dim))
    return np.linalg.qr(normal)[0].T * np.sqrt(num_filters)


def pooled(alignment, layer="conv1"):
    return [r for r in alignment.records if r.network is None and r.layer == layer]


def single(alignment, layer="conv1"):
    return [r for r in alignment.records if r.network is not None and r.layer == layer]


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Weights V diag(f) z at step 4, in an order of f that is not that of the data."""
    config = small_config()
    values, vectors = descending(np.cov(patches_of(standardised_images(config), 3).T, bias=True))
    taus = np.random.default_rng(0).permutation(np.geomspace(0.05, 0.5, 27))

    def plant(step, variables, table):
        if step == 4:
            for network in range(len(table)):
                kernel = vectors @ (taus[:, None] * whitened(network, 27, FILTERS))
                variables["params"]["conv1"]["kernel"][network] = kernel.reshape(3, 3, 3, -1)

    run = write_run(tmp_path_factory.mktemp("planted"), config, plant)
    return alignment_of_run.alignment_of_run(run, (), "checkpoint", 50), values, vectors, taus


def test_planted_map_and_eigenvectors_are_found(planted):
    alignment, values, vectors, taus = planted
    np.testing.assert_allclose(alignment.data["conv1"].eigenvalues, values, rtol=1e-4)
    assert alignment.data["conv1"].count == 64 * 6 * 6
    record = pooled(alignment)[1]
    assert (record.step, record.epoch, record.num_filters) == (4, 1, 2 * FILTERS)
    np.testing.assert_allclose(record.tau, taus, rtol=1e-4)
    np.testing.assert_allclose(record.filter_eigenvalues, np.sort(taus**2)[::-1], rtol=1e-4)
    np.testing.assert_array_equal(record.nearest_rank, np.argsort(-taus)[:10])
    np.testing.assert_allclose(record.nearest_cosine, 1, atol=1e-4)
    cosines = np.sum(record.filter_eigenvectors * vectors[:, record.nearest_rank], axis=0)
    np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-4)
    kept = record.nearest_rank < 10  # eigenvectors of the data that are in the file
    assert kept.sum() > 1
    shown = alignment.data["conv1"].eigenvectors[:, record.nearest_rank[kept]]
    signed = np.sum(shown * record.filter_eigenvectors[:, kept], axis=0)
    np.testing.assert_allclose(signed, 1, atol=1e-4)


def test_planted_alignment_is_told_from_chance(planted):
    alignment = planted[0]
    start, end = pooled(alignment)
    assert end.misalignment_data < 1e-4 < 1 < end.misalignment_random.min()
    assert end.p_value == 1 / 51
    assert start.p_value > 0.01
    low, high = np.quantile(start.floor, [0.001, 0.999])
    assert low < start.misalignment_data < high
    # Both networks have the planted covariance exactly, so that resampling them changes nothing.
    np.testing.assert_allclose(end.interval, 0, atol=1e-3)
    assert start.interval_bias > 0.1


def test_records_compare_filters_with_the_spectrum_of_the_data(planted):
    """Pooled and single, at both checkpoints, from the kernels with NumPy alone."""
    alignment, values, _, taus = planted
    for record in alignment.records:
        if record.step == 4:
            groups = [[0]]
            for i in range(1, 27):
                if values[i] < 0.9 * values[groups[-1][0]]:
                    groups.append([])
                groups[-1].append(i)
            found = record.misalignment_eigenspaces
            assert 1 < found.num_eigenspaces == len(groups) < 27
            assert found.misalignment == pytest.approx(0, abs=1e-3)  # taus within may differ
            assert found.random > 1
            assert found.p_value == 1 / (1 + len(record.misalignment_random))
            leading = [np.isin(np.argsort(-taus)[:k], range(k)).mean() for k in (1, 2, 5, 10)]
            np.testing.assert_allclose(record.subspace_overlap.overlap, leading, atol=1e-3)
        fit = record.closed_form
        curve = -np.expm1(-fit.eta_t * values) / np.sqrt(values)
        left = record.tau - fit.amplitude * curve
        assert curve @ left == pytest.approx(0, abs=1e-4)  # the best amplitude
        assert fit.residual == pytest.approx(np.sqrt(np.mean(left**2)), rel=1e-3)
    singles = [r.tau for r in single(alignment) if r.step == 0]
    expected = np.corrcoef(*singles)[0, 1]
    for record, correlation in zip(pooled(alignment), (expected, 1), strict=True):
        found = record.profile_correlation
        assert dataclasses.astuple(found) == pytest.approx((correlation,) * 3, abs=1e-6)
    assert abs(expected) < 0.8
    assert single(alignment)[0].profile_correlation is None


def test_shrunk_estimate_is_given_where_filters_are_few(planted):
    from sklearn.covariance import ledoit_wolf

    alignment, _, vectors, taus = planted
    record = single(alignment)[-1]
    filters = vectors @ (taus[:, None] * whitened(1, 27, FILTERS))
    expected = ledoit_wolf(filters.T, assume_centered=True)[0]
    random = record.misalignment_shrunk_random
    assert record.misalignment_shrunk == pytest.approx(misalignment_of(vectors, expected), abs=1e-4)
    assert len(random) == 50
    assert record.misalignment_shrunk < random.min() < record.misalignment_random.min()


def test_singular_covariance_is_refused_with_advice_until_networks_are_pooled(tmp_path):
    config = small_config(**{"model.filters": 16})
    alignment = alignment_of_run.alignment_of_run(write_run(tmp_path, config), (), "checkpoint", 3)
    for record in single(alignment):
        assert record.misalignment_data is record.floor is record.p_value is None
        assert "pool networks until there are more than 27" in record.reason
        assert (record.filter_eigenvalues[:16] > 0).all()
        np.testing.assert_array_equal(record.filter_eigenvalues[16:], 0)
        np.testing.assert_allclose(
            np.square(record.tau).sum() * 16, record.kernel_norm**2, rtol=1e-10
        )
    together = pooled(alignment)[0]
    assert together.num_filters == 32
    assert together.misalignment_data > 0
    assert together.reason is None
    assert together.interval is None  # a resample of one network twice is singular


def test_leading_eigenvectors_of_few_filters_point_along_those_of_the_data(tmp_path):
    config = small_config(**{"model.filters": 8})  # 16 pooled, fewer than 27
    alignment = alignment_of_run.alignment_of_run(write_run(tmp_path, config), (), "checkpoint", 3)
    record, basis = pooled(alignment)[0], alignment.data["conv1"].eigenvectors
    kept = record.nearest_rank < 10
    signed = np.sum(
        basis[:, record.nearest_rank[kept]] * record.filter_eigenvectors[:, kept], axis=0
    )
    np.testing.assert_allclose(signed, record.nearest_cosine[kept], rtol=1e-10)


def diverged(run, networks):
    """The run, with these networks marked as diverged."""
    rows = [
        dataclasses.replace(row, diverged_epoch=1) if row.network in networks else row
        for row in run.networks
    ]
    return dataclasses.replace(run, networks=tuple(rows))


def test_networks_are_pooled_within_arms_and_sweep_points_only(tmp_path):
    config = small_config(**{"population.sweep": (("model.init_scale", (0.5, 1.0)),)})
    run = write_run(tmp_path, config)
    dead = dataclasses.replace(run.networks[3], dead_epoch=1)
    untrained = dataclasses.replace(run.networks[0], untrained_epoch=2)
    run = dataclasses.replace(run, networks=(untrained, *run.networks[1:3], dead))
    alignment = alignment_of_run.alignment_of_run(run, (), "checkpoint", 3)
    assert (alignment.networks, alignment.diverged, alignment.dead) == ((0, 1, 2), (), (3,))
    last = [record for record in pooled(alignment) if record.step == 4]
    assert [record.networks for record in last] == [(0, 1), (2,)]
    kernels = run.params(4, layer="conv1")["conv1"]["kernel"].astype(np.float64)
    for record in last:
        norms = [np.linalg.norm(kernels[network]) for network in record.networks]
        assert record.kernel_norm == pytest.approx(np.mean(norms), rel=1e-10)
        assert record.group["init_scale"] == (0.5 if len(norms) == 2 else 1.0)
        assert "seed" not in record.group


def test_all_diverged_is_an_error(tmp_path):
    run = write_run(tmp_path, small_config())
    run = diverged(run, [row.network for row in run.networks])
    with pytest.raises(AllLostError, match="all networks of .* diverged"):
        alignment_of_run.alignment_of_run(run, (), "checkpoint", 3)


def dense_inputs(config, params, network):
    """The inputs of dense1 of a simple_cnn, with loops and NumPy alone."""
    images = standardised_images(config)
    kernel = params["conv1"]["kernel"][network].astype(np.float64)
    patches = patches_of(images, 3).reshape(len(images), -1, 27)
    outputs = patches @ kernel.reshape(27, -1) + params["conv1"]["bias"][network]
    return np.maximum(outputs, 0).reshape(len(images), -1)


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """dense1 has 4 * 4 * 2 = 32 inputs, and weights that change from step 0 to 4."""
    changes = {"data.image_size": 6, "model.filters": 2, "model.widths": (40, 5)}
    config = small_config(**changes)

    def plant(step, variables, table):
        if step == 4:
            for leaf in jax.tree.leaves(variables):
                leaf += np.random.default_rng(1).normal(0, 0.02, leaf.shape)

    return config, write_run(tmp_path_factory.mktemp("deep"), config, plant)


@pytest.fixture(scope="module")
def deep_alignments(deep):
    return {
        inputs: alignment_of_run.alignment_of_run(deep[1], ("dense1",), inputs, 3)
        for inputs in ("checkpoint", "initialisation")
    }


@pytest.mark.parametrize("inputs", ["checkpoint", "initialisation"])
def test_deeper_layer_is_analysed_in_each_networks_own_basis(deep, deep_alignments, inputs):
    config, run = deep
    alignment = deep_alignments[inputs]
    assert alignment.data["dense1"].eigenvalues is None
    records_at = [r for r in single(alignment, "dense1") if r.step == 4]
    source = run.params(4 if inputs == "checkpoint" else 0)
    kernels = run.params(4)["dense1"]["kernel"].astype(np.float64)
    leading = 20  # rounding of the activations to float32 mixes those of hardly any variance
    energies = []
    for network, record in enumerate(records_at):
        sigma_x = np.cov(dense_inputs(config, source, network).T, bias=True)
        values, vectors = descending(sigma_x)
        np.testing.assert_allclose(record.eigenvalues[:leading], values[:leading], rtol=1e-3)
        taus = np.sqrt(np.square(vectors.T @ kernels[network]).mean(1))
        np.testing.assert_allclose(record.tau[:leading], taus[:leading], rtol=1e-2)
        energies.append(taus**2)
        weights = np.linalg.svd(vectors.T @ kernels[network])[0]
        shared = [np.square(weights[:k, :k]).sum() / k for k in (1, 2, 5, 10)]
        np.testing.assert_allclose(record.subspace_overlap.overlap, shared, rtol=1e-2)
    together = pooled(alignment, "dense1")[1]
    expected = np.sqrt(np.mean(energies, axis=0))
    np.testing.assert_allclose(together.tau[:leading], expected[:leading], rtol=1e-2)
    assert together.filter_eigenvectors is None


def test_bases_at_initialisation_stay_and_at_checkpoints_move(deep_alignments):
    spectra = {
        inputs: [record.eigenvalues for record in pooled(alignment, "dense1")]
        for inputs, alignment in deep_alignments.items()
    }
    np.testing.assert_array_equal(*spectra["initialisation"])
    np.testing.assert_array_equal(spectra["checkpoint"][0], spectra["initialisation"][0])
    assert not np.allclose(*spectra["checkpoint"], rtol=0.01)


def test_rotating_each_network_and_pooling_is_pooling_directly_in_the_first_layer(tmp_path):
    run = write_run(tmp_path, small_config())
    shared = pooled(alignment_of_run.alignment_of_run(run, (), "checkpoint", 5))[1]
    kernels = run.params(4, layer="conv1")["conv1"]["kernel"].astype(np.float64)
    filters = np.moveaxis(kernels.reshape(2, 27, -1), 0, 1).reshape(27, -1)
    sigma_w = filters @ filters.T / filters.shape[1]
    vectors = descending(np.cov(patches_of(standardised_images(small_config()), 3).T, bias=True))[1]
    expected = misalignment_of(vectors, sigma_w)
    assert shared.misalignment_data == pytest.approx(expected, rel=1e-4)


def test_nested_strided_convolution_has_the_moments_of_its_padded_patches(tmp_path):
    changes = {
        "model.name": "wide_resnet",
        "model.depth": 10,
        "model.width": 0.25,
        "model.filters": 4,
        "model.widths": (32,),
    }
    config = small_config(**changes)
    variables = {}
    run = write_run(tmp_path, config, lambda step, v, table: variables.update(v), steps=(0,))
    task = layer_inputs.open_inputs(run)
    layer = next(layer for layer in task.layers if layer.path == "group2_block1/conv1")
    assert (layer.stride, layer.padding) == (2, "SAME")
    one = jax.tree.map(lambda x: x[1], variables)
    images = standardised_images(config).astype(np.float32)
    _, sown = jax.jit(partial(build(config).apply, mutable=["inputs"]))(one, images)
    inputs = np.asarray(sown["inputs"]["group2_block1"]["conv1"]["x"], np.float64)
    patches = patches_of(inputs, 3, stride=2, padding=(0, 1))  # SAME: 8 pixels to 4
    found = task.moments(one, layer.path)
    assert found.count == len(patches) == 64 * 4 * 4
    expected = np.cov(patches.T, bias=True)
    np.testing.assert_allclose(found.covariance, expected, atol=1e-5 * expected.max())
    kernels = layer_inputs.read_kernels(run, 0, layer.path)
    np.testing.assert_array_equal(kernels, get_layer(variables["params"], layer.path)["kernel"])


def test_layers_too_large_are_refused_or_left_out(tmp_path, monkeypatch):
    run = write_run(tmp_path, small_config(**{"model.filters": 4}))
    monkeypatch.setattr(layer_inputs, "MAX_DIM", 100)
    with pytest.raises(InputError, match=r"layer dense1 has 144 inputs.*at most 100"):
        alignment_of_run.alignment_of_run(run, ("conv1", "dense1"), "checkpoint", 3)
    alignment = alignment_of_run.alignment_of_run(run, ("all",), "checkpoint", 3)
    assert list(alignment.data) == ["conv1", "head"]
    assert [(s.layer, s.step) for s in alignment.skipped] == [("dense1", None)]


def test_initialisation_needs_the_first_checkpoint(tmp_path):
    changes = {"model.filters": 4, "train.checkpoint_epochs": (1,)}
    run = write_run(tmp_path, small_config(**changes), steps=(4,))
    with pytest.raises(InputError, match="no checkpoint of its start"):
        alignment_of_run.alignment_of_run(run, ("head",), "initialisation", 3)
    first = alignment_of_run.alignment_of_run(run, (), "initialisation", 3)  # has no need of it
    assert pooled(first)[0].step == 4


def test_long_work_is_announced_with_its_cost(deep, monkeypatch, capsys):
    monkeypatch.setattr(costs, "_WORTH_SAYING", 0)
    monkeypatch.setattr(costs, "_multiplication_rate", lambda dim: 1e5)
    alignment_of_run.alignment_of_run(deep[1], ("dense1",), "checkpoint", 3)
    assert "dense1 (d = 32) will take about" in capsys.readouterr().err


def test_records_can_be_written_as_json(planted, tmp_path):
    records.write_json(tmp_path / "alignment.json", planted[0].to_json())
