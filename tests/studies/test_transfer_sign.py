"""Studies fig1, fig7, fig8 and critical: their measures on planted curves."""

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from randlabels.analysis.activity import UnitActivity
from randlabels.analysis.selectivity import UnitSelectivity
from randlabels.figures import activity_curves, gap_curves
from randlabels.networks import Network
from randlabels.runs import Run
from randlabels.studies import find_study
from randlabels.studies.declare import Results
from randlabels.studies.families import two_settings, whole_networks
from randlabels.studies.families.two_settings import RATES, SETTINGS
from randlabels.studies.families.whole_networks import ARMS, COPIED
from randlabels.studies.paper import fig1, fig7, fig8
from randlabels.studies.questions import critical
from randlabels.studies.resolve import stage_config
from randlabels.studies.verdicts import judge
from randlabels.training.check import check

NAMES = ("fig1", "fig7", "fig8", "critical")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("budget", ["full", "short", "smoke"])
def test_every_config_is_valid(name, budget):
    for stage in find_study(name).stages:
        config = check(stage_config(stage, Path("study"), budget, ""))
        assert config.population.seeds == (2 if budget == "smoke" else 6)
        assert (config.init.run == "") == (stage.reads == "")
        if stage.reads:
            assert dict(config.population.sweep)["optimizer.learning_rate"] == RATES
            assert config.optimizer.learning_rate in RATES


@pytest.mark.parametrize("best", [two_settings.BEST, fig8.BEST_RATES, critical.BEST_RATES])
def test_every_arm_has_a_best_rate_that_is_trained(best):
    for of_stage in best.values():
        assert set(of_stage) == set(ARMS)
        assert set(np.ravel(list(of_stage.values()))) <= set(RATES)


@pytest.mark.parametrize(("name", "shared"), [("fig7", 4), ("fig8", 2), ("critical", 1)])
def test_stages_that_fig1_has_too_can_be_copied_from_it(name, shared):
    def configs(name):
        return {s.name: stage_config(s, Path("x"), "short", "") for s in find_study(name).stages}

    whole = configs("fig1")
    assert sum(config == whole.get(stage) for stage, config in configs(name).items()) == shared


@pytest.mark.parametrize("budget", ["full", "short"])
def test_critical_starts_from_checkpoints_that_upstream_keeps(budget):
    for setting in critical.SETTINGS:
        stages = {stage.name: stage for stage in critical.STUDY.stages}
        upstream = stage_config(stages[setting], Path("study"), budget, "")
        config = stage_config(stages[f"{setting}_real"], Path("study"), budget, "")
        per_epoch = upstream.data.upstream_size // upstream.train.batch_size
        kept = [per_epoch * epoch for epoch in upstream.train.checkpoint_epochs]
        steps = dict(config.population.sweep)["init.step"]
        assert len(steps) == 3
        assert set(steps) <= set(kept)
        assert steps[0] > 0
        assert steps[-1] == per_epoch * upstream.train.epochs


STEPS = [0, 10, 20, 30]
SLOW, FAST = [0.1, 0.1, 0.3, 0.5], [0.1, 0.5, 0.7, 0.9]
DEAD = [0.1, 0.1, 0.1, 0.1]
AREA = (0.2 + 0.4 + 0.4) / 3  # of FAST above SLOW, by hand: differences 0, .4, .4, .4
RISE = (0.0 + 0.1 + 0.3) / 3  # of SLOW above DEAD: differences 0, 0, .2, .4


def planted_run(starts, common=0.003, seeds=3):
    """A run of networks with ({column: value}, accuracy at STEPS), each curve for every seed.

    Seed k's curve lies .01 k above that of seed 0.
    """
    networks, values = [], []
    for columns, curve in starts:
        for seed in range(seeds):
            networks.append(Network(network=len(networks), seed=seed, **columns))
            values.append(np.array(curve) + 0.01 * seed)
    metrics = [
        {
            "step": step,
            "epoch": k,
            "train_accuracy": [float(v[k]) for v in values],
            "test_accuracy": [float(v[k]) / 2 for v in values],
        }
        for k, step in enumerate(STEPS)
    ]
    config = {
        "data": {"upstream_size": 10},
        "train": {"task": "upstream", "batch_size": 1},
        "optimizer": {"learning_rate": common},
        "labels": {"num_classes": 10},
    }
    return Run(Path("planted"), config, tuple(networks), metrics, {}, ())


def claimed(study, runs):
    """{claim: its values} of a study, from planted runs."""
    found = study.read(Results(Path("x"), runs, {}))
    return {claim.name: claim.of(found) for claim in study.claims}


# No arm's best rate is the common one, .003.
BEST = {"scratch": 0.001, "pretrained": 0.01, "pretrained_unscaled": 0.001}
HELPS = {"scratch": SLOW, "pretrained": FAST, "pretrained_unscaled": FAST}
HURTS = {"scratch": FAST, "pretrained": SLOW, "pretrained_unscaled": SLOW}
AT_CHANCE = dict.fromkeys(ARMS, DEAD)


