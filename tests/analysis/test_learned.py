"""What was learned, on planted weights, against NumPy, and with a wrong basis for the data's."""

import numpy as np
import pytest
from test_alignment_of_run import (
    FILTERS,
    descending,
    misalignment_of,
    patches_of,
    small_config,
    standardised_images,
    write_run,
)

from randlabels.analysis.control_bases import DCT, DCT_OF_VECTORS
from randlabels.analysis.learned import first_layer_bases, learned_alignment
from randlabels.configs import base
from randlabels.data.pink_noise import pink_noise
from randlabels.errors import InputError
from randlabels.runs import load_run
from randlabels.training.check import check
from randlabels.training.loop import train

MAP = np.geomspace(2, 0.02, 27)  # of what is learned, by rank
OTHER = "eigenvectors of pink noise"
STEP = 4


def eigenvectors(config):
    return descending(np.cov(patches_of(standardised_images(config), 3).T, bias=True))[1]


def write_learned(directory, config, basis, networks):
    """A run that adds filters aligned with a basis to isotropic ones."""

    def plant(step, variables, table):
        if step == STEP:
            rng = np.random.default_rng(5)
            change = basis @ (MAP[:, None] * rng.standard_normal((networks, 27, FILTERS)))
            kernel = variables["params"]["conv1"]["kernel"]
            kernel += change.reshape(kernel.shape)

    return write_run(directory, config, plant)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """(run, bases, what single networks have learned, and pairs of them) of six networks."""
    config = small_config(**{"population.seeds": 6, "data.upstream_size": 256})
    vectors = eigenvectors(config)
    run = write_learned(tmp_path_factory.mktemp("learned"), config, vectors, 6)
    bases = first_layer_bases(run)
    groups = [[0], [1], [2], [3], [4], [5]], [[0, 3], [1, 4], [2, 5]]
    return run, bases, *(learned_alignment(run, STEP, of, bases, 50, 99) for of in groups)


def test_the_datas_eigenvectors_beat_every_control(planted):
    _, _, single, pairs = planted
    for found in (single, pairs):
        counted = {
            k: v for k, v in found.learned.controls.items() if k not in found.learned.symmetries
        }
        assert {DCT, OTHER, "patches ordered channel, row, column"} <= set(counted)
        for values in (*counted.values(), found.learned.random.min(axis=1)):
            assert (values > found.learned.best_control - 1e-9).all()
            assert (values > found.learned.data).all()
        assert (found.learned.log_ratio > 0.1).all()
        assert (np.abs(found.learned.specificity - 1) < 0.5).all()
        assert (found.learned.exact_p > 0.01).all()
    assert np.isnan(single.learned.network_p).all()
    assert (pairs.learned.network_p > 0.01).all()


@pytest.mark.parametrize(
    "control",
    [
        DCT,
        OTHER,
        "patches ordered channel, row, column",
        "patches ordered row, channel, column",
        "patches ordered column, channel, row",
        "patches ordered channel, column, row",
    ],
)
def test_no_claim_holds_with_a_wrong_basis_in_place_of_the_datas(planted, control):
    run, bases, single, _ = planted
    wrong = learned_alignment(run, STEP, single.groups, bases.mistaken(control), 50, 20)
    assert (wrong.learned.log_ratio <= 0).all()
    np.testing.assert_allclose(wrong.learned.data, single.learned.controls[control])
    assert control not in single.learned.symmetries


def test_numbers_equal_numpy(planted):
    run, bases, single, pairs = planted
    start, end = (run.params(step)["conv1"]["kernel"].astype(float) for step in (0, STEP))
    vectors = eigenvectors(small_config(**{"data.upstream_size": 256}))
    for found, groups in ((single, [[0], [5]]), (pairs, [[0, 3], [2, 5]])):
        for row, group in zip((0, -1), groups, strict=True):
            for of, kernels in ((found.learned, end - start), (found.weights, end)):
                w = np.concatenate([kernels[n].reshape(27, -1) for n in group], axis=1)
                sigma_w = w @ w.T / w.shape[1]
                assert of.data[row] == pytest.approx(misalignment_of(vectors, sigma_w), rel=1e-3)
                np.testing.assert_allclose(
                    of.f[row], np.sqrt(np.diag(vectors.T @ sigma_w @ vectors)), rtol=1e-3
                )
                for name, basis in bases.controls.bases.items():
                    expected = misalignment_of(basis, sigma_w)
                    assert of.controls[name][row] == pytest.approx(expected, rel=1e-3)
    assert single.layer == "conv1"
    assert single.learned.random.shape == (6, 50)
    assert single.learned.null.shape == (6, 99)


def test_other_images_are_seen_as_the_runs_are(planted):
    """Pink noise for a run on dead leaves, standardised by its own channels."""
    images = pink_noise(7, 2048, 8)[0] / 255
    images = (images - images.mean((0, 1, 2))) / images.std((0, 1, 2))
    expected = descending(np.cov(patches_of(images, 3).T, bias=True))[1]
    cosines = np.abs(np.sum(expected * planted[1].others[OTHER], axis=0))
    np.testing.assert_allclose(cosines[:4], 1, atol=1e-3)


