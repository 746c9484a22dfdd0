"""The smoke budget of the quickstart, from nothing to the page."""

import dataclasses
import json
import re

import numpy as np
import pytest

from randlabels import load_run
from randlabels.analysis.records import load_alignment
from randlabels.errors import InputError
from randlabels.networks import EPOCHS
from randlabels.studies import page, run
from randlabels.studies.paper.quickstart import STUDY
from randlabels.studies.readouts.learned import read_learned


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("quickstart")
    return workdir, run.run_study(STUDY, workdir, "smoke")


def test_every_claim_has_a_verdict(finished):
    workdir, finding = finished
    saved = json.loads((workdir / "verdicts.json").read_text())["verdicts"]
    assert [v["name"] for v in saved] == [c.name for c in STUDY.claims]
    assert [v["outcome"] for v in saved] == [v.outcome for v in finding.verdicts]


def test_measures_come_from_the_runs(finished):
    workdir, finding = finished
    verdict = next(v for v in finding.verdicts if v.name == "alignment")
    records = json.loads((workdir / "upstream" / "analysis" / "alignment.json").read_text())
    margin = [
        min(record["misalignment_random"]) - record["misalignment_data"]
        for record in records["records"]
        if record["step"] == 4 and record["network"] is not None
    ]
    assert len(margin) == 2
    np.testing.assert_allclose(verdict.values, margin)
    upstream = load_run(workdir / "upstream")
    at_the_end = read_learned(upstream, max(upstream.steps))
    shown = STUDY.read(finding.results).learned
    np.testing.assert_array_equal(shown.learned.data, at_the_end.learned.data)
    assert not np.array_equal(shown.learned.data, np.zeros_like(shown.learned.data))


def test_page_is_self_contained_and_shows_every_claim_and_figure(finished):
    workdir, _ = finished
    text = (workdir / "report.html").read_text()
    assert not re.search(r"src=\"(?!data:)", text)
    for link in re.findall(r"href=\"([^\"]*)\"", text):
        assert link.startswith("https://arxiv.org/") or (workdir / link).is_file(), link
    assert "Too small to judge" in text
    assert "python -m randlabels.reproduce --study=quickstart --budget=smoke" in text
    figures = sorted((workdir / "figures").glob("*.png"))
    assert len(figures) >= 4
    assert text.count("data:image/png;base64,") == len(figures)
    for claim in STUDY.claims:
        assert claim.statement in text.replace("&#39;", "'")


def test_page_says_how_many_networks_are_in_which_state(finished):
    _, finding = finished
    states = {0: "diverged_epoch", 1: "dead_epoch", 2: "untrained_epoch", 3: "untrained_epoch"}
    runs = {
        name: dataclasses.replace(
            run,
            networks=tuple(
                dataclasses.replace(row, **dict.fromkeys(EPOCHS))
                if name != "real" or row.network not in states
                else dataclasses.replace(row, **dict.fromkeys(EPOCHS) | {states[row.network]: 1})
                for row in run.networks
            ),
        )
        for name, run in finding.results.runs.items()
    }
    results = dataclasses.replace(finding.results, runs=runs)
    text = page.render(dataclasses.replace(finding, results=results))
    count = len(runs["real"].networks)
    assert f"<td>{count}</td><td>1</td><td>1</td><td>2</td>" in text
    assert f"<td>{len(runs['random'].networks)}</td><td>0</td><td>0</td><td>0</td>" in text
    assert f"2 of {len(results.networks)} here" in text


def test_arms_share_seeds_and_differ_from_upstream(finished):
    run = load_run(finished[0] / "real")
    seeds = {
        arm: [row.seed for row in run.networks if row.arm == arm]
        for arm in ("scratch", "pretrained", "covariance")
    }
    assert seeds["scratch"] == seeds["pretrained"] == seeds["covariance"] == [21_800, 21_801]
    assert [row.source for row in run.networks if row.arm == "pretrained"] == [0, 1]


def test_complete_stages_are_not_run_again(finished, monkeypatch):
    workdir, finding = finished
    before = (workdir / "upstream" / "metrics.jsonl").read_bytes()

    def refuse(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr("randlabels.training.loop.run_epochs", refuse)
    again = run.run_study(STUDY, workdir, "smoke")
    assert [v.value for v in again.verdicts] == [v.value for v in finding.verdicts]
    assert (workdir / "upstream" / "metrics.jsonl").read_bytes() == before


def test_another_budget_in_the_same_workdir_is_refused(finished):
    with pytest.raises(InputError, match="holds quickstart at budget smoke; use another for"):
        run.run_study(STUDY, finished[0], "full")


def test_what_a_killed_study_did_not_finish_is_made(finished):
    """A figure of an analysis that is missing, one that was cut, and the page."""
    workdir, finding = finished
    upstream = workdir / "upstream"
    missing, cut, *_ = sorted((upstream / "figures").glob("*.png"))
    before = {path: path.read_bytes() for path in (missing, upstream / "analysis/alignment.json")}
    missing.unlink()
    cut.write_bytes(cut.read_bytes()[:100])
    (workdir / "report.html").unlink()
    (workdir / "figures" / "left.png.1.2.tmp").touch()
    again = run.run_study(STUDY, workdir, "smoke")
    assert {path: path.read_bytes() for path in before} == before
    assert cut.stat().st_size > 1000
    assert (workdir / "report.html").exists()
    assert not list(workdir.rglob("*.tmp"))
    assert [v.value for v in again.verdicts] == [v.value for v in finding.verdicts]


@pytest.mark.parametrize("name", ["alignment.json", "manifest.json"])
def test_an_analysis_that_was_changed_is_made_anew(finished, name):
    """By a digit, or what proves it is gone."""
    upstream = finished[0] / "upstream"
    path, original = upstream / "analysis" / name, load_alignment(upstream).to_json()
    changed = path.read_text().replace("1", "2", 1)
    path.unlink()
    if name == "alignment.json":
        path.write_text(changed)
    with pytest.raises(InputError, match=r"alignment.json is damaged .*; analyse the run again"):
        load_alignment(upstream)
    run.run_study(STUDY, finished[0], "smoke")
    assert load_alignment(upstream).to_json() == original
