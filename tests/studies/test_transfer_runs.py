"""Studies fig1, fig7 and critical: what is read off a smoke run of fig1."""

import json

import numpy as np
import pytest

from randlabels.analysis.activity import activity_of_run
from randlabels.analysis.selectivity import selectivity_of_run
from randlabels.models.naming import get_layer, layer_paths
from randlabels.runs import load_run
from randlabels.studies.families.two_settings import RATES
from randlabels.studies.families.whole_networks import TASKS
from randlabels.studies.paper import fig1, fig7
from randlabels.studies.questions import critical
from randlabels.studies.readouts.rates import AtRates
from randlabels.studies.resolve import stage_config
from randlabels.studies.run import load_results, run_study
from randlabels.training.check import check
from randlabels.training.setup import prepare

# The fixture runs a study.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


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
    row = fig1.STUDY.tables(fig1.STUDY.read(results))["rates"][0]
    assert all(str(cell) in page for cell in row.values())
    for task in TASKS:
        assert results.runs[f"positive_{task}"].config["labels"]["kind"] == task


@pytest.fixture(scope="module")
def units(workdir):
    """What fig7 reads of it."""
    return fig7.STUDY.read(load_results(fig7.STUDY, workdir))


def test_fig7_rescaling_changes_no_units_activity(workdir, units):
    """At the switch units are active as after pre-training on the same images (relu)."""
    upstream, run = load_run(workdir / "positive"), load_run(workdir / "positive_real")
    before = activity_of_run(upstream, upstream.steps[-1], "downstream", networks=[0, 1])
    switch = units["positive"].activity[fig7.SWITCH]
    chosen = [row.network for row in run.networks if row.arm == "pretrained"][:2]
    rescaled = activity_of_run(run, 0, networks=chosen)
    changed = False
    for layer, activity in before.items():
        np.testing.assert_allclose(switch[layer].mean_absolute, activity.mean_absolute, rtol=1e-5)
        np.testing.assert_allclose(rescaled[layer].share, activity.share, atol=2e-3)
        sizes = rescaled[layer].mean_absolute, activity.mean_absolute
        changed |= not np.allclose(*sizes, rtol=0.01)
    assert changed
    own = activity_of_run(upstream, upstream.steps[-1], networks=[0, 1])
    assert any(np.abs(own[k].share - before[k].share).max() > 0.01 for k in before)
    assert run.steps[0] == 0


def test_fig7_reads_the_runs_of_fig1(workdir, units):
    found = {claim.name: claim.of(units) for claim in fig7.STUDY.claims}
    upstream = load_run(workdir / "negative")
    learned = selectivity_of_run(upstream, upstream.steps[-1], networks=[0, 1])
    late = [learned[layer] for layer in fig7.LATE]
    means = [np.concatenate([getattr(of, f) for of in late], 1).mean(1) for f in fig7.FIELDS]
    np.testing.assert_allclose(found["late_units_tell_learned_labels"], means[0] - means[1])
    assert isinstance(units["negative"].tuning, AtRates)
    assert len(fig7.STUDY.figures(units)) == 4
    tables = fig7.STUDY.tables(units)
    assert len(tables["activity"]) == 2 * 5 * 4
    assert len(tables["selectivity"]) == 2 * 5 * 2


def test_critical_population_holds_the_checkpoints_it_names(workdir):
    stage = next(s for s in critical.STUDY.stages if s.name == "positive_real")
    config = stage_config(stage, workdir, "smoke", "")
    config.init.arms = ("pretrained_unscaled",)
    setup = prepare(check(config))
    upstream = load_run(workdir / "positive")
    assert {row.source_step for row in setup.table} == {0, 2, 4}
    assert len(setup.table) == len(RATES) * 3 * 2
    for row in setup.table:
        theirs = upstream.params(row.source_step)
        for path in layer_paths(theirs)[:-1]:
            ours = get_layer(setup.state["params"], path)["kernel"][row.network]
            source = get_layer(theirs, path)["kernel"][row.source]
            np.testing.assert_array_equal(ours, source)
    kernels = {upstream.params(step)["conv1"]["kernel"].tobytes() for step in (0, 2, 4)}
    assert len(kernels) == 3
