"""The record of a study in the repository: docs/results/<study>.json and its pictures.

It holds all that a document may say in numbers, and what is needed to get them again: resolved
configs, seeds, versions, revision, hardware, time.
"""

import dataclasses
import datetime
import functools
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from randlabels import records
from randlabels.config_rules import flatten
from randlabels.configs import base
from randlabels.disk import told
from randlabels.errors import InputError, in_one_line
from randlabels.runs import Run
from randlabels.saved_config import open_config
from randlabels.states import counts
from randlabels.studies import all_studies, study_modules
from randlabels.studies.declare import Stage, Study
from randlabels.studies.finding import Finding
from randlabels.studies.resolve import resolve
from randlabels.studies.verdicts import judge
from randlabels.training.workdir import git_revision

# Fields that name a place on a machine, not a choice.
_NEGLIGIBLE = 1e-12  # difference of two effects that rounding explains; there is none of p values
_PLACES = ("init.run", "data.data_dir")

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"


def check_recordable(
    study: str, budget: str, note: str = "", folder: Path = RESULTS, seeds: str = "testing"
) -> None:
    """Make sure, before anything runs, that a study may be recorded.

    Args:
        study: as given to --study.
        budget: at which it is to run.
        note: that is to stand in the record.
        folder: of the records.
        seeds: with which it is to run.

    Raises:
        InputError: outside a checkout, for a study from elsewhere, at smoke (which shows that a
            study runs and nothing else), at short where a full run is recorded, with tuning seeds,
            and for a note that is more than a line of prose.
    """
    if not folder.is_dir():
        raise InputError(f"--record writes to {folder}, which is not there; use it in a checkout.")
    if study not in study_modules():
        raise InputError(f"--record is for the studies of this checkout, and {study!r} is none.")
    if budget == "smoke":
        raise InputError("--record needs --budget=short or full; smoke only shows that it runs.")
    if seeds != "testing":
        raise InputError("--record needs testing seeds; what is tuned on is no result.")
    recorded = read_record(study, folder)
    if recorded and recorded["budget"] == "full" and budget != "full":
        raise InputError(
            f"{study} is recorded at full; remove its record to record it at {budget}."
        )
    if re.search(r"[\n|<>]|(^|\s)[/~]\w", note):
        raise InputError(
            "--note is one line of prose, without markup, tables or paths of a machine."
        )


def write_record(finding: Finding[Any], note: str = "", folder: Path = RESULTS) -> Path:
    """Write the record and the pictures of a study; returns the path of the JSON file.

    Args:
        finding: of a study that ran.
        note: what the numbers do not show, such as which copy of a data set was used.
        folder: of the records.
    """
    if finding.seeds != "testing":
        raise InputError("a record needs testing seeds; what is tuned on is no result.")
    name = finding.study.name
    try:
        record = _record(finding, note)
    except (KeyError, TypeError, ValueError) as error:  # before any picture is written
        raise InputError(
            f"a status.json of {name} is damaged ({in_one_line(error)}), so it cannot be recorded; "
            "remove that run and give the same command."
        ) from error
    pictures = {}
    for file, caption in finding.captions.items():
        drawn = (finding.results.workdir / "figures" / file).read_bytes()
        records.replace_bytes(folder / f"{name}-{file}", drawn)
        pictures[f"{name}-{file}"] = caption
    digests = {file: records.file_digest(folder / file) for file in pictures}
    path = folder / f"{name}.json"
    records.write_json(path, record | {"pictures": pictures, "picture_digests": digests})
    for picture in folder.glob(f"{name}-*.png"):
        if picture.name not in pictures:
            picture.unlink()
    return path


def read_record(name: str, folder: Path = RESULTS) -> dict[str, Any] | None:
    """The record of a study, None if it was not recorded.

    Raises:
        InputError: if the file is damaged, or another study's.
    """
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    try:
        record = records.read_json(path)
    except (ValueError, OSError) as error:  # not JSON, not text, or no file
        raise InputError(f"{path} is damaged ({error}); record the study again.") from error
    if not isinstance(record, dict) or record.get("study") != name:
        raise InputError(f"{path} is no record of {name}; record the study again.")
    return record


def judged_again(record: dict[str, Any], study: Study[Any]) -> dict[str, Any]:
    """{claim: verdict} as JSON holds it, of the recorded values by today's rules."""
    claims = [
        dataclasses.replace(claim, of=functools.partial(_recorded_values, name=claim.name))
        for claim in study.claims
    ]
    verdicts = judge(claims, study.primary, record["claims"])
    return {v.name: records.plain(dataclasses.asdict(v)) for v in verdicts}


def _recorded_values(claims: dict[str, Any], name: str) -> np.ndarray:
    """Values [seed], or bounds [seed, 2]: JSON has null for NaN and for infinity."""
    recorded = claims[name]["values"]
    if not any(isinstance(value, list) for value in recorded):
        return np.array(recorded, float)
    bounds = [value if isinstance(value, list) else (value, value) for value in recorded]
    return np.array(
        [(np.nan, np.nan) if low is None else (low, np.inf if high is None else high)
         for low, high in bounds], float)  # fmt: skip


def differing(recorded: dict[str, Any], verdict: dict[str, Any]) -> list[str]:
    """The fields in which two verdicts on the same values differ, but for rounding."""
    return [
        field
        for field, value in verdict.items()
        if not _same(recorded[field], value, 0.0 if field.startswith("p") else _NEGLIGIBLE)
    ]


