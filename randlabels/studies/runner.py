"""Runs a study from nothing to its page: train, analyse, judge, draw.

A stage that is complete is not run again, and one that was interrupted continues, so the same
command finishes a study that was stopped anywhere.
"""

import importlib
import sys
import time
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict
from tqdm import tqdm

from randlabels import records
from randlabels.analyze import analyze, load_alignment
from randlabels.data.errors import DataError
from randlabels.data.generators import generator_named
from randlabels.errors import InputError
from randlabels.runs import load_run
from randlabels.studies import report, verdicts
from randlabels.studies.study import Results, Stage, Study
from randlabels.training.loop import train


def run_study(study: Study, workdir: Path, budget: str, data_dir: str = "") -> list[dict[str, Any]]:
    """Run all stages of a study, write verdicts.json, figures/ and report.html; return verdicts.

    Raises:
        InputError: if the budget, the data or the workdir cannot be used.
    """
    stage_configs = {
        stage.name: stage_config(stage, workdir, budget, data_dir) for stage in study.stages
    }
    started = time.monotonic()
    for number, stage in enumerate(study.stages, start=1):
        tqdm.write(f"Stage {number} of {len(study.stages)}: {stage.name}", file=sys.stderr)
        if not _train(stage, stage_configs[stage.name], workdir):
            continue
        if stage.analyze and not (workdir / stage.name / "analysis" / "alignment.json").exists():
            analyze(workdir / stage.name, layers=stage.analyze)
    results = load_results(study, workdir)
    if not results.runs:
        raise InputError("The data sets are missing, so no stage of the study could be run.")
    judged = verdicts.judge(study.claims, study.measures(results))
    records.write_json(workdir / "verdicts.json", {"study": study.name, "verdicts": judged})
    figures = _save_figures(study, results, workdir)
    seconds = time.monotonic() - started
    page = report.render(study, results, judged, figures, budget, seconds)
    records.replace_text(workdir / "report.html", page)
    return judged


def _train(stage: Stage, config: ConfigDict, workdir: Path) -> bool:
    """Train a stage; False if it is optional and its data set is not prepared."""
    if stage.optional and stage.reads and not (workdir / stage.reads).exists():
        return False
    try:
        train(config, workdir / stage.name)
    except DataError as error:
        if not stage.optional:
            raise
        tqdm.write(f"{stage.name} is left out: {error}", file=sys.stderr)
        return False
    return True


def stage_config(stage: Stage, workdir: Path, budget: str, data_dir: str) -> ConfigDict:
    """The config of a stage at a budget, with the run it starts from filled in."""
    config = load_config(stage.config, budget)
    config.update_from_flattened_dict(stage.changes)
    if stage.reads:
        config.init.run = str(workdir / stage.reads)
    if data_dir and generator_named(config.data.name) is None:
        config.data.data_dir = data_dir
    return config


def load_config(module: str, budget: str) -> ConfigDict:
    """get_config(budget) of a module in configs/."""
    return importlib.import_module(f"configs.{module}").get_config(budget)


def load_results(study: Study, workdir: Path) -> Results:
    """Open the runs and analyses that a study's stages left in its workdir."""
    done = [s for s in study.stages if not s.optional or (workdir / s.name).exists()]
    return Results(
        workdir,
        runs={stage.name: load_run(workdir / stage.name) for stage in done},
        alignments={
            stage.name: load_alignment(workdir / stage.name) for stage in done if stage.analyze
        },
    )


def _save_figures(study: Study, results: Results, workdir: Path) -> dict[str, str]:
    """Save the figures; {file name: caption}."""
    folder = workdir / "figures"
    folder.mkdir(exist_ok=True)
    captions = {}
    for name, (figure, caption) in study.figures(results).items():
        figure.savefig(folder / f"{name}.png")
        captions[f"{name}.png"] = caption
    return captions
