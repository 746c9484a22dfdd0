"""The resolved config of every stage of every study, at every budget, is what it was.

A recipe may be written anew, but what it comes to is what records in docs/results were made with.
Where a change is meant, `python tests/studies/test_pinned_configs.py` writes the pins again, and
the studies that changed have to be recorded again.
"""

import hashlib
import json
from pathlib import Path

import pytest

from randlabels.config_rules import flatten
from randlabels.records import plain
from randlabels.studies import find_study, study_modules
from randlabels.studies.resolve import stage_configs

PINS = Path(__file__).with_name("pinned_configs.json")
BUDGETS = ("smoke", "short", "full")

# One stage of each family of networks is held as a whole, so that a difference can be read.
WHOLE = (
    "fig5.random",
    "table1.small_random",
    "fig1.negative_real",
    "appendix_b.wide_resnet_real",
    "fig20.right_variances",
)


def resolved(study, budget):
    """{stage: flattened config}, with the study's folder called `study`."""
    configs = stage_configs(find_study(study), Path("study"), budget, "datasets")
    return {stage: plain(flatten(config)) for stage, config in configs.items()}


def digest(fields):
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


def pins_of(study, budget):
    return {stage: digest(fields) for stage, fields in resolved(study, budget).items()}


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("study", list(study_modules()))
def test_stages_resolve_to_the_pinned_configs(study, budget):
    assert pins_of(study, budget) == json.loads(PINS.read_text())["digests"][study][budget]


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", WHOLE)
def test_one_stage_of_each_family_field_by_field(name, budget):
    study, stage = name.split(".")
    assert resolved(study, budget)[stage] == json.loads(PINS.read_text())["whole"][name][budget]


def test_every_study_is_pinned():
    assert sorted(json.loads(PINS.read_text())["digests"]) == sorted(study_modules())


if __name__ == "__main__":
    digests = {
        study: {budget: pins_of(study, budget) for budget in BUDGETS} for study in study_modules()
    }
    whole = {
        name: {
            budget: resolved(name.partition(".")[0], budget)[name.partition(".")[2]]
            for budget in BUDGETS
        }
        for name in WHOLE
    }
    PINS.write_text(json.dumps({"digests": digests, "whole": whole}, indent=1) + "\n")
