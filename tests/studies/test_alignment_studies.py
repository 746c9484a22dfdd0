"""Studies fig2, fig3, fig4 and kernel_size: their measures on planted truth, and a run of each."""

import json
import shutil

import numpy as np
import pytest
import scipy.linalg
from randlabels.studies.network_groups import data_basis, disjoint_groups, pooled_filters
from randlabels.studies.runner import load_results, run_study

from randlabels.eigen import closed_form_limit, fit_closed_form, misalignment, misalignment_floor
from randlabels.figures.closed_form_maps import CheckpointMap, pool
from randlabels.runs import Run, load_run
from randlabels.studies import STUDIES, alignment_study, fig2, fig3, fig4, kernel_size


def noisy(truth, networks, filters, rng):
    """Maps [network, d] of Gaussian filters whose standard deviation along v_i is truth [d]."""
    weights = truth[:, None] * rng.standard_normal((networks, len(truth), filters))
    return np.sqrt(np.square(weights).mean(-1))


def test_rise_and_fall_are_not_biased_by_the_choice_of_the_peak():
    single = noisy(np.ones(27), 400, 64, np.random.default_rng(0))
    for of_end in fig4.rise_and_fall(single):
        assert of_end.mean() == pytest.approx(1, abs=0.02)
    biased = single.max(1) / single[:, -1]
    assert biased.mean() > 1.15


def test_a_planted_peak_is_found():
    truth = np.array([1.0, 3.0, 2.0, 0.5])
    rises, falls = fig4.rise_and_fall(noisy(truth, 200, 1000, np.random.default_rng(1)))
    assert rises.mean() == pytest.approx(6, rel=0.01)
    assert falls.mean() == pytest.approx(3, rel=0.01)


def test_networks_are_pooled_by_their_filters_variance():
    rng = np.random.default_rng(2)
    weights = rng.standard_normal((3, 5, 7)) * np.array([1, 2, 3])[:, None, None]
    together = np.sqrt(np.square(weights.transpose(1, 0, 2).reshape(5, 21)).mean(-1))
    np.testing.assert_allclose(pool(np.sqrt(np.square(weights).mean(-1))), together)


def test_peak_moves_in_proportion_to_the_steps_of_a_linear_network():
    eigenvalues = np.geomspace(20, 0.01, 27)
    maps = [
        CheckpointMap(0, eigenvalues, closed_form_limit(np.sqrt(eigenvalues), eta_t)[None])
        for eta_t in (0.2, 1.6)
    ]
    ratio = fig4.peak_ratio(maps[0].single_fits, maps[1].single_fits)
    np.testing.assert_allclose(ratio, 8, rtol=1e-4)
    assert maps[1].peak == pytest.approx(1.2564 / 1.6, rel=0.3)  # the grid's nearest eigenvalue


def test_a_fit_without_a_peak_has_no_ratio():
    eigenvalues = np.geomspace(20, 0.01, 27)
    falling = fit_closed_form(np.sqrt(eigenvalues), 1 / np.sqrt(eigenvalues))
    peaked = fit_closed_form(np.sqrt(eigenvalues), closed_form_limit(np.sqrt(eigenvalues), 1.0))
    np.testing.assert_array_equal(
        np.isnan(fig4.peak_ratio([falling, peaked], [peaked] * 2)), [1, 0]
    )


def make_run(steps):
    return Run(None, {}, [], [], {}, steps)


def test_paper_epochs_are_the_nearest_checkpoints():
    steps = alignment_study.paper_steps(make_run((0, 496, 992, 1922, 3906, 7440, 7812)))
    assert steps == {5: 992, 10: 1922, 20: 3906, 40: 7812}


def test_a_short_run_stands_for_the_last_epoch_only():
    assert alignment_study.paper_steps(make_run((0, 2, 4))) == {40: 4}


def test_groups_are_disjoint_and_large_enough():
    assert disjoint_groups([0, 1, 3, 4, 5, 6, 7], filters=16, least=40) == [[0, 1, 3], [4, 5, 6]]
    assert disjoint_groups([0, 1], filters=16, least=40) == []


