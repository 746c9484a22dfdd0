"""Studies fig2, fig3, fig4 and kernel_size: a smoke run of each, and what is read off it."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import scipy.linalg

from randlabels.analysis.advantage import NEAREST_RANDOM, Advantage
from randlabels.eigen import misalignment
from randlabels.studies import find_study
from randlabels.studies.paper import fig2, fig3
from randlabels.studies.questions import kernel_size
from randlabels.studies.readouts.groups import data_basis, disjoint_groups, pooled_filters
from randlabels.studies.verdicts import judge

# The fixture runs four studies.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory, run_smoke):
    """{study: (results, reading)} of a smoke run of each; fig4 continues from stages of fig2."""
    root, found = tmp_path_factory.mktemp("studies"), {}
    for name in ("fig2", "fig3", "kernel_size"):
        found[name] = run_smoke(find_study(name), root / name)
    for stage in ("random", "real"):
        shutil.copytree(root / "fig2" / stage, root / "fig4" / stage)
    return found | {"fig4": run_smoke(find_study("fig4"), root / "fig4")}


def values_of(study, reading):
    """{claim: its values}."""
    return {verdict.name: verdict.values for verdict in judge(study.claims, study.primary, reading)}


def first_kernels(run, step):
    """Kernels of the first layer [network, kh, kw, 3, m]."""
    return run.params(step, layer="conv1")["conv1"]["kernel"]


def sigma_ws(filters):
    """Uncentred covariances [..., d, d] of filters [..., d, m]."""
    return filters @ filters.swapaxes(-1, -2) / filters.shape[-1]


@pytest.mark.parametrize("name", ["fig2", "fig3", "fig4", "kernel_size"])
def test_every_claim_is_judged_and_every_figure_drawn(smoke, name):
    study = find_study(name)
    results, reading = smoke[name]
    verdicts = json.loads((results.workdir / "verdicts.json").read_text())["verdicts"]
    assert [verdict["name"] for verdict in verdicts] == [claim.name for claim in study.claims]
    assert all(verdict["seeds"] >= 2 for verdict in verdicts if "peak_moves" not in verdict["name"])
    page = (results.workdir / "report.html").read_text()
    assert page.count("data:image/png") == len(study.figures(reading))
    rows = [row for table in study.tables(reading).values() for row in table]
    assert all(str(cell) in page for cell in rows[0].values())


def test_fig2_measures_what_its_filters_say(smoke):
    results, reading = smoke["fig2"]
    run = results.runs["real"]
    filters = first_kernels(run, run.steps[-1]).reshape(3, 27, 32).astype(float)
    expected = misalignment(data_basis(run).vectors, sigma_ws(filters))
    end = reading.single["real"][-1]
    np.testing.assert_allclose(end.data, expected, rtol=1e-6)
    assert end.random.shape == (3, 200)
    values = values_of(fig2.STUDY, reading)
    np.testing.assert_allclose(values["below_random_bases_real"], end.random.min(1) - end.data)
    np.testing.assert_allclose(values["at_floor_real"], np.quantile(end.floor, 0.975) - end.data)


def test_fig2_compares_label_kinds_in_a_table_of_its_own(smoke):
    results, reading = smoke["fig2"]
    step = results.runs["real"].steps[-1]
    pooled = [
        sigma_ws(first_kernels(results.runs[kind], step).reshape(3, 27, 32).astype(float)).mean(0)
        for kind in ("random", "real")
    ]
    expected = np.linalg.norm(np.log(scipy.linalg.eigh(*pooled, eigvals_only=True)))
    found = reading.distances[step]["affine_invariant"]
    assert found.pooled == pytest.approx(expected, rel=1e-6)
    tables = fig2.STUDY.tables(reading)
    assert [row["step"] for row in tables["distances"]] == [step] * 3
    page = (results.workdir / "report.html").read_text()
    for head in ("Σ_w of", "for infinitely many networks"):
        assert page.count(f'<th scope="col">{head}</th>') == 1
    assert f"{found.pooled:.3f}" in tables["distances"][-1].values()
    rows = [*tables["pooled"], *tables["distances"]]
    assert all(str(cell) in page for row in rows for cell in row.values())


def test_both_label_kinds_start_from_the_same_weights(smoke):
    results, _ = smoke["fig2"]
    runs = [results.runs[kind] for kind in ("random", "real")]
    np.testing.assert_array_equal(*(first_kernels(run, 0) for run in runs))
    first, second = (run.params(run.steps[-1])["head"]["kernel"] for run in runs)
    assert not np.array_equal(first, second)


def test_learned_maps_hold_the_weights_less_the_initial_ones(smoke):
    results, reading = smoke["fig4"]
    run = results.runs["random"]
    start, end = (
        first_kernels(run, step).reshape(3, 27, 32).astype(float) for step in (0, run.steps[-1])
    )
    along = np.einsum("di,ndm->nim", data_basis(run).vectors, end - start)
    found = reading["random"].learned[run.steps[-1]]
    np.testing.assert_allclose(found.single, np.sqrt(np.square(along).mean(-1)), rtol=1e-6)


def test_wide_resnet_patches_are_padded_as_its_first_layer_pads_them(smoke):
    from randlabels.analysis.layer_inputs import open_inputs

    run = smoke["fig3"][0].runs["random"]
    images = np.concatenate(list(open_inputs(run).batches())).astype(float)
    padded = np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 75)
    assert len(patches) == len(images) * 16 * 16
    expected = np.linalg.eigvalsh(np.cov(patches.T, bias=True))[::-1]
    np.testing.assert_allclose(data_basis(run).values, expected, rtol=1e-5, atol=1e-8)


def test_overlaps_agree_with_projections(smoke):
    results, reading = smoke["fig3"]
    run = results.runs["random"]
    groups = disjoint_groups(range(2), 120, 1.5 * reading.dim)
    found = reading.epochs[run.steps[-1] // run.steps_per_epoch]
    assert found.shape == (2, len(fig3.RANKS))
    for row, weights in zip(found, pooled_filters(run, run.steps[-1], groups), strict=True):
        ours = np.linalg.svd(weights)[0][:, :5]
        theirs = data_basis(run).vectors[:, :5]
        projections = np.trace(ours @ ours.T @ theirs @ theirs.T) / 5
        assert row[4] == pytest.approx(projections, rel=1e-6)
    above = values_of(fig3.STUDY, reading)["above_chance_5"]
    np.testing.assert_allclose(above, found[:, 4] - 5 / 75)


def test_kernel_sizes_have_the_same_groups_and_their_own_floor(smoke):
    _, found = smoke["kernel_size"]
    assert [of_size.dim for of_size in found.values()] == [27, 75, 147]
    assert {len(of_size.corrected_data) for of_size in found.values()} == {3}
    floors = [of_size.end.floor for of_size in found.values()]
    assert [floor.mean() for floor in floors] == sorted(floor.mean() for floor in floors)
    for of_size, floor in zip(found.values(), floors, strict=True):
        # Gaussian initial weights are a draw of the floor
        assert abs(of_size.start.data.mean() - floor.mean()) < 4 * floor.std()


def test_kernel_size_judges_the_end_of_training_against_its_start(smoke):
    results, reading = smoke["kernel_size"]
    run = results.runs["kernel_5"]
    kernels = [first_kernels(run, step) for step in (0, run.steps[-1])]
    sigma_w = sigma_ws(np.stack(kernels).reshape(2, 3, 75, 224).astype(float))
    start, end = misalignment(data_basis(run).vectors, sigma_w)
    found = reading[5]
    np.testing.assert_allclose([found.start.data, found.end.data], [start, end], rtol=1e-6)
    expected = 75 * (end - start) / (start + 75)
    np.testing.assert_allclose(found.corrected_data, expected, rtol=1e-4)
    margin = values_of(kernel_size.STUDY, reading)["aligned_5"]
    np.testing.assert_allclose(margin, found.end.random.min(1) - end, rtol=1e-4)


def test_kernel_sizes_with_different_numbers_of_groups_are_compared_where_both_have_one(smoke):
    _, reading = smoke["kernel_size"]
    start, end = (
        dataclasses.replace(of, data=of.data[:2], random=of.random[:2])
        for of in (reading[7].start, reading[7].end)
    )
    fewer = dataclasses.replace(reading[7], start=start, end=end)
    values = values_of(kernel_size.STUDY, reading | {7: fewer})["larger_total"]
    np.testing.assert_array_equal(values, values_of(kernel_size.STUDY, reading)["larger_total"][:2])


def test_fig2_draws_the_effect_that_is_claimed():
    single = np.array([[40.0, 42.0], [29.0, 31.0], [1500.0, 1510.0]])
    advantage = Advantage(("wrong order", "DCT", NEAREST_RANDOM), single.mean(1), single)
    drawn = fig2._over_controls(advantage)
    assert list(drawn) == ["wrong order", "DCT"]
    np.testing.assert_array_equal(drawn["DCT"][0], advantage.values)
    low, high = drawn["DCT"][1]
    title = fig2._advantage_title("real", advantage)
    assert title == f"real labels\nover the hardest:\n+30.000 [{low:+.3f}, {high:+.3f}] nats"
