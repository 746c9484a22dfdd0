"""Studies fig20 and proposition1: their claims on planted layers, and on a run of one stage."""

import dataclasses

import numpy as np
import pytest

from randlabels.analyze import analyze
from randlabels.eigen import misalignment, misalignment_floor
from randlabels.studies.paper import fig20, proposition1
from randlabels.studies.resolve import stage_config
from randlabels.studies.run import load_results
from randlabels.studies.verdicts import judge
from randlabels.training.loop import train


def verdicts_of(study, reading):
    return {verdict.name: verdict for verdict in judge(study.claims, study.primary, reading)}


def supported(study, verdicts):
    """Whether all primary claims are, and the intervals of all estimates lie above as well."""
    primary = {verdicts[name].outcome for name in study.primary}
    others = [v for v in verdicts.values() if v.name not in study.primary]
    return primary == {"supported"} and all(v.interval[0] > v.threshold for v in others)


def planted_maps():
    """Maps of six nearly equal networks through the points that were read off the paper."""
    found = {}
    for held in fig20.DIAGONAL_HOLDS:
        for setting, points in fig20.PAPER.items():
            entries, f = np.array(list(points)), np.array(list(points.values()))
            last = f + 0.001 * np.array([[-1], [0], [1], [-1], [0], [1]])
            found[f"{setting}_{held}"] = fig20.Maps(entries, {0: np.zeros_like(last), 60: last})
    return found


def test_fig20_supports_the_shapes_of_the_papers_curves():
    verdicts = verdicts_of(fig20.STUDY, planted_maps())
    assert supported(fig20.STUDY, verdicts)
    np.testing.assert_allclose(verdicts["middle_falls_variances"].values, [0.207 - 0.163] * 6)


def test_fig20_lists_its_maps_beside_the_papers():
    (rows,) = fig20.STUDY.tables(planted_maps()).values()
    assert len(rows) == 2 * 10
    assert all(row["f, ours"] == f"{row['f, paper']} ± 0.001" for row in rows)


def test_fig20_reads_an_entry_at_the_nearest_of_the_diagonal():
    maps = fig20.Maps(np.arange(1, 31) / 10, {0: np.zeros((1, 30)), 2: np.arange(30.0)[None]})
    assert maps.at(1.1) == [10]
    assert maps.at(3.0) == [29]


DIM, UNITS, NETWORKS = 10, 64, 96


def planted_cases():
    """Filters with the data's eigenvectors where Proposition 1 holds, others where it does not."""
    rng = np.random.default_rng(0)
    rotation, other = (np.linalg.qr(rng.standard_normal((DIM, DIM)))[0] for _ in range(2))
    found = {}
    for name in proposition1.VARIANTS:
        vectors = rotation if name == "rotated" else np.eye(DIM)
        filters_along = vectors if name in proposition1.ALIGNED else other
        scaled = filters_along * np.geomspace(3, 0.3, DIM)
        kernels = scaled @ rng.standard_normal((NETWORKS, DIM, UNITS))
        found[name] = proposition1.Case(kernels, vectors, accuracy=0.5)
    return found


def test_proposition1_is_supported_where_weights_are_aligned_and_only_there():
    cases = planted_cases()
    verdicts = verdicts_of(proposition1.STUDY, cases)
    assert supported(proposition1.STUDY, verdicts)
    swapped = cases | {"base": cases["two_eigenvectors"], "two_eigenvectors": cases["deep"]}
    verdicts = verdicts_of(proposition1.STUDY, swapped)
    assert verdicts["base"].outcome == verdicts["two_eigenvectors"].outcome == "contradicted"
    assert verdicts["same_map"].outcome == "contradicted"


def test_pools_are_disjoint_and_compared_with_a_floor_of_as_many_filters():
    case = planted_cases()["base"]
    filters = case.kernels[16:32].transpose(1, 0, 2).reshape(DIM, 16 * UNITS)
    expected = misalignment(np.eye(DIM), filters @ filters.T / (16 * UNITS))
    floor = misalignment_floor(DIM, 16 * UNITS, 400, seed=0).mean()
    assert case.ratios[16].shape == (NETWORKS // 16,)
    assert case.ratios[16][1] == pytest.approx(expected / floor)
    assert sorted(case.ratios) == [1, 2, 4, 8, 16, 32, 64]


@pytest.mark.parametrize("study", [fig20.STUDY, proposition1.STUDY], ids=lambda study: study.name)
def test_what_is_read_from_a_run_agrees_with_its_weights(tmp_path, quick, study):
    stage = study.stages[0]
    with quick():
        train(stage_config(stage, tmp_path, "smoke", ""), tmp_path / stage.name)
        analyze(tmp_path / stage.name, layers=stage.analyze)
    results = load_results(dataclasses.replace(study, stages=(stage,)), tmp_path)
    run, data = results.runs[stage.name], results.alignments[stage.name].data["dense1"]
    kernels = run.params(run.steps[-1])["dense1"]["kernel"].astype(float)
    sigma_w = kernels @ kernels.swapaxes(-1, -2) / kernels.shape[-1]
    found = study.read(results)[stage.name]
    if study is fig20.STUDY:
        smallest = data.eigenvectors[:, -1]
        expected = np.sqrt(np.einsum("i,nij,j->n", smallest, sigma_w, smallest))
        np.testing.assert_allclose(found.at(min(found.diagonal)), expected, rtol=1e-6)
        assert list(found.epochs) == [0, 1, 2]
    else:
        floor = misalignment_floor(DIM, kernels.shape[-1], 400, seed=0).mean()
        expected = misalignment(data.eigenvectors, sigma_w) / floor
        np.testing.assert_allclose(found.ratios[1], expected, rtol=1e-6)
        last = run.metrics[-1]["train_accuracy"]
        assert found.accuracy == pytest.approx(np.mean(last))