def _same(one: Any, other: Any, negligible: float) -> bool:
    if isinstance(other, list) and isinstance(one, list):
        return len(one) == len(other) and all(
            _same(a, b, negligible) for a, b in zip(one, other, strict=True)
        )
    if isinstance(other, float) and isinstance(one, float):
        return math.isclose(one, other, rel_tol=1e-9 if negligible else 1e-6, abs_tol=negligible)
    return bool(one == other)


def judge_again(study: Study[Any], folder: Path = RESULTS) -> dict[str, Any] | None:
    """The record of a study, judged by today's rules; None if no verdict is another.

    Raises:
        InputError: if the record is damaged, has other claims, primary claims or recipes than the
            study, or values that are not those of which it has the mean.
    """
    record = read_record(study.name, folder)
    if record is None:
        return None
    try:
        claims = judged_again(record, study)
        if claims.keys() != record["claims"].keys():
            raise ValueError("it has other claims")
        if record["primary"] != list(study.primary):
            raise ValueError("it has other primary claims")
        if stale_stages(record, study):
            raise ValueError("its stages had other recipes")
        if {s.name for s in study.stages if not s.optional} - record["stages"].keys():
            raise ValueError("a stage of it is missing")
        differences = {
            name: differing(record["claims"][name], verdict) for name, verdict in claims.items()
        }
    except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise InputError(
            f"the record of {study.name} does not have the values of all its claims "
            f"({in_one_line(error)}); record the study again."
        ) from error
    # What no rule of judging changes: what was claimed, and what was measured.
    given = {"statement", "place", "unit", "threshold", "scale", "values", "seeds", "value"}
    lost = [name for name, fields in differences.items() if given & {*fields}]
    if lost:
        raise InputError(
            f"claim {lost[0]} of {study.name} is another than the recorded one, or its values are "
            "not those that were judged; record the study again."
        )
    if not any(differences.values()):
        return None
    return record | {"claims": claims, "judged_again_by": git_revision()}


def judge_all(folder: Path = RESULTS, write: bool = True) -> list[str]:
    """The studies that today's rules judge otherwise; their records, if asked, are written.

    Raises:
        InputError: if a record is damaged (nothing is written then), or cannot be written.
    """
    judged = {name: judge_again(study, folder) for name, study in all_studies().items()}
    others = {name: record for name, record in judged.items() if record is not None}
    with told(folder):
        for name, record in others.items() if write else ():
            records.write_json(folder / f"{name}.json", record)
    return list(others)


def stale_stages(record: dict[str, Any], study: Study[Any]) -> list[str]:
    """The recorded stages whose recipe does not come to what it came to in the record.

    A field of configs/base.py that is younger than the record makes no difference at its default.
    """
    stages = {stage.name: stage for stage in study.stages}
    return [
        name
        for name, recorded in record["stages"].items()
        if name not in stages or not _as_recorded(stages[name], recorded, record)
    ]


def _as_recorded(stage: Stage, recorded: dict[str, Any], record: dict[str, Any]) -> bool:
    younger = {k: v for k, v in _fields(base.get_config()).items() if k not in record["base"]}
    fields = record["base"] | recorded["differs_from_base"] | younger
    same = (stage.recipe, stage.reads) == (recorded["recipe"], recorded["reads"])
    return same and _fields(resolve(stage, record["budget"])) == fields


def _fields(config: ConfigDict) -> dict[str, Any]:
    """{"group.field": value} as JSON holds it."""
    fields: dict[str, Any] = records.plain(flatten(config))
    return fields


def _record(finding: Finding[Any], note: str) -> dict[str, Any]:
    study, results = finding.study, finding.results
    stages = [stage for stage in study.stages if stage.name in results.runs]
    statuses = [run.status for run in results.runs.values()]
    return {
        "study": study.name,
        "title": study.title,
        "paper_item": study.paper_item,
        "budget": finding.budget,
        "command": finding.command,
        "note": note,
        "finished": max(status["updated"] for status in statuses),
        "judged_by": {"git_revision": git_revision(), "seconds": finding.seconds},
        "training_seconds": sum(_seconds(run) for run in results.runs.values()),
        "tuning": dataclasses.asdict(study.tuning),
        "primary": list(study.primary),
        "base": _fields(base.get_config()),
        "stages": {stage.name: _stage_record(stage, results.runs[stage.name]) for stage in stages},
        "claims": {v.name: dataclasses.asdict(v) for v in finding.verdicts},
        "tables": finding.tables,
    }


def _stage_record(stage: Stage, run: Run) -> dict[str, Any]:
    """What was trained: the config is the one that the run has saved."""
    config, defaults = _fields(open_config(run.config)), _fields(base.get_config())
    return {
        "recipe": stage.recipe,
        "reads": stage.reads,
        "differs_from_base": {
            k: v for k, v in config.items() if v != defaults[k] and k not in _PLACES
        },
        "seeds": sorted({network.seed for network in run.networks}),
        "label_seeds": sorted({network.label_seed for network in run.networks}),
        "data_seed": config["data.seed"],
        "networks": len(run.networks),
        **{state: count for state, count in counts(run.networks).items() if state != "fine"},
        "git_revision": run.status["git_revision"],
        "versions": run.status["versions"],
        "devices": run.status["devices"],
        "cpus": run.status["cpus"],
        "seconds": _seconds(run),
    }


def _seconds(run: Run) -> float:
    """From the start of training, or of its last continuation, to its end."""
    began, ended = (datetime.datetime.fromisoformat(run.status[k]) for k in ("started", "updated"))
    return (ended - began).total_seconds()
