"""Gains over scratch and the studies that are made of them, on planted curves."""

from pathlib import Path

import numpy as np
import pytest
from planted import SEED_FACTORS, planted_rates, planted_run, read_planted

from randlabels.studies.declare import Results
from randlabels.studies.families import set_layers
from randlabels.studies.inference import t_interval
from randlabels.studies.paper import fig6, table1
from randlabels.studies.questions import init_ladder, layers
from randlabels.studies.readouts.cells import gain_rows, interval
from randlabels.studies.readouts.curves import read_curves
from randlabels.studies.readouts.gains import bars

SCRATCH = {"arm": "scratch", "curve": None, "layers": None}


def test_gain_is_the_mean_difference_over_steps():
    run = planted_run([{"arm": "scratch"}, {"arm": "pretrained"}], lambda _: 0.07)
    ours, scratch = read_curves(run, "pretrained"), read_curves(run, "scratch")
    np.testing.assert_allclose(ours.gain_over(scratch), 0.07 * SEED_FACTORS)
    np.testing.assert_allclose(scratch.gain_over(ours), -0.07 * SEED_FACTORS)
    low, high = t_interval(0.07 * SEED_FACTORS)
    (values, drawn) = bars({"ours": ours.gain_over(scratch)})["ours"]
    np.testing.assert_allclose(values, 0.07 * SEED_FACTORS)
    assert drawn == pytest.approx((low, high))
    (row,) = gain_rows({"ours": ours}, scratch, level=0.3)
    assert (
        row["gain over scratch"] == f"{0.07 * SEED_FACTORS.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
    )
    assert row["test accuracy at the end"].startswith(
        f"{(0.4 + 0.14 * SEED_FACTORS.mean()) / 2:.3f}"
    )


GAINS = {
    "scratch": 0.01,
    "aligned_1": 0.02,
    "aligned_4": 0.06,
    "pretrained": 0.03,
    "procrustes_covariance": 0.09,
    "shuffled": -0.02,
}


def rated_runs(study):
    """The stages of fig6 or table1 in which starts have several learning rates."""
    return {
        f"{task}_rates": planted_rates(study.STARTS, best, set_layers.RATES, GAINS)
        for task, best in study.BEST.items()
    }


@pytest.mark.parametrize("study", [fig6, table1])
def test_each_start_is_compared_at_its_best_rate(study, monkeypatch):
    """Whatever the rates are that are declared; scratch has one of its own."""
    best = dict(zip(study.STARTS, set_layers.RATES, strict=False))
    for task in study.BEST:
        monkeypatch.setitem(study.BEST, task, best)
    runs = {stage.name: None for stage in study.STUDY.stages} | rated_runs(study)
    monkeypatch.setattr(set_layers, "_read", lambda run, way: None)
    reading = study.STUDY.read(Results(Path("x"), runs, {}))
    claimed = {c.name: c.of(reading) for c in study.STUDY.claims if c.name.endswith("_best")}
    expected = {
        "4": 0.05,
        "4_over_1": 0.04,
        "pretrained": 0.02,
        "procrustes_covariance": 0.08,
        "procrustes_over_shuffled": 0.11,
    }
    assert len(claimed) in (4, 6)
    for name, values in claimed.items():
        asked = name.removeprefix("small_").removeprefix("real_").removesuffix("_best")
        np.testing.assert_allclose(values, expected[asked] * SEED_FACTORS, err_msg=name)
    rows = set_layers.rates_table(reading)
    used = {(row["arm"], row["learning rate"]): row["used as"] for row in rows}
    assert used["scratch", "0.001"] == "best"
    assert used["scratch", "0.01"] == "common"


def test_figure_6_asks_for_the_gain_of_each_further_layer():
    starts = [
        {"arm": "aligned", "curve": curve, "layers": (f"first:{depth}",)}
        for depth in fig6.DEPTHS
        for curve in fig6.CURVES
    ]

    def gain_of(columns):
        depth = int(columns["layers"][0][-1])
        return 0.01 * depth**2 if columns["curve"] == fig6.CLAIMED else -0.5

    run = planted_run([SCRATCH, *starts], gain_of)
    runs = dict.fromkeys(fig6.VARIANTS, run) | rated_runs(fig6)
    reading, claimed = read_planted(fig6.STUDY, runs)
    np.testing.assert_allclose(claimed["real_3"], 0.09 * SEED_FACTORS)
    np.testing.assert_allclose(claimed["random_3_over_2"], 0.05 * SEED_FACTORS)
    for of in reading.at_one_rate.values():
        assert list(of.ways) == list(fig6.CURVES)
        assert {tuple(sets) for sets in of.ways.values()} == {(1, 2, 3, 4)}
    rows = fig6.STUDY.tables(reading)["gains"]
    assert len(rows) == len(fig6.VARIANTS) * len(fig6.CURVES)
    row = next(row for row in rows if row["f"] == fig6.CURVES[fig6.CLAIMED])
    assert row["4 layers"].startswith(f"{0.16 * SEED_FACTORS.mean():+.3f} ± ")


