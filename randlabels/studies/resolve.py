"""The config of a stage: base, the recipe at a budget, then what the stage changes."""

import importlib
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from randlabels.configs.base import changes_at
from randlabels.data.generators import generator_named
from randlabels.studies.declare import Stage, Study


def resolve(stage: Stage, budget: str) -> ConfigDict:
    """The config of a stage at a budget, without the run that it reads.

    Raises:
        InputError: if the budget is unknown.
    """
    family, _, recipe = stage.recipe.partition(".")
    module = importlib.import_module(f"randlabels.configs.{family}")
    config: ConfigDict = module.get_config(f"{recipe}.{budget}" if recipe else budget)
    config.update_from_flattened_dict(changed(stage, budget))
    return config


def stage_config(stage: Stage, workdir: Path, budget: str, data_dir: str) -> ConfigDict:
    """The config of a stage at a budget, with the run it starts from filled in."""
    config = resolve(stage, budget)
    if stage.reads:
        config.init.run = str(workdir / stage.reads)
    if data_dir and generator_named(config.data.name) is None:
        config.data.data_dir = data_dir
    return config


def stage_configs(
    study: Study[Any], workdir: Path, budget: str, data_dir: str
) -> dict[str, ConfigDict]:
    """{name of a stage: its config} of a study at a budget."""
    return {stage.name: stage_config(stage, workdir, budget, data_dir) for stage in study.stages}


def changed(stage: Stage, budget: str) -> dict[str, object]:
    """{"group.field": value} that a stage changes in its recipe at a budget."""
    return changes_at(budget, stage.changes, stage.at)
