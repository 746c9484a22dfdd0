"""Every stage of every study is a config that training accepts, at every budget."""

import dataclasses
import json
import math

import numpy as np
import pytest

from randlabels.configs import base
from randlabels.errors import InputError
from randlabels.studies import all_studies, find_study, study_modules
from randlabels.studies import run as running
from randlabels.studies.declare import Claim, Primary, Stage, Study, Tuning
from randlabels.studies.resolve import (
    TESTING_FROM,
    check_workdir,
    refuse_overlap,
    stage_configs,
    stand_ins,
)
from randlabels.studies.run import run_study
from randlabels.training.check import check
from randlabels.training.workdir import claim as claim_workdir
from randlabels.training.workdir import write_config


@pytest.mark.parametrize("budget", ["smoke", "short", "full"])
@pytest.mark.parametrize("name", list(study_modules()))
def test_stages_are_accepted(name, budget, tmp_path):
    study = find_study(name)
    configs = stage_configs(study, tmp_path, budget, "datasets")
    names = [stage.name for stage in study.stages]
    assert len(set(names)) == len(names)
    for i, stage in enumerate(study.stages):
        config = check(configs[stage.name])
        assert stage.reads in ("", *names[:i])
        if stage.reads:
            assert config.init.run == str(tmp_path / stage.reads)


@pytest.mark.parametrize("name", list(study_modules()))
def test_a_stage_sets_a_field_in_one_place(name):
    for stage in find_study(name).stages:
        assert not set(stage.at) & set(stage.changes), stage.name
        assert {len(values) for values in stage.at.values()} <= {len(base.BUDGETS)}, stage.name


@pytest.mark.parametrize("budget", ["smoke", "short", "full"])
@pytest.mark.parametrize("name", list(study_modules()))
def test_steps_that_are_swept_over_are_kept_upstream(name, budget, tmp_path):
    study = find_study(name)
    configs = stage_configs(study, tmp_path, budget, "datasets")
    for stage in study.stages:
        swept = dict(configs[stage.name].population.sweep).get("init.step", ())
        if swept:
            upstream = configs[stage.reads]
            per_epoch = upstream.data.upstream_size // upstream.train.batch_size
            kept = (*upstream.train.checkpoint_epochs, upstream.train.epochs)
            assert set(swept) <= {per_epoch * epoch for epoch in kept}, stage.name


@pytest.mark.parametrize("budget", ["smoke", "short", "full"])
def test_phase_takes_over_every_upstream_network(budget, tmp_path):
    study = find_study("phase")
    configs = stage_configs(study, tmp_path, budget, "")
    for stage in study.stages:
        if stage.reads:
            upstream, down = configs[stage.reads].population, configs[stage.name].population
            points = math.prod(len(values) for _, values in upstream.sweep)
            assert down.seeds == points * upstream.seeds


def first_layer(model):
    """(dimensions, filters) of the first convolution of a model config."""
    filters = model.channels[0] if model.name == "conv_net" else model.filters
    return 3 * (9 if model.name == "conv_net" else model.kernel_size**2), filters


@pytest.mark.parametrize("budget", ["smoke", "short", "full"])
@pytest.mark.parametrize("name", list(study_modules()))
def test_pooled_networks_have_enough_filters_for_a_covariance(name, budget, tmp_path):
    study = find_study(name)
    configs = stage_configs(study, tmp_path, budget, "datasets")
    for stage in study.stages:
        if {"covariance", "procrustes_covariance"} & set(configs[stage.name].init.arms):
            upstream = configs[stage.reads]
            dim, filters = first_layer(upstream.model)
            assert filters * upstream.population.seeds > dim, stage.name


def test_what_stands_in_for_a_data_set_is_known():
    """Printed before anything is trained, and on the page."""
    assert stand_ins(find_study("fig5"), "smoke") == {"cifar10": "dead_leaves"}
    assert stand_ins(find_study("fig5"), "short") == {}
    assert stand_ins(find_study("quickstart"), "smoke") == {}


@pytest.mark.parametrize("name", list(study_modules()))
def test_claims_have_names_of_their_own(name):
    study = find_study(name)
    names = [claim.name for claim in study.claims]
    assert len(set(names)) == len(names)
    assert set(study.primary) <= set(names)
    for claim, rule in study.primary.items():
        assert rule.against, claim
        ratio = next(c.scale for c in study.claims if c.name == claim) == "ratio"
        assert rule.smallest > (1 if ratio else 0), claim


@pytest.mark.parametrize("budget", ["smoke", "short", "full"])
@pytest.mark.parametrize("name", list(study_modules()))
def test_testing_seeds_are_not_those_of_the_tuning(name, budget, tmp_path):
    study = find_study(name)
    refuse_overlap(study, stage_configs(study, tmp_path, budget, "datasets"))
    tuning = stage_configs(study, tmp_path, budget, "datasets", seeds="tuning")
    for config in tuning.values():
        assert max(config.seed, config.labels.seed, config.data.seed) + 100 < TESTING_FROM


@pytest.mark.parametrize("there", ["smoke", "short"])
def test_a_workdir_of_another_budget_is_refused_by_its_name(there, tmp_path):
    study = find_study("fig5")
    for name, config in stage_configs(study, tmp_path, there, "datasets").items():
        (tmp_path / name).mkdir()
        write_config(tmp_path / name, check(config))
    check_workdir(study, tmp_path, there, "datasets", "testing")
    with pytest.raises(InputError, match=f"holds fig5 at budget {there}; use another for"):
        check_workdir(study, tmp_path, "full", "datasets", "testing")
    (tmp_path / "upstream" / "config.json").write_text("[")  # mended by training
    check_workdir(study, tmp_path, there, "datasets", "testing")