@pytest.mark.parametrize("num_filters", [120, 200, 400])
def test_correction_for_the_floor_recovers_the_misalignment_of_infinitely_many_filters(num_filters):
    rng = np.random.default_rng(3)
    dim = 60
    rotation = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    root = rotation * np.geomspace(3, 0.3, dim)
    truth = float(misalignment(np.eye(dim), root @ root.T))
    filters = root @ rng.standard_normal((20, dim, num_filters))
    estimates = misalignment(np.eye(dim), filters @ filters.swapaxes(-1, -2) / num_filters)
    floor = misalignment_floor(dim, num_filters, 200, seed=0)
    corrected = kernel_size.without_floor(estimates, floor.mean(), dim).mean()
    assert corrected == pytest.approx(truth, rel=0.03)
    # Subtracting the floor overstates it, the more the fewer filters there are.
    assert estimates.mean() - floor.mean() - truth > 2 * abs(corrected - truth)


@pytest.fixture(scope="module")
def workdirs(tmp_path_factory, quick):
    """A smoke run of each study; fig4 continues from the stages of fig2."""
    root = tmp_path_factory.mktemp("studies")
    with quick():
        for name in ("fig2", "fig3", "kernel_size"):
            run_study(STUDIES[name], root / name, "smoke")
        for stage in ("random", "real"):
            shutil.copytree(root / "fig2" / stage, root / "fig4" / stage)
        run_study(STUDIES["fig4"], root / "fig4", "smoke")
    return root


@pytest.mark.parametrize("name", ["fig2", "fig3", "fig4", "kernel_size"])
def test_every_claim_is_judged_and_every_figure_drawn(workdirs, name):
    study = STUDIES[name]
    verdicts = json.loads((workdirs / name / "verdicts.json").read_text())["verdicts"]
    assert [verdict["name"] for verdict in verdicts] == [claim.name for claim in study.claims]
    assert all(verdict["seeds"] >= 2 for verdict in verdicts if "peak_moves" not in verdict["name"])
    results = load_results(study, workdirs / name)
    page = (workdirs / name / "report.html").read_text()
    assert page.count("data:image/png") == len(study.figures(results))
    assert all(str(cell) in page for cell in study.summary(results)[0].values())


def test_fig2_measures_what_its_filters_say(workdirs):
    results = load_results(STUDIES["fig2"], workdirs / "fig2")
    run = results.runs["real"]
    kernels = run.params(run.steps[-1], layer="conv1")["conv1"]["kernel"].reshape(3, 27, 32)
    sigma_w = kernels.astype(float) @ kernels.astype(float).swapaxes(-1, -2) / 32
    expected = misalignment(data_basis(run.workdir).vectors, sigma_w)
    data, random, floor = alignment_study.misalignments(results.alignments["real"], run.steps[-1])
    np.testing.assert_allclose(data, expected, rtol=1e-6)
    assert random.shape == (3, 200)
    measured = fig2.measure(results)
    np.testing.assert_allclose(measured["below_random_bases_real"], random.min(1) - data)
    np.testing.assert_allclose(measured["at_floor_real"], np.quantile(floor, 0.975) - data)


def test_fig2_compares_label_kinds_in_a_table_of_its_own(workdirs):
    results = load_results(STUDIES["fig2"], workdirs / "fig2")
    step = results.runs["real"].steps[-1]
    kinds = []
    for kind in ("random", "real"):
        kernels = results.runs[kind].params(step, layer="conv1")["conv1"]["kernel"]
        filters = kernels.reshape(3, 27, 32).astype(float)
        kinds.append(filters @ filters.swapaxes(-1, -2) / 32)
    pooled = [kind.mean(0) for kind in kinds]
    expected = np.linalg.norm(np.log(scipy.linalg.eigh(*pooled, eigvals_only=True)))
    found = fig2.label_kind_distances(results, step)["affine_invariant"]
    assert found.pooled == pytest.approx(expected, rel=1e-6)
    rows = fig2.summary(results)
    assert [row["step"] for row in rows[4:]] == [step] * 3
    page = (workdirs / "fig2" / "report.html").read_text()
    assert page.count("<th>Σ_w of</th>") == page.count("<th>M(data)</th>") == 1
    assert f"{found.pooled:.3f}" in rows[-1].values()
    assert all(str(cell) in page for row in rows for cell in row.values())