def test_layers_from_either_end():
    of_set = {f"first:{k}": 0.02 * k for k in range(1, 6)}
    of_set |= {f"last:{k}": 0.003 for k in range(1, 5)}
    starts = [{"arm": "pretrained", "layers": (name,)} for name in of_set]
    run = planted_run([SCRATCH, *starts], lambda columns: of_set[columns["layers"][0]])
    reading, claimed = read_planted(layers.STUDY, dict.fromkeys(set_layers.TASKS, run))
    np.testing.assert_allclose(claimed["real_first_5"], 0.1 * SEED_FACTORS)
    np.testing.assert_allclose(claimed["random_last_4"], 0.003 * SEED_FACTORS)
    np.testing.assert_allclose(claimed["real_first_not_last"], 0.037 * SEED_FACTORS)
    for of in reading.at_one_rate.values():
        assert of.start("last", 5) is of.start("first", 5)
        assert [list(sets) for sets in of.ways.values()] == [[1, 2, 3, 4, 5]] * 2


def test_table_1_lists_accuracies_at_shares_of_training():
    of_arm = {"pretrained": 0.1, "procrustes_covariance": 0.07, "by_rank": 0.04, "shuffled": 0.01}

    def run_of(arms):
        starts = [{"arm": arm, "layers": (f"first:{k}",)} for arm in arms for k in (1, 4)]
        return planted_run([SCRATCH, *starts], lambda columns: of_arm.get(columns["arm"], 0.1))

    runs = {stage: run_of(arms) for stage, arms in table1.ARMS.items()} | rated_runs(table1)
    reading, claimed = read_planted(table1.STUDY, runs)
    np.testing.assert_allclose(claimed["small_random_by_rank_1"], 0.04 * SEED_FACTORS)
    for stage in table1.ARMS:
        np.testing.assert_allclose(claimed[f"{stage}_shuffled_4"], 0.01 * SEED_FACTORS)
        over = claimed[f"{stage}_procrustes_over_shuffled_4"]
        np.testing.assert_allclose(over, 0.06 * SEED_FACTORS)
    assert "real_aligned_4" not in claimed
    matched = "real labels (output variance matched)"
    row = next(
        r
        for r in table1.STUDY.tables(reading)["accuracies"]
        if (r["downstream"], r["arm"], r["convolutions set"]) == (matched, "aligned", 4)
    )
    cells = (row["train, 50% of training"], row["test, 100% of training"])
    shown = [float(cell.split(" ")[0]) for cell in cells]
    wanted = [0.275 + 0.1 * SEED_FACTORS.mean(), 0.2 + 0.1 * SEED_FACTORS.mean()]
    assert shown == pytest.approx(wanted, abs=6e-4)


def planted_ladder():
    """Runs of init_ladder. Scratch is ahead by .04 at .03, orthogonal by .05, and pre-trained
    networks diverge at .1."""
    of_rate = {0.003: -0.05, 0.01: 0.0, 0.03: 0.04, 0.1: -0.1}

    def ahead(columns):
        arm, rate = columns["arm"], columns["learning_rate"]
        if arm == "orthogonal":
            return 0.02 + rate
        if arm == "pretrained" and rate == 0.1:
            return np.nan
        scale = columns.get("init_scale", 0.526) - 0.526
        return {"scratch": 0, "pretrained": 0.3}.get(arm, 0.1) + scale + of_rate[rate]

    runs = {}
    for stage in ("ladder", "from_real", "by_norm", "scales"):
        starts = [rung.start for rung in init_ladder.RUNGS.values() if rung.stage == stage]
        starts = [
            {"arm": "scratch"} | ({"init_scale": 0.526} if stage == "scales" else {}),
            *starts,
        ]
        rates = [s | {"learning_rate": rate} for s in starts for rate in init_ladder.RATES]
        runs[stage] = planted_run(rates, ahead, of_scratch=ahead)
    return runs


def test_each_rung_of_init_ladder_is_compared_with_scratch_of_its_own_run():
    _, claimed = read_planted(init_ladder.STUDY, planted_ladder())
    np.testing.assert_allclose(claimed["orthogonal"], 0.03 * SEED_FACTORS)
    np.testing.assert_allclose(claimed["pretrained_real"], 0.3 * SEED_FACTORS)
    np.testing.assert_allclose(claimed["lecun"], (1 - 0.526) * SEED_FACTORS)


def test_each_rung_of_init_ladder_has_the_best_rate_for_itself_and_scratch_too():
    reading, claimed = read_planted(init_ladder.STUDY, planted_ladder())
    np.testing.assert_allclose(claimed["orthogonal_tuned"], (0.05 - 0.04) * SEED_FACTORS)
    np.testing.assert_allclose(claimed["pretrained_real_tuned"], 0.3 * SEED_FACTORS)
    rows = init_ladder.STUDY.tables(reading)["ladder"]
    rates = {row["start"]: row["learning rate"] for row in rows}  # of the second row of each
    other = {rung.label: f"{rung.best:g}" for rung in init_ladder.RUNGS.values()}
    assert rates == {"scratch": "0.03", **other}
    assert (rates["orthogonal"], rates["He's scale in all layers"]) == ("0.03", "0.003")
    assert [row["learning rate"] for row in rows[:2]] == ["0.01", "0.03"]


@pytest.mark.parametrize("count", [1, 3])
def test_an_interval_needs_two_seeds(count):
    low, high = interval(np.arange(count, dtype=float))
    assert np.isnan(low) == np.isnan(high) == (count == 1)
