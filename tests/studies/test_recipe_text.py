"""The recipe of every stage of a study as text."""

import re

import pytest

from randlabels.config_rules import flatten
from randlabels.configs import base
from randlabels.studies import find_study, study_modules
from randlabels.studies.declare import Claim, Primary, Stage, Study
from randlabels.studies.recipe_text import WIDTH, recipe_text
from randlabels.studies.resolve import changed, resolve

DEFAULTS = flatten(base.get_config())


def study_of(*stages):
    """A study of which nothing but the stages is read."""
    return Study(
        name="s",
        title="t",
        paper_item="p",
        stages=stages,
        read=lambda results: None,
        claims=(Claim("c", "It is.", "nowhere", "m", of=lambda reading: reading),),
        primary={"c": Primary(1.0, "It is not.")},
        figures=lambda reading: {},
        tables=lambda reading: {},
    )


def test_changed_fields_stand_beside_the_values_of_base():
    upstream = Stage("up", "conv_net", changes={"seed": 7})
    reading = Stage(
        "down",
        "simple_cnn.cifar10",
        reads="up",
        changes={"labels.kind": "real"},
        at={
            "train.eval_epochs": (base.SAME, tuple(range(0, 121, 10)), base.SAME),
            "seed": (3, base.SAME, base.SAME),
        },
    )
    _, first, second = recipe_text(study_of(upstream, reading), "short").split("\n\n")
    assert first.startswith("up: recipe conv_net; ")
    assert "seed* = 20007 [0]" in first
    assert "name = 'conv_net' ['simple_cnn']" in first
    assert second.startswith("down: recipe simple_cnn.cifar10, reads up; ")
    assert (
        "  labels      kind* = 'real' ['random']; num_classes = 10 [5]; seed = 20000 [0]\n"
        in second
    )
    assert "learning_rate = 0.002 [0.01]" in second
    assert "eval_epochs* = (0, 10, ..., 120) [()]" in second
    assert "seed*" not in second  # that is at full
    assert "seed = 20000 [0]" in second  # of verdicts
    assert "batch_size" not in second  # as in base


@pytest.mark.parametrize("name", list(study_modules()))
def test_every_field_that_differs_is_listed_once(name):
    text = recipe_text(find_study(name), "short")
    assert max(map(len, text.splitlines())) <= WIDTH
    for stage, part in zip(find_study(name).stages, text.split("\n\n")[1:], strict=True):
        fields = flatten(resolve(stage, "short"))
        of_stage = changed(stage, "short")
        different = [f for f, value in fields.items() if value != DEFAULTS[f] or f in of_stage]
        assert len(re.findall(" = ", part)) == len(different), stage.name
        for field in different:
            assert re.search(rf"\b{field.rpartition('.')[2]}\*? = ", part), field
        assert f"; {len(fields) - len(different)} fields as in base" in part