def test_both_label_kinds_start_from_the_same_weights(workdirs):
    runs = [load_run(workdirs / "fig2" / kind) for kind in ("random", "real")]
    first, second = (run.params(0, layer="conv1")["conv1"]["kernel"] for run in runs)
    np.testing.assert_array_equal(first, second)
    first, second = (run.params(run.steps[-1])["head"]["kernel"] for run in runs)
    assert not np.array_equal(first, second)


def test_learned_maps_hold_the_weights_less_the_initial_ones(workdirs):
    workdir = workdirs / "fig4" / "random"
    run = load_run(workdir)
    start, end = (
        run.params(step, layer="conv1")["conv1"]["kernel"].reshape(3, 27, 32).astype(float)
        for step in (0, run.steps[-1])
    )
    along = np.einsum("di,ndm->nim", data_basis(workdir).vectors, end - start)
    found = fig4.learned_maps(workdir)[run.steps[-1]]
    np.testing.assert_allclose(found.single, np.sqrt(np.square(along).mean(-1)), rtol=1e-6)


def test_wide_resnet_patches_are_padded_as_its_first_layer_pads_them(workdirs):
    from randlabels.analysis.layer_inputs import open_inputs

    workdir = workdirs / "fig3" / "random"
    task = open_inputs(load_run(workdir))
    images = np.concatenate(list(task.batches())).astype(float)
    padded = np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 75)
    assert len(patches) == len(images) * 16 * 16
    expected = np.linalg.eigvalsh(np.cov(patches.T, bias=True))[::-1]
    np.testing.assert_allclose(data_basis(workdir).values, expected, rtol=1e-5, atol=1e-8)


def test_overlaps_agree_with_projections(workdirs):
    workdir = workdirs / "fig3" / "random"
    run = load_run(workdir)
    found, dim = fig3.overlaps(run, run.steps[-1])
    groups = disjoint_groups(range(2), 120, 1.5 * dim)
    assert found.shape == (2, len(fig3.RANKS))
    for row, weights in zip(found, pooled_filters(workdir, run.steps[-1], groups), strict=True):
        ours = np.linalg.svd(weights)[0][:, :5]
        theirs = data_basis(workdir).vectors[:, :5]
        projections = np.trace(ours @ ours.T @ theirs @ theirs.T) / 5
        assert row[4] == pytest.approx(projections, rel=1e-6)


def test_kernel_sizes_have_the_same_groups_and_their_own_floor(workdirs):
    results = load_results(STUDIES["kernel_size"], workdirs / "kernel_size")
    found = kernel_size.by_size(results)
    assert [of_size.dim for of_size in found.values()] == [27, 75, 147]
    assert {len(of_size.corrected_data) for of_size in found.values()} == {3}
    floors = [of_size.floor.mean() for of_size in found.values()]
    assert floors == sorted(floors)
    for of_size in found.values():  # Gaussian initial weights are a draw of the floor
        assert abs(of_size.data[0].mean() - of_size.floor.mean()) < 4 * of_size.floor.std()


def test_kernel_size_judges_the_end_of_training_against_its_start(workdirs):
    results = load_results(STUDIES["kernel_size"], workdirs / "kernel_size")
    run = results.runs["kernel_5"]
    kernels = [run.params(step, layer="conv1")["conv1"]["kernel"] for step in (0, run.steps[-1])]
    filters = np.stack(kernels).reshape(2, 3, 75, 224).astype(float)
    sigma_w = filters @ filters.swapaxes(-1, -2) / 224
    start, end = misalignment(data_basis(run.workdir).vectors, sigma_w)
    found = kernel_size.by_size(results)[5]
    np.testing.assert_allclose(found.data, [start, end], rtol=1e-6)
    expected = 75 * (end - start) / (start + 75)
    np.testing.assert_allclose(found.corrected_data, expected, rtol=1e-4)
    margin = kernel_size.measure(results)["aligned_5"]
    np.testing.assert_allclose(margin, found.random[1].min(1) - end, rtol=1e-4)
