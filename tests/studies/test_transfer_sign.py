"""Studies fig1, fig7, fig8 and critical: a smoke run of fig1, and measures on planted curves."""

import json
from pathlib import Path

import numpy as np
import pytest

from randlabels.analysis.activity import UnitActivity, activity_of_run
from randlabels.figures import activity_curves, gap_curves
from randlabels.models.naming import get_layer, layer_paths
from randlabels.networks import Network
from randlabels.runs import Run, load_run
from randlabels.studies import find_study
from randlabels.studies.declare import Results
from randlabels.studies.families.whole_networks import SETTINGS, TASKS
from randlabels.studies.paper import fig1, fig7, fig8
from randlabels.studies.questions import critical
from randlabels.studies.resolve import stage_config
from randlabels.studies.run import load_results, run_study
from randlabels.training.check import check
from randlabels.training.setup import prepare

NAMES = ("fig1", "fig7", "fig8", "critical")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("budget", ["full", "short", "smoke"])
def test_every_config_is_valid(name, budget):
    for stage in find_study(name).stages:
        config = check(stage_config(stage, Path("study"), budget, ""))
        assert config.population.seeds >= (2 if budget == "smoke" else 3)
        assert (config.init.run == "") == (stage.reads == "")


@pytest.mark.parametrize("budget", ["full", "short"])
def test_critical_starts_from_checkpoints_that_upstream_keeps(budget):
    for setting in SETTINGS:
        stages = {stage.name: stage for stage in critical.STUDY.stages}
        upstream = stage_config(stages[setting], Path("study"), budget, "")
        config = stage_config(stages[f"{setting}_real"], Path("study"), budget, "")
        per_epoch = upstream.data.upstream_size // upstream.train.batch_size
        kept = tuple(per_epoch * epoch for epoch in upstream.train.checkpoint_epochs)
        assert config.population.sweep == (("init.step", kept),)
        assert (kept[0], kept[-1], len(kept)) == (0, per_epoch * upstream.train.epochs, 5)


STEPS = [0, 10, 20, 30]
SLOW, FAST = [0.1, 0.1, 0.3, 0.5], [0.1, 0.5, 0.7, 0.9]


def planted_run(starts, seeds=3, metric="train_accuracy"):
    """A run of networks with ({column: value}, accuracy at STEPS), each curve for every seed.

    Seed k's curve lies .01 k above that of seed 0.
    """
    networks, values = [], []
    for columns, curve in starts:
        for seed in range(seeds):
            networks.append(Network(network=len(networks), seed=seed, **columns))
            values.append(np.array(curve) + 0.01 * seed)
    metrics = [
        {"step": step, "epoch": k, metric: [float(v[k]) for v in values]}
        for k, step in enumerate(STEPS)
    ]
    config = {"data": {"upstream_size": 10}, "train": {"task": "upstream", "batch_size": 1}}
    return Run(Path("planted"), config, tuple(networks), metrics, {}, ())


def claimed(study, runs):
    """{claim: its values} of a study, from planted runs."""
    found = study.read(Results(Path("x"), runs, {}))
    return {claim.name: claim.of(found) for claim in study.claims}


def arms(**curves):
    return planted_run([({"arm": arm}, curve) for arm, curve in curves.items()])


HELPS = {"scratch": SLOW, "pretrained": FAST, "pretrained_unscaled": SLOW}
HURTS = {"scratch": FAST, "pretrained": SLOW, "pretrained_unscaled": FAST}
AREA = (0.2 + 0.4 + 0.4) / 3  # of FAST above SLOW, by hand: differences 0, .4, .4, .4


def test_fig1_gaps_are_counted_in_the_direction_that_is_claimed():
    runs = {
        f"{setting}_{task}": arms(**(HELPS if setting == "positive" else HURTS))
        for setting in SETTINGS
        for task in TASKS
    }
    found = claimed(fig1.STUDY, runs)
    assert len(found) == 8
    for name, values in found.items():
        if name.endswith("area"):
            np.testing.assert_allclose(values, AREA)
    # Seed 0 reaches .5 at step 10 or 30, and .3 at step 5 or 20.
    for setting in SETTINGS:
        assert found[f"{setting}_real_steps"][0] == pytest.approx(3)
        assert found[f"{setting}_random_steps"][0] == pytest.approx(20 / 5)


def test_fig1_the_wrong_sign_is_below_the_threshold():
    runs = {f"{s}_{t}": arms(**HURTS) for s in SETTINGS for t in TASKS}
    found = claimed(fig1.STUDY, runs)
    assert found["positive_real_steps"].max() < 1 < found["negative_real_steps"].min()
    assert found["positive_real_area"].max() < 0 < found["negative_real_area"].min()


def test_fig8_gap_by_width():
    runs = {stage: arms(**(HELPS if w == 4 else HURTS)) for stage, w in fig8.WIDTHS.items()}
    found = claimed(fig8.STUDY, runs)
    np.testing.assert_allclose(found["negative_at_standard_width"], AREA)
    np.testing.assert_allclose(found["wider_is_better"], 2 * AREA)
    np.testing.assert_allclose(found["positive_at_width_4"], AREA)