def test_symmetries_of_the_inputs_are_measured_but_not_counted(planted):
    """Dead leaves transposed, or with other colours, are dead leaves."""
    _, bases, single, _ = planted
    mistakes = {name: value / 27 for name, value in bases.controls.of_inputs.items()}
    assert mistakes["patches ordered column, row, channel"] < 0.03 < mistakes[
        "patches ordered channel, row, column"
    ]  # fmt: skip
    assert set(single.learned.symmetries) == {
        "patches ordered column, row, channel",
        "channels reversed",
    }
    assert set(single.learned.symmetries) < set(single.learned.controls)


def test_groups_with_too_few_filters_or_dead_ones_have_no_misalignment(tmp_path):
    config = small_config()

    def plant(step, variables, table):
        if step == STEP:
            change = np.random.default_rng(0).standard_normal((2, 3, 3, 3, FILTERS))
            change[0, ..., 20:] = 0  # network 0 changes 20 of its filters alone
            variables["params"]["conv1"]["kernel"] += 0.1 * change

    run = write_run(tmp_path, config, plant)
    found = learned_alignment(run, STEP, [[0], [1], [0, 1]], random_bases=5, flips=19)
    by_default = learned_alignment(run, STEP, [[1]])
    assert 1 / by_default.learned.exact_p[0] <= 201 + 1e-9  # 200 flips, and as planted
    assert 201 * by_default.learned.exact_p[0] == pytest.approx(
        round(201 * by_default.learned.exact_p[0])
    )
    for values in (found.learned.data, found.learned.best_control, found.learned.exact_p):
        np.testing.assert_array_equal(np.isfinite(values), [False, True, True])
    assert "64 filters, 20 of them not 0, in 27 dimensions" in found.learned.reasons[0]
    assert found.learned.reasons[1:] == (None, None)
    assert np.isfinite(found.learned.f).all()
    assert np.isfinite(found.weights.data).all()
    at_start = learned_alignment(run, 0, [[1]], random_bases=5, flips=19)
    assert np.isnan(at_start.learned.log_ratio).all()


def test_a_trained_run_from_end_to_end(tiny_config, tmp_path):
    changes = {"model.filters": 40, "train.checkpoint_epochs": (0, 2)}
    train(tiny_config(changes), tmp_path / "run")
    run = load_run(tmp_path / "run")
    found = learned_alignment(run, run.steps[-1], [[0], [1], [0, 1]], random_bases=9, flips=19)
    assert np.isfinite(found.learned.log_ratio).all()
    assert found.learned.f.shape == (3, 27)
    start, end = (run.params(s)["conv1"]["kernel"].astype(float) for s in (0, run.steps[-1]))
    change = (end - start)[1].reshape(27, -1)
    pixels = first_layer_bases(run).basis.vectors
    assert found.learned.data[1] == pytest.approx(misalignment_of(pixels, change @ change.T))


def test_vectors_have_the_cosines_along_their_only_axis_as_controls(tmp_path):
    config = base.get_config()
    changes = {"data.name": "gaussian", "data.diagonal": (4.0, 2.0, 1.0, 0.5), "model.name": "mlp",
               "model.widths": (12,), "data.upstream_size": 64, "data.downstream_size": 64,
               "data.test_size": 8, "population.seeds": 2}  # fmt: skip
    config.update_from_flattened_dict(changes)
    rng = np.random.default_rng(0)

    def plant(step, variables, table):
        if step == STEP:
            kernel = variables["params"]["dense1"]["kernel"]
            kernel += rng.standard_normal(kernel.shape)

    run = write_run(tmp_path, check(config), plant)
    found = learned_alignment(run, STEP, [[0], [1]], random_bases=9, flips=19)
    assert set(found.learned.controls) == {DCT_OF_VECTORS}
    start, end = (run.params(s)["dense1"]["kernel"].astype(float) for s in (0, STEP))
    change = (end - start)[1]
    waves = np.cos(np.pi * (np.arange(4)[:, None] + 0.5) * np.arange(4) / 4)
    waves /= np.linalg.norm(waves, axis=0)
    expected = misalignment_of(waves, change @ change.T)
    assert found.learned.controls[DCT_OF_VECTORS][1] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("groups", [[], [[0], []], [[0, 99]]])
def test_groups_without_networks_are_refused(planted, groups):
    with pytest.raises(InputError, match=r"no network"):
        learned_alignment(planted[0], STEP, groups, planted[1])


def test_a_run_without_its_start_is_refused(tmp_path):
    config = small_config(**{"train.checkpoint_epochs": (1,)})
    run = write_run(tmp_path, config, steps=(2, 4))
    with pytest.raises(InputError, match=r"did not keep its start.*checkpoint_epochs"):
        learned_alignment(run, 4, [[0]])
