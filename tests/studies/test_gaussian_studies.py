"""Studies fig20 and proposition1: their claims on planted layers, and on a run of one stage."""

import dataclasses

import numpy as np
import pytest

from randlabels.analysis.run_analysis import analyze
from randlabels.eigen import misalignment, misalignment_floor
from randlabels.studies.paper import fig20, proposition1
from randlabels.studies.readouts.stopped_maps import StoppedMaps
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


EPOCHS = np.array([0, 2, 4, 8])
STARTS, LEARNS, NEVER = [0.1, 0.4, 0.95, 1.0], [0.1, 0.3, 0.5, 0.95], [0.1, 0.2, 0.3, 0.4]


def planted_cell(points, train, factors, networks=6):
    """Nearly equal networks whose f is the paper's times a factor for each checkpoint."""
    entries, f = np.array(list(points)), np.array(list(points.values()))
    seeds = 1 + 0.001 * np.linspace(-1, 1, networks)[:, None, None]
    maps = seeds * np.array(factors)[:, None] * f
    accuracy = np.tile(train, (networks, 1))
    return StoppedMaps(fig20.ACCURACY, entries, EPOCHS, accuracy, maps, np.full(networks, 0.5))


def planted_panels():
    """The rule stops at 10% above the paper with standard deviations, at 30% with variances and
    at 20% with the narrow layers; the rate that is fitted is another, where it has not learned."""
    panels = {}
    for stage, setting in fig20.SETTING_OF.items():
        off = 1.3 if stage.endswith("variances") else 1.2 if setting == "middle_256" else 1.1
        points = fig20.PAPER[setting]
        rates = {
            0.01: planted_cell(points, LEARNS, (0.9, 0.9, 0.9, 0.98)),
            0.02: planted_cell(points, STARTS, (0.9, 0.9, off, 1.5)),
            0.04: planted_cell(points, NEVER, (0.9, 0.9, 1.0, 0.9)),
        }
        panels[stage] = fig20.Panel(rates, points)
    return panels


def test_fig20_supports_the_shapes_of_the_papers_curves_and_the_nearer_reading():
    verdicts = verdicts_of(fig20.STUDY, planted_panels())
    assert supported(fig20.STUDY, verdicts)
    expected = 1.3 * (0.207 - 0.163) * (1 + 0.001 * np.linspace(-1, 1, 6))
    np.testing.assert_allclose(verdicts["middle_falls_variances"].values, expected)
    expected *= (1.3 - 0.9) / 1.3  # what is there at initialisation was not learned
    np.testing.assert_allclose(verdicts["middle_falls_variances_learned"].values, expected)
    assert verdicts["left_reading"].value == pytest.approx(0.2)
    assert verdicts["middle_width"].value == pytest.approx(0.1)


def test_fig20_claims_nothing_where_no_rate_satisfies_the_rule():
    panels = planted_panels()
    rates = panels["right_variances"].rates
    panels["right_variances"] = fig20.Panel({0.04: rates[0.04]}, fig20.PAPER["right"])
    verdicts = verdicts_of(fig20.STUDY, panels)
    unknown = {name for name, verdict in verdicts.items() if not verdict.seeds}
    shape = "right_rises_variances"
    assert unknown == {shape, f"{shape}_learned", "right_reading"}
    rows = fig20.STUDY.tables(panels)
    assert rows["fitted"][-1]["distance to the paper, by the rule"] == "none"
    drawn = fig20.STUDY.figures({"right_variances": panels["right_variances"]})
    labels = [line.get_label() for line in drawn["fig20"][0].axes[0].lines]
    assert labels == ["at initialisation", "fitted", "paper"]


def test_fig20_chooses_a_rate_without_the_papers_numbers_and_calls_the_nearest_fitted():
    tables = fig20.STUDY.tables(planted_panels())
    assert len(tables["maps"]) == 2 * 10
    row = tables["maps"][0]
    assert [row[f"f, {of}"][:5] for of in ("paper", "by the rule", "fitted")] == [
        "0.381", "0.419", "0.381",
    ]  # fmt: skip
    assert len(tables["rates"]) == 2 * 4 * 3
    slow, chosen, never = tables["rates"][:3]
    assert [row["chosen"] for row in (slow, chosen, never)] == ["", "by the rule", ""]
    assert [row["reach 90%"] for row in (slow, chosen, never)] == [6, 6, 0]
    assert chosen["distance to the paper at the stop"].startswith("10.0% [9.9%, 10.1%]")
    assert never["distance to the paper at the stop"] == "none"
    assert never["epochs to 90%"] == "not reached by 6 of 6"
    fitted = tables["fitted"][0]
    assert (fitted["learning rate, fitted"], fitted["epoch, fitted"]) == ("0.04", 4)
    assert fitted["train accuracy there"] == "0.300 ± 0.000"


def test_fig20_shows_the_rule_the_fit_and_the_paper():
    drawn = fig20.STUDY.figures(planted_panels())
    maps, distances = (drawn[name][0].axes[0] for name in ("fig20", "fig20_distances"))
    lines = {line.get_label(): line.get_ydata() for line in maps.lines}
    np.testing.assert_allclose(lines["paper"], [0.381, 0.316])
    np.testing.assert_allclose(lines["by the rule"], 1.1 * lines["paper"])
    np.testing.assert_allclose(lines["fitted"], lines["paper"])
    by_rate = {line.get_label(): line.get_ydata() for line in distances.lines}
    np.testing.assert_allclose(by_rate["rate 0.02"], [0.1, 0.1, 0.1, 0.5])
    star = next(line for line in distances.lines if line.get_marker() == "*")
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (4, pytest.approx(0.0004, abs=3e-4))
    rings = [line for line in distances.lines if line.get_markersize() == 12]
    assert [(ring.get_xdata()[0], ring.get_ydata()[0]) for ring in rings] == [
        (4, pytest.approx(0.1))
    ]


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
    assert sorted(case.ratios) == [1, 2, 4, 8, 16, 32, 64, NETWORKS]


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
        rows = [row.network for row in run.networks if row.learning_rate == 0.02]
        cell = found.rates[0.02]
        np.testing.assert_allclose(cell.kept_at(1.0)[:, -1], expected[rows], rtol=1e-6)
        assert list(cell.epochs) == [0, 6, 12, 24]
        last = run.metrics[-1]
        assert list(cell.train[:, -1]) == [last["train_accuracy"][k] for k in rows]
        assert list(cell.dead) == [last["dead"]["dense2"][k] for k in rows]
    else:
        floor = misalignment_floor(DIM, kernels.shape[-1], 400, seed=0).mean()
        expected = misalignment(data.eigenvectors, sigma_w) / floor
        np.testing.assert_allclose(found.ratios[1], expected, rtol=1e-6)
        last = run.metrics[-1]["train_accuracy"]
        assert found.accuracy == pytest.approx(np.mean(last))
