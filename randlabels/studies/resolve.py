"""The config of a stage: base, the recipe at a budget, what the stage changes, and its seeds.

Recipes are chosen on tuning seeds and judged on testing seeds, which differ in all that is drawn:
weights, labels, the split into upstream and downstream images, the order of batches.
"""

import contextlib
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from randlabels.config_rules import flatten
from randlabels.configs.base import BUDGETS, changes_at
from randlabels.data.generators import generator_named
from randlabels.errors import InputError, shown
from randlabels.records import plain, read_json
from randlabels.saved_config import differences, read_config, with_defaults
from randlabels.studies.declare import Stage, Study

# Added to the seeds of a config for verdicts. What is looked at to choose settings, levels or
# rates has the seeds of the recipes and stages as they are written, all of which are below.
TESTING_FROM = 20_000
SEEDS = ("testing", "tuning")
_SEED_FIELDS = ("seed", "labels.seed", "data.seed")


def resolve(stage: Stage, budget: str, seeds: str = "testing") -> ConfigDict:
    """The config of a stage at a budget, without the run that it reads.

    Args:
        stage: of a study.
        budget: full, short or smoke.
        seeds: one of SEEDS.

    Raises:
        InputError: if the budget is unknown.
    """
    family, _, recipe = stage.recipe.partition(".")
    module = importlib.import_module(f"randlabels.configs.{family}")
    config: ConfigDict = module.get_config(f"{recipe}.{budget}" if recipe else budget)
    config.update_from_flattened_dict(changed(stage, budget))
    if seeds == "testing":
        fields = flatten(config)
        shifted = {field: fields[field] + TESTING_FROM for field in _SEED_FIELDS}
        config.update_from_flattened_dict(shifted)
    return config


def stage_config(
    stage: Stage, workdir: Path, budget: str, data_dir: str, seeds: str = "testing"
) -> ConfigDict:
    """The config of a stage at a budget, with the run it starts from filled in."""
    config = resolve(stage, budget, seeds)
    if stage.reads:
        config.init.run = str(workdir / stage.reads)
    if data_dir and generator_named(config.data.name) is None:
        config.data.data_dir = data_dir
    return config


def stage_configs(
    study: Study[Any], workdir: Path, budget: str, data_dir: str, seeds: str = "testing"
) -> dict[str, ConfigDict]:
    """{name of a stage: its config} of a study at a budget, with testing or tuning seeds."""
    return {
        stage.name: stage_config(stage, workdir, budget, data_dir, seeds) for stage in study.stages
    }


def stand_ins(study: Study[Any], budget: str) -> dict[str, str]:
    """{data set: the one in its place} where a budget takes another than full does."""
    named = [
        [resolve(stage, at).data.name for at in ("full", budget)]
        for stage in study.stages
    ]  # fmt: skip
    return {full: here for full, here in named if full != here}


def refuse_overlap(study: Study[Any], configs: Mapping[str, ConfigDict]) -> None:
    """Make sure that nothing is judged on the seeds on which its settings were chosen.

    Args:
        study: with its tuning seeds.
        configs: {stage: what is to be trained}, with testing seeds.

    Raises:
        InputError: if the weights, labels or images of a stage have a tuning seed.
    """
    tuned = set(study.tuning.seeds)
    for name, config in configs.items():
        count = config.population.seeds
        used = {config.data.seed, *range(config.seed, config.seed + count)}
        if config.labels.kind != "real":
            swept = dict(config.population.sweep).get("labels.seed", (config.labels.seed,))
            used |= {first + k for first in swept for k in range(count)}
        if used & tuned:
            raise InputError(
                f"stage {name!r} of {study.name} has seed {min(used & tuned)}, on which settings "
                "were chosen; give it other seeds, or use --seeds=tuning, which judges nothing."
            )


def check_workdir(study: Study[Any], workdir: Path, budget: str, data_dir: str, seeds: str) -> None:
    """Make sure that what a workdir holds of a study is of this budget and was made there.

    Raises:
        InputError: if it holds another study, a stage was trained as another budget has it, or
            starts from a run of another folder.
    """
    other = study.name
    with contextlib.suppress(OSError, ValueError, AttributeError):  # not there, or made anew
        other = read_json(workdir / "verdicts.json").get("study", study.name)
    if other != study.name:
        raise InputError(
            f"workdir {workdir} holds the study {shown(other)}; use another for {study.name}."
        )
    saved = {}
    for stage in study.stages:
        with contextlib.suppress(InputError, OSError):  # not there, or mended later
            saved[stage.name] = read_config(workdir / stage.name / "config.json")
    for stage in study.stages:
        read = Path(str(saved.get(stage.name, {}).get("init.run", "")))
        if stage.reads and read.name == stage.reads and read.parent != workdir:
            raise InputError(
                f"workdir {workdir} was made as {read.parent}, which its runs name; give it that "
                "name again, or use another."
            )

    def fits(at: str) -> bool:
        configs = stage_configs(study, workdir, at, data_dir, seeds)
        return not any(
            differences(plain(flatten(configs[name])), with_defaults(theirs))
            for name, theirs in saved.items()
        )

    others = [] if not saved or fits(budget) else [at for at in BUDGETS if fits(at)]
    if others:
        raise InputError(
            f"workdir {workdir} holds {study.name} at budget {others[0]}; use another for "
            f"budget {budget}."
        )


def changed(stage: Stage, budget: str) -> dict[str, object]:
    """{"group.field": value} that a stage changes in its recipe at a budget."""
    return changes_at(budget, stage.changes, stage.at)
