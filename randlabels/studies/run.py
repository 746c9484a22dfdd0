"""Runs a study from nothing to its page: train, analyse, read, judge, draw.

A stage that is complete is not run again, and one that was interrupted continues, so the same
command finishes a study that was stopped anywhere.
"""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ml_collections import ConfigDict

from randlabels import hosts, progress, records
from randlabels.analysis.records import load_alignment
from randlabels.analysis.run_analysis import analyze, is_analysed
from randlabels.configs.base import BUDGETS
from randlabels.data.errors import DataError
from randlabels.disk import remove_temporaries
from randlabels.errors import InputError
from randlabels.figures import style
from randlabels.runs import load_run
from randlabels.studies import find_study, page
from randlabels.studies.declare import Drawings, Results, Stage, Study
from randlabels.studies.finding import Finding
from randlabels.studies.resolve import check_workdir, refuse_overlap, stage_configs, stand_ins
from randlabels.studies.verdicts import judge
from randlabels.training.loop import train

Reading = TypeVar("Reading")


def reproduce(
    study: str, workdir: str | Path, budget: str = "full", data_dir: str = ""
) -> Finding[Any]:
    """Run a study by its name; returns what it found, as the front door's page shows it.

    Args:
        study: its name, or my_package.my_study.
        workdir: of the study.
        budget: full, short or smoke.
        data_dir: where prepared data sets are.

    Raises:
        InputError: if there is no such study or budget, and as `run_study`.
    """
    if budget not in BUDGETS:
        raise InputError(f"budget is {budget!r}; it may be {', '.join(BUDGETS)}.")
    finding = run_study(find_study(study), Path(workdir), budget, data_dir)
    assert finding is not None  # as this is one process
    return finding


def run_study(
    study: Study[Reading], workdir: Path, budget: str, data_dir: str = "", seeds: str = "testing"
) -> Finding[Reading] | None:
    """Run all stages of a study, write verdicts.json, figures/ and report.html.

    Of several processes all have to call it; the first alone is told what was found, and the others
    get None.

    Args:
        study: which one.
        workdir: of the study.
        budget: full, short or smoke.
        data_dir: where prepared data sets are.
        seeds: "testing", or "tuning" to look at what settings do: then nothing is judged.

    Raises:
        InputError: if the budget, the data or the workdir cannot be used, or if testing seeds are
            among those on which the study's settings were chosen, or the workdir is in use.
    """
    configs = stage_configs(study, workdir, budget, data_dir, seeds)
    if seeds == "testing":
        refuse_overlap(study, configs)
    with hosts.first_owns(workdir):
        hosts.from_first(lambda: check_workdir(study, workdir, budget, data_dir, seeds))
        return _run_stages(study, workdir, budget, seeds, configs)


def _run_stages(
    study: Study[Reading],
    workdir: Path,
    budget: str,
    seeds: str,
    configs: Mapping[str, ConfigDict],
) -> Finding[Reading] | None:
    started = time.monotonic()
    for full, here in stand_ins(study, budget).items():
        _say(f"At {budget} {here} stands in for {full}: no result.")
    for number, stage in enumerate(study.stages, start=1):
        _say(f"Stage {number} of {len(study.stages)}: {stage.name}")
        if _train(stage, configs[stage.name], workdir):
            _analyse(stage, workdir)
    finding: Finding[Reading] | None = None

    def found() -> None:
        nonlocal finding
        finding = _found(study, workdir, budget, seeds, started)

    hosts.from_first(found)  # what a study reads cannot be sent
    return finding


def _say(line: str) -> None:
    if hosts.is_first():
        progress.say(line)


def _analyse(stage: Stage, workdir: Path) -> None:
    folder = workdir / stage.name
    done = hosts.from_first(lambda: not stage.analyze or is_analysed(folder, stage.analyze))
    if not done:
        analyze(folder, layers=stage.analyze)


def _found(
    study: Study[Reading], workdir: Path, budget: str, seeds: str, started: float
) -> Finding[Reading]:
    """Read, judge and draw what the stages left; write it."""
    results = load_results(study, workdir)
    if not results.runs:
        raise InputError("The data sets are missing, so no stage of the study could be run.")
    reading = study.read(results)
    finding = Finding(
        study,
        budget,
        seeds,
        results,
        verdicts=judge(study.claims, study.primary if seeds == "testing" else {}, reading),
        tables={name: list(rows) for name, rows in study.tables(reading).items()},
        captions=_save_figures(study.figures(reading), workdir / "figures"),
        seconds=time.monotonic() - started,
    )
    judged = [dataclasses.asdict(verdict) for verdict in finding.verdicts]
    records.write_json(workdir / "verdicts.json", {"study": study.name, "verdicts": judged})
    records.replace_text(workdir / "report.html", page.render(finding))
    return finding


def _train(stage: Stage, config: ConfigDict, workdir: Path) -> bool:
    """Train a stage; False if it is optional and its data set is not prepared."""
    reads = workdir / stage.reads
    if stage.optional and stage.reads and not hosts.from_first(lambda: _is_run(reads)):
        return False
    try:
        train(config, workdir / stage.name)
    except DataError as error:
        if not stage.optional:
            raise
        _say(f"{stage.name} is left out: {error}")
        return False
    return True


def load_results(study: Study[Reading], workdir: Path) -> Results:
    """Open the runs and analyses that a study's stages left in its workdir."""
    done = [s for s in study.stages if not s.optional or _is_run(workdir / s.name)]
    return Results(
        workdir,
        runs={stage.name: load_run(workdir / stage.name) for stage in done},
        alignments={
            stage.name: load_alignment(workdir / stage.name) for stage in done if stage.analyze
        },
    )


def _is_run(folder: Path) -> bool:
    """Whether training has begun in a folder: one that was stopped before leaves an empty one."""
    return (folder / "config.json").exists()


def _save_figures(drawings: Drawings, folder: Path) -> dict[str, str]:
    """Save the figures; {file name: caption}."""
    folder.mkdir(exist_ok=True)
    remove_temporaries(folder)
    for name, (figure, _) in drawings.items():
        style.save(figure, folder / f"{name}.png")
    return {f"{name}.png": caption for name, (_, caption) in drawings.items()}