def at_rates(at_best, at_common=AT_CHANCE):
    """Networks of each arm with one curve at its best rate, one at .003, and DEAD at the third."""
    return [
        (
            {"arm": arm, "learning_rate": rate},
            at_common[arm] if rate == 0.003 else at_best[arm] if rate == BEST[arm] else DEAD,
        )
        for arm in ARMS
        for rate in RATES
    ]


def with_best(study, stages):
    """A study of curves by stage, with BEST for every stage."""
    best = dict.fromkeys(stages, BEST)
    return dataclasses.replace(study, read=partial(whole_networks.read_cases, best=best))


@pytest.mark.parametrize("hurts_where", ["at the common rate", "at the best"])
def test_fig1_gaps_at_the_common_rate_and_at_the_best(hurts_where):
    """Pre-training that hurts at one choice of rates and helps at the other is told apart."""
    common, best = (HURTS, HELPS) if hurts_where == "at the common rate" else (HELPS, HURTS)
    run = planted_run(at_rates(best, common))
    runs = dict.fromkeys(two_settings.BEST, run)
    found = claimed(with_best(fig1.STUDY, runs), runs)
    tested = {name: found.pop(name) for name in list(found) if name.endswith("_test")}
    assert list(tested) == [f"{setting}_real_pretrained_unscaled_test" for setting in SETTINGS]
    for values in tested.values():
        lost = (0.9 - 0.5) / 2 * (1 if best is HURTS else -1)
        np.testing.assert_allclose(values, lost)
    assert len(found) == 2 * 2 * 2 * 2
    for name, values in found.items():
        hurts = (hurts_where == "at the common rate") == name.endswith("_common")
        claims_to_help = name.startswith("positive")
        np.testing.assert_allclose(values, AREA if claims_to_help != hurts else -AREA)


def test_fig1_tables_show_every_rate_and_which_is_used():
    run = planted_run(at_rates(HELPS))
    runs = dict.fromkeys(two_settings.BEST, run)
    study = with_best(fig1.STUDY, runs)
    tables = study.tables(study.read(Results(Path("x"), runs, {})))
    assert len(tables["rates"]) == 4 * 3 * 3
    row = tables["rates"][5]
    assert (row["arm"], row["learning rate"], row["used as"]) == ("pretrained", "0.01", "best")
    assert tables["rates"][4]["used as"] == "common"
    assert tables["rates"][3]["used as"] == ""
    assert row["steps to 50%"].startswith("10 ")
    assert len(tables["gains"]) == 4 * 2
    assert tables["gains"][0]["gain each at its best rate"].startswith(f"{AREA:+.3f}")
    assert tables["gains"][0]["gain at the common rate"].startswith("+0.000")


def test_fig8_gap_by_width():
    stages = {fig8.STANDARD: HURTS, fig8.WIDE: HELPS | {"pretrained": SLOW}}
    runs = {stage: planted_run(at_rates(curves)) for stage, curves in stages.items()}
    found = claimed(with_best(fig8.STUDY, runs), runs)
    for arm, wide in (("pretrained", 0), ("pretrained_unscaled", AREA)):
        np.testing.assert_allclose(found[f"{arm}_hurts_at_standard_width"], AREA)
        np.testing.assert_allclose(found[f"{arm}_better_when_wide"], AREA + wide)
        np.testing.assert_allclose(found[f"{arm}_helps_when_wide"], wide, atol=1e-12)
    assert len(found) == 6
    assert [s.name for s in fig8.STUDY.stages if s.changes.get("model.last_width")] == [
        "wide",
        "wide_real",
    ]


def test_critical_benefit_by_length_is_at_the_best_rate_of_each(monkeypatch):
    """Early as DEAD, in the middle as FAST, at the end as scratch; the other arm has its own."""
    curves = {
        "pretrained": {50: SLOW, 100: FAST, 0: FAST},
        "pretrained_unscaled": {50: FAST, 0: DEAD, 100: SLOW},
    }
    steps = (0, 50, 100)
    rates = {"scratch": (0.003,) * 3} | dict.fromkeys(COPIED, (0.001, 0.003, 0.01))
    monkeypatch.setattr(critical, "BEST_RATES", dict.fromkeys(critical.SETTINGS, rates))
    starts = [({"arm": "scratch", "learning_rate": r}, SLOW if r == 0.003 else FAST) for r in RATES]
    for arm, by_step in curves.items():
        for step, best in zip(steps, rates[arm], strict=True):
            starts += [
                (
                    {"arm": arm, "source_step": step, "learning_rate": r},
                    by_step[step] if r == best else [0, 0, 0, 0],
                )
                for r in RATES
            ]
    runs = {f"{setting}_real": planted_run(starts) for setting in critical.SETTINGS}
    runs |= dict.fromkeys(critical.SETTINGS, planted_run([({"arm": "scratch"}, FAST)]))
    found = critical.STUDY.read(Results(Path("x"), runs, {}))["positive"]
    np.testing.assert_array_equal(found.epochs, [0, 5, 10])  # of 10 steps
    expected = np.array([-RISE, AREA, 0])
    benefits = found.benefits("pretrained_unscaled")
    np.testing.assert_allclose(benefits, np.repeat(expected[:, None], 3, axis=1), atol=1e-12)
    measured = claimed(critical.STUDY, runs)
    np.testing.assert_allclose(measured["positive_grows"], RISE)
    np.testing.assert_allclose(measured["early_stage_hurts"], RISE)
    np.testing.assert_allclose(measured["hot_recovers"], RISE)
    np.testing.assert_allclose(measured["rescaling_hurts_at_the_end"], -AREA)