def test_critical_benefit_by_length_comes_from_the_right_checkpoint():
    """At step 0 as scratch, best at step 50, and the other arm must not be mixed in."""
    starts = [({"arm": "scratch"}, SLOW)]
    for arm, curves in (
        ("pretrained", {50: FAST, 0: SLOW, 100: [0.1, 0.3, 0.5, 0.7]}),
        ("pretrained_unscaled", {50: SLOW, 0: FAST, 100: FAST}),
    ):
        starts += [({"arm": arm, "source_step": s}, curve) for s, curve in curves.items()]
    run, upstream = planted_run(starts), arms(learned=FAST)
    runs = dict.fromkeys(SETTINGS, upstream)
    runs |= {f"{setting}_real": run for setting in SETTINGS}
    found = critical.STUDY.read(Results(Path("x"), runs, {}))["positive"]
    np.testing.assert_array_equal(found.epochs, [0, 5, 10])  # of 10 steps
    expected = np.array([0, AREA, (0.1 + 0.2 + 0.2) / 3])
    np.testing.assert_allclose(
        found.benefits(), np.repeat(expected[:, None], 3, axis=1), atol=1e-12
    )
    measured = claimed(critical.STUDY, runs)
    np.testing.assert_allclose(measured["positive_grows"], expected[2] - expected[1])
    np.testing.assert_allclose(measured["negative_best_before_the_end"], expected[1] - expected[2])
    np.testing.assert_allclose(measured["negative_comes_from_rescaling"], AREA - expected[2])


def test_fig7_late_activity_is_of_all_units_of_the_last_convolutions():
    shares = {"conv1": [[1.0]], "conv11": [[0.2]], "conv12": [[0.4, 0.6]], "conv13": [[0.0]]}
    layers = {name: UnitActivity(*[np.array(v)] * 3) for name, v in shares.items()}
    np.testing.assert_allclose(fig7.late(layers), [0.3])


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


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, quick):
    """A smoke run of fig1, whose stages are also those of fig7."""
    directory = tmp_path_factory.mktemp("fig1")
    with quick():
        run_study(fig1.STUDY, directory, "smoke")
    return directory


def test_fig1_runs_to_its_page(workdir):
    verdicts = json.loads((workdir / "verdicts.json").read_text())["verdicts"]
    assert [v["name"] for v in verdicts] == [claim.name for claim in fig1.STUDY.claims]
    page = (workdir / "report.html").read_text()
    results = load_results(fig1.STUDY, workdir)
    assert page.count("data:image/png") == 3
    row = fig1.STUDY.tables(fig1.STUDY.read(results))["arms"][0]
    assert all(str(cell) in page for cell in row.values())
    for task in TASKS:
        assert results.runs[f"positive_{task}"].config["labels"]["kind"] == task


@pytest.fixture(scope="module")
def activities(workdir):
    """What fig7 reads of it."""
    return fig7.STUDY.read(load_results(fig7.STUDY, workdir))


def test_fig7_rescaling_changes_no_units_activity(workdir, activities):
    """At the switch units are active as after pre-training on the same images (relu)."""
    upstream, run = load_run(workdir / "positive"), load_run(workdir / "positive_real")
    before = activity_of_run(upstream, upstream.steps[-1], "downstream", networks=[0, 1])
    switch = activities["positive"][fig7.SWITCH]
    changed = False
    for layer, activity in before.items():
        np.testing.assert_allclose(switch[layer].share, activity.share, atol=2e-3)
        sizes = switch[layer].mean_absolute, activity.mean_absolute
        changed |= not np.allclose(*sizes, rtol=0.01)
    assert changed
    own = activity_of_run(upstream, upstream.steps[-1], networks=[0, 1])
    assert any(np.abs(own[k].share - before[k].share).max() > 0.01 for k in before)
    assert run.steps[0] == 0


def test_fig7_reads_the_runs_of_fig1(activities):
    found = {claim.name: claim.of(activities) for claim in fig7.STUDY.claims}
    assert len(found) == 3
    learned, switch = (fig7.late(activities["negative"][m]) for m in (fig7.LEARNED, fig7.SWITCH))
    np.testing.assert_allclose(found["specialised"], learned - switch)
    assert len(fig7.STUDY.figures(activities)) == 2
    assert len(fig7.STUDY.tables(activities)["activity"]) == 2 * 5 * 4


def test_critical_population_holds_the_checkpoints_it_names(workdir):
    stage = next(s for s in critical.STUDY.stages if s.name == "positive_real")
    config = stage_config(stage, workdir, "smoke", "")
    config.init.arms = ("pretrained_unscaled",)
    setup = prepare(check(config))
    upstream = load_run(workdir / "positive")
    assert {row.source_step for row in setup.table} == {0, 2, 4}
    for row in setup.table:
        theirs = upstream.params(row.source_step)
        for path in layer_paths(theirs)[:-1]:
            ours = get_layer(setup.state["params"], path)["kernel"][row.network]
            source = get_layer(theirs, path)["kernel"][row.source]
            np.testing.assert_array_equal(ours, source)
    kernels = {upstream.params(step)["conv1"]["kernel"].tobytes() for step in (0, 2, 4)}
    assert len(kernels) == 3
