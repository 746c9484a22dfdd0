"""Every stage of every study is a config that training accepts, at every budget."""

import numpy as np
import pytest

from randlabels.errors import InputError
from randlabels.studies import STUDIES
from randlabels.studies.runner import run_study, stage_config
from randlabels.studies.study import Stage, Study
from randlabels.training.check import check


@pytest.mark.parametrize("budget", ["smoke", "short", "full"])
@pytest.mark.parametrize("name", list(STUDIES))
def test_stages_are_accepted(name, budget, tmp_path):
    study = STUDIES[name]
    names = [stage.name for stage in study.stages]
    assert len(set(names)) == len(names)
    for i, stage in enumerate(study.stages):
        config = check(stage_config(stage, tmp_path, budget, "datasets"))
        assert stage.reads in ("", *names[:i])
        if stage.reads:
            assert config.init.run == str(tmp_path / stage.reads)


def first_layer(model):
    """(dimensions, filters) of the first convolution of a model config."""
    filters = model.channels[0] if model.name == "conv_net" else model.filters
    return 3 * (9 if model.name == "conv_net" else model.kernel_size**2), filters


@pytest.mark.parametrize("budget", ["smoke", "short", "full"])
@pytest.mark.parametrize("name", list(STUDIES))
def test_pooled_networks_have_enough_filters_for_a_covariance(name, budget, tmp_path):
    configs = {s.name: stage_config(s, tmp_path, budget, "datasets") for s in STUDIES[name].stages}
    for stage in STUDIES[name].stages:
        if "covariance" in configs[stage.name].init.arms:
            upstream = configs[stage.reads]
            dim, filters = first_layer(upstream.model)
            assert filters * upstream.population.seeds > dim, stage.name


@pytest.mark.parametrize("name", list(STUDIES))
def test_claims_have_names_of_their_own(name):
    names = [claim.name for claim in STUDIES[name].claims]
    assert len(set(names)) == len(names)


def study_of(optional):
    """A study that needs a data set which is not prepared."""
    missing = Stage(
        "missing",
        "quickstart_upstream",
        changes={"data.name": "cifar10", "data.data_dir": "nowhere"},
        optional=optional,
    )
    reading = Stage("reading", "quickstart_real", reads="missing", optional=optional)
    return Study(
        name="s",
        title="t",
        paper_item="p",
        stages=(missing, reading),
        claims=(),
        measures=lambda results: {"stages": np.array(list(results.runs))},
        figures=lambda results: {},
        summary=lambda results: [],
    )


def test_a_missing_data_set_ends_a_study_unless_the_stage_is_optional(tmp_path, capfd):
    with pytest.raises(InputError, match="cifar10"):
        run_study(study_of(optional=False), tmp_path, "smoke")
    with pytest.raises(InputError, match="no stage of the study could be run"):
        run_study(study_of(optional=True), tmp_path, "smoke")
    assert "missing is left out" in capfd.readouterr().err