def test_a_workdir_of_another_study_is_refused(tmp_path):
    study = find_study("quickstart")
    for text in ("[", "[]", "{}", json.dumps({"study": "quickstart"})):
        (tmp_path / "verdicts.json").write_text(text)
        check_workdir(study, tmp_path, "smoke", "", "testing")
    (tmp_path / "verdicts.json").write_text(json.dumps({"study": "fig5"}))
    with pytest.raises(InputError, match="holds the study 'fig5'; use another for quickstart"):
        check_workdir(study, tmp_path, "smoke", "", "testing")


@pytest.mark.parametrize("run", [None, 5, ["a"]])
def test_a_config_whose_earlier_run_is_no_path_is_refused(tmp_path, run):
    study = find_study("quickstart")
    configs = stage_configs(study, tmp_path, "smoke", "")
    for name, config in configs.items():
        (tmp_path / name).mkdir()
        write_config(tmp_path / name, check(config))
    saved = json.loads((tmp_path / "real" / "config.json").read_text())
    saved["init"]["run"] = run
    (tmp_path / "real" / "config.json").write_text(json.dumps(saved))
    check_workdir(study, tmp_path, "smoke", "", "testing")
    with pytest.raises(InputError, match="init.run"):
        claim_workdir(tmp_path / "real", check(configs["real"]))


def test_a_study_that_was_moved_is_refused_before_anything_is_done(tmp_path):
    study, made, moved = find_study("fig5"), tmp_path / "made", tmp_path / "moved"
    for name, config in stage_configs(study, made, "smoke", "datasets").items():
        (made / name).mkdir(parents=True)
        write_config(made / name, check(config))
    check_workdir(study, made, "smoke", "datasets", "testing")
    made.rename(moved)
    with pytest.raises(InputError, match=f"moved was made as {made}, which its runs name"):
        check_workdir(study, moved, "smoke", "datasets", "testing")


@pytest.mark.parametrize(
    ("seed", "field"), [(7, "seed"), (9, "seed"), (7, "labels.seed"), (8, "data.seed")]
)
def test_tuning_seeds_are_refused_before_anything_is_trained(seed, field, tmp_path):
    stage = Stage("only", "simple_cnn.dead_leaves", changes={field: seed})
    study = dataclasses.replace(study_of(True), stages=(stage,), tuning=Tuning((TESTING_FROM + 8,)))
    if field == "seed" and seed == 9:  # smoke has two networks: 9 and 10
        refuse_overlap(study, stage_configs(study, tmp_path, "smoke", ""))
        return
    with pytest.raises(InputError, match="stage 'only' of .* has seed 20008, on which settings"):
        run_study(study, tmp_path / "work", "smoke")
    assert not (tmp_path / "work").exists()
    refuse_overlap(study, stage_configs(study, tmp_path, "smoke", "", seeds="tuning"))


def test_studies_are_found_by_their_folder():
    studies = all_studies()
    assert list(studies)[:4] == ["appendix_b", "fig1", "fig2", "fig3"]
    assert "phase" in studies
    assert all(study.name == name for name, study in studies.items())


def test_a_study_may_come_from_elsewhere(tmp_path, monkeypatch):
    text = "from randlabels.studies.paper.fig5 import STUDY\n"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "my_study.py").write_text(text)
    (tmp_path / "mine" / "empty.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_study("mine.my_study") is find_study("fig5")
    with pytest.raises(InputError, match=r"the module mine.empty has no STUDY"):
        find_study("mine.empty")
    with pytest.raises(InputError, match="cannot be imported"):
        find_study("mine.absent")
    with pytest.raises(InputError, match=r"did you mean 'fig5'\?"):
        find_study("fig55")


def study_of(optional):
    """A study that needs a data set which is not prepared."""
    missing = Stage(
        "missing",
        "simple_cnn.dead_leaves",
        changes={"data.name": "cifar10", "data.data_dir": "nowhere"},
        optional=optional,
    )
    reading = Stage(
        "reading",
        "simple_cnn.dead_leaves",
        reads="missing",
        changes={"init.arms": ("pretrained",)},
        optional=optional,
    )
    return Study(
        name="s",
        title="t",
        paper_item="p",
        stages=(missing, reading),
        read=lambda results: list(results.runs),
        claims=(Claim("c", "It is.", "nowhere", "m", of=lambda reading: np.zeros(1)),),
        primary={"c": Primary(1.0, "It is not.")},
        figures=lambda reading: {},
        tables=lambda reading: {},
    )


def test_what_comes_after_a_stage_that_is_left_out_is_run(tmp_path, monkeypatch):
    trained = []
    monkeypatch.setattr(running, "_train", lambda stage, *_: trained.append(stage.name))
    last = Stage("last", "simple_cnn.dead_leaves")
    study = study_of(optional=True)
    with pytest.raises(InputError, match="last holds no run"):
        run_study(dataclasses.replace(study, stages=(*study.stages, last)), tmp_path, "smoke")
    assert trained == ["missing", "reading", "last"]
    assert not last.optional


def test_a_missing_data_set_ends_a_study_unless_the_stage_is_optional(tmp_path, capfd):
    with pytest.raises(InputError, match="cifar10"):
        run_study(study_of(optional=False), tmp_path, "smoke")
    with pytest.raises(InputError, match="no stage of the study could be run"):
        run_study(study_of(optional=True), tmp_path, "smoke")
    assert "missing is left out" in capfd.readouterr().err