def planted_units(setting, learned=0.0, control=0.0, familiar=(0.0, 0.0), switch=0.5):
    """Units of fig7 with known means over late units, two seeds, the second .01 higher."""

    def layers(make):
        # Late means are over all units: conv12 has two, of half and one and a half the mean.
        shares = {"conv1": [9.0], "conv11": [1.0], "conv12": [0.5, 1.5], "conv13": [1.0]}
        return {layer: make(np.array(of)) for layer, of in shares.items()}

    def seeds(mean, of):
        return np.stack([mean * of, (mean + 0.01) * of])

    activity = {
        moment: layers(lambda of, mean=mean: UnitActivity(*[seeds(mean, of)] * 3))
        for moment, mean in ((fig7.START, 0.5), (fig7.SWITCH, switch))
    }
    selectivity = {
        moment: layers(
            lambda of, k=k: UnitSelectivity(
                seeds(k * learned, of), seeds(k * control, of), seeds(familiar[k], of)
            )
        )
        for k, moment in enumerate((fig7.START, fig7.LEARNED))
    }
    run = planted_run(at_rates(HURTS if setting == "negative" else HELPS))
    at = whole_networks.read_cases(Results(Path("x"), {"s": run}, {}), {"s": BEST})["s"]
    return fig7.Units(activity, selectivity, at)


def test_fig7_claims_of_planted_units():
    reading = {
        "positive": planted_units("positive", familiar=(0.01, 0.03), switch=0.4),
        "negative": planted_units("negative", 0.3, 0.1, familiar=(0.02, 0.15), switch=0.2),
    }
    found = {claim.name: claim.of(reading) for claim in fig7.STUDY.claims}
    expected = {
        "late_units_tell_learned_labels": 0.3 - 0.1,
        "late_units_tell_trained_images": 0.15 - 0.02,
        "late_units_silent_on_new_task": 0.5 - 0.2,
        "more_silent_than_positive": 0.4 - 0.2,
        "more_specialised_than_positive": 0.15 - 0.03,
        "negative_hurts": AREA,
    }
    assert list(found) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, err_msg=name)


def test_fig7_late_units_are_all_units_of_the_last_convolutions():
    layers = {"conv1": [[1.0]], "conv11": [[0.2]], "conv12": [[0.4, 0.6]], "conv13": [[0.0]]}
    np.testing.assert_allclose(fig7.late({k: np.array(v) for k, v in layers.items()}), [0.3])


def test_activity_curves_are_sorted_in_each_network():
    rank, mean = activity_curves.sorted_curve(np.array([[0.1, 0.9, 0.5], [0.7, 0.0, 0.2]]))
    np.testing.assert_allclose(rank, [1 / 6, 1 / 2, 5 / 6])
    np.testing.assert_allclose(mean, [0.8, 0.35, 0.05])
    moments = {
        m: {"conv1": np.array([[0.1, 0.9]]), "conv2": np.ones((1, 3))}
        for m in (fig7.START, fig7.END)
    }
    figure = activity_curves.plot(moments)
    panels = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in panels] == ["conv1", "conv2"]
    np.testing.assert_allclose(panels[0].lines[0].get_ydata(), [0.9, 0.1])


def test_gap_curves_draw_means_and_seeds():
    gaps = {"pretrained": np.array([[0.0, 0.2], [0.4, 0.8]])}
    figure = gap_curves.plot({"case": (np.array([1, 4]), gaps)}, "width", scale="log")
    mean, *seeds = figure.axes[0].lines
    np.testing.assert_allclose(mean.get_ydata(), [0.1, 0.6])
    assert sorted(line.get_ydata()[1] for line in seeds if len(line.get_ydata()) == 2)[-1] == 0.8


@pytest.mark.parametrize(("study", "hurts"), [(fig7.STUDY, "negative_hurts"), (fig8.STUDY, None)])
def test_what_goes_with_negative_transfer_is_asked_only_where_there_is_one(study, hurts):
    names = list(study.primary)
    hurts = hurts or names[0]
    assert names[0] == hurts
    assert all(rule.premise == hurts for rule in list(study.primary.values())[1:])
    claims = [dataclasses.replace(c, of=lambda f, n=c.name: f[n]) for c in study.claims]
    noise = 0.01 * np.array([1, -1, 2, -2, 1.5, -1.5])
    there = {claim.name: 0.3 + noise for claim in claims}
    outcomes = {v.name: v.outcome for v in judge(claims, study.primary, there)}
    assert [outcomes[name] for name in names] == ["supported"] * len(names)
    outcomes = {
        v.name: v.outcome for v in judge(claims, study.primary, there | {hurts: -there[hurts]})
    }
    assert [outcomes[name] for name in names[1:]] == ["not tested"] * (len(names) - 1)
