"""Gains over scratch and the studies that are made of them, on planted curves."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from randlabels.networks import Network
from randlabels.runs import Run
from randlabels.studies import fig6, gains, init_ladder, layers, table1
from randlabels.studies.study import Results
from randlabels.studies.verdicts import bootstrap_mean

SEEDS = 4
STEPS = np.array([0, 10, 20])


def planted_run(starts, gain_of):
    """A run in which each start is ahead of scratch by a known gain, and seeds differ.

    starts: columns of the network table; gain_of(columns) is what the mean over steps is ahead.
    """
    networks, values = [], []
    for columns in starts:
        for seed in range(SEEDS):
            networks.append(Network(network=len(networks), seed=seed, **columns))
            base = np.array([0.1, 0.2 + 0.05 * seed, 0.4])
            ahead = 0 if columns["arm"] == "scratch" else gain_of(columns) * (1 + 0.01 * seed)
            values.append(base + ahead * np.array([0, 1, 2]))  # mean over steps: ahead
    metrics = [
        {
            "step": int(step),
            "train_accuracy": [v[i] for v in values],
            "test_accuracy": [v[i] / 2 for v in values],
        }
        for i, step in enumerate(STEPS)
    ]
    return Run(Path("x"), {}, tuple(networks), metrics, {}, ())


def results(runs):
    return Results(Path("x"), runs, {})


SEED_FACTORS = 1 + 0.01 * np.arange(SEEDS)


def test_gain_is_the_mean_difference_over_steps():
    run = planted_run([{"arm": "scratch"}, {"arm": "pretrained"}], lambda _: 0.07)
    np.testing.assert_allclose(gains.gain(run, "pretrained"), 0.07 * SEED_FACTORS)
    np.testing.assert_allclose(gains.gain(run, "scratch", "pretrained"), -0.07 * SEED_FACTORS)
    (row,) = gains.rows(run, {"ours": "pretrained"}, level=0.3)
    low, high = bootstrap_mean(0.07 * SEED_FACTORS)
    assert (
        row["gain over scratch"] == f"{0.07 * SEED_FACTORS.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
    )
    assert row["test accuracy at the end"].startswith(
        f"{(0.4 + 0.14 * SEED_FACTORS.mean()) / 2:.3f}"
    )


def test_figure_6_asks_for_the_gain_of_each_further_layer():
    starts = [{"arm": "scratch", "curve": None, "layers": None}] + [
        fig6.start(curve, depth) for curve in fig6.CURVES for depth in fig6.DEPTHS
    ]

    def gain_of(columns):
        depth = int(columns["layers"][0][-1])
        return 0.01 * depth**2 if columns["curve"] == fig6.CLAIMED else -0.5

    run = planted_run(starts, gain_of)
    found = fig6.measure(results(dict.fromkeys(fig6.TASKS, run)))
    assert set(found) == {claim.measure for claim in fig6.STUDY.claims}
    np.testing.assert_allclose(found["real_3"], 0.09 * SEED_FACTORS)
    np.testing.assert_allclose(found["random_3_over_2"], 0.05 * SEED_FACTORS)
    assert fig6.tried(run) == (list(fig6.CURVES), [1, 2, 3, 4])


def test_layers_from_either_end():
    starts = [{"arm": "scratch", "layers": None}]
    starts += [layers.start("first", k) for k in range(1, 6)]
    starts += [layers.start("last", k) for k in range(1, 5)]
    of_set = {f"first:{k}": 0.02 * k for k in range(1, 6)} | {
        f"last:{k}": 0.003 for k in range(1, 5)
    }
    run = planted_run(starts, lambda columns: of_set[columns["layers"][0]])
    found = layers.measure(results(dict.fromkeys(layers.TASKS, run)))
    assert set(found) == {claim.measure for claim in layers.STUDY.claims}
    np.testing.assert_allclose(found["real_first_5"], 0.1 * SEED_FACTORS)
    np.testing.assert_allclose(found["random_last_4"], 0.003 * SEED_FACTORS)
    np.testing.assert_allclose(found["real_first_not_last"], 0.037 * SEED_FACTORS)
    assert layers.start("last", 5) == layers.start("first", 5)


def test_table_1_lists_accuracies_at_shares_of_training():
    starts = [{"arm": "scratch", "layers": None}]
    starts += [table1.start(arm, depth) for arm in table1.ARMS for depth in table1.DEPTHS]
    run = planted_run(starts, lambda columns: 0.1)
    runs = results(dict.fromkeys(table1.TASKS, run))
    assert {claim.measure for claim in table1.STUDY.claims} <= set(table1.measure(runs))
    row = next(
        r
        for r in table1.summary(runs)
        if (r["downstream"], r["arm"], r["convolutions set"]) == ("real labels", "aligned", 2)
    )
    cells = (row["train, 50% of training"], row["test, 100% of training"])
    shown = [float(cell.split(" ")[0]) for cell in cells]
    wanted = [0.275 + 0.1 * SEED_FACTORS.mean(), 0.2 + 0.1 * SEED_FACTORS.mean()]
    assert shown == pytest.approx(wanted, abs=6e-4)


def planted_ladder():
    """Runs of init_ladder. Scratch ("x" until the end) is best at .03, orthogonal at .1, where
    pre-trained networks diverge."""
    of_rate = {0.003: -0.05, 0.01: 0.0, 0.03: 0.04, 0.1: -0.1}

    def ahead(columns):
        arm, rate = columns["arm"], columns["learning_rate"]
        if arm == "orthogonal":
            return 0.02 + rate
        if arm == "pretrained" and rate == 0.1:
            return np.nan
        scale = columns.get("init_scale", 0.526) - 0.526
        return {"x": 0, "pretrained": 0.3}.get(arm, 0.1) + scale + of_rate[rate]

    runs = {}
    for stage in ("ladder", "from_real", "by_norm", "scales"):
        starts = [start for _, of, start in init_ladder.RUNGS.values() if of == stage]
        starts = [
            {"arm": "scratch"} | ({"init_scale": 0.526} if stage == "scales" else {}),
            *starts,
        ]
        starts = [s | {"arm": "x"} if s["arm"] == "scratch" else s for s in starts]
        rates = [s | {"learning_rate": rate} for s in starts for rate in init_ladder.RATES]
        runs[stage] = planted_run(rates, ahead)
        rows = [
            dataclasses.replace(row, arm=row.arm.replace("x", "scratch"))
            for row in runs[stage].networks
        ]
        runs[stage] = dataclasses.replace(runs[stage], networks=tuple(rows))
    return results(runs)


def test_each_rung_is_compared_with_scratch_of_its_own_run():
    found = init_ladder.measure(planted_ladder())
    assert set(found) == {claim.measure for claim in init_ladder.STUDY.claims}
    np.testing.assert_allclose(found["orthogonal"], 0.03 * SEED_FACTORS)
    np.testing.assert_allclose(found["pretrained_real"], 0.3 * SEED_FACTORS)
    np.testing.assert_allclose(found["lecun"], (1 - 0.526) * SEED_FACTORS)


def test_each_rung_has_the_best_rate_for_itself_and_scratch_too():
    found = init_ladder.measure(planted_ladder())
    np.testing.assert_allclose(found["orthogonal_tuned"], (0.12 - 0.04) * SEED_FACTORS)
    np.testing.assert_allclose(found["pretrained_real_tuned"], 0.3 * SEED_FACTORS)
    rows = init_ladder.summary(planted_ladder())
    rates = {row["start"]: row["learning rate"] for row in rows}  # of the second row of each
    assert rates["orthogonal"] == "0.1"
    assert rates["scratch"] == rates["pre-trained on real labels"] == "0.03"
    assert [row["learning rate"] for row in rows[:2]] == ["0.01", "0.03"]


@pytest.mark.parametrize("count", [1, 3])
def test_an_interval_needs_two_seeds(count):
    low, high = gains.interval(np.arange(count, dtype=float))
    assert np.isnan(low) == np.isnan(high) == (count == 1)
