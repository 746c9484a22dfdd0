"""Records of studies: what one holds, and that those of this repository are not out of date."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from randlabels.configs import base
from randlabels.errors import InputError
from randlabels.networks import Network
from randlabels.records import file_digest, plain
from randlabels.runs import Run
from randlabels.studies import find_study, study_modules
from randlabels.studies import record as record_module
from randlabels.studies.declare import Claim, Primary, Results, Stage, Study, Tuning
from randlabels.studies.finding import Finding
from randlabels.studies.record import (
    RESULTS,
    check_recordable,
    differing,
    judge_again,
    judge_all,
    judged_again,
    read_record,
    stale_stages,
    write_record,
)
from randlabels.studies.resolve import resolve
from randlabels.studies.verdicts import judge

RECORDED = sorted(path.stem for path in RESULTS.glob("*.json"))

STATUS = {
    "started": "2025-01-01T00:00:00+00:00",
    "updated": "2025-01-01T00:01:30+00:00",
    "versions": {"jax": "1.2"},
    "devices": ["cpu cpu"],
    "cpus": 2,
    "git_revision": "abc",
}
STUDY = Study(
    name="planted",
    title="A planted study",
    paper_item="Figure 9",
    stages=(
        Stage("up", "simple_cnn.dead_leaves", changes={"train.checkpoint_epochs": (0, 2)}),
        Stage("down", "simple_cnn.cifar10", reads="up", at={"seed": (base.SAME, base.SAME, 7)}),
        Stage("other", "simple_cnn.cifar10", optional=True),
    ),
    read=lambda results: [1.0, 2.0, 3.0, 2.0, 1.0, np.nan, 2.0],
    claims=(Claim("c", "It is.", "Figure 9", "m", of=lambda reading: reading, threshold=-1.0),),
    figures=lambda reading: {},
    tables=lambda reading: {},
    primary={"c": Primary(0.1, "It is not.")},
    tuning=Tuning((0,), "Rates were."),
)


def run_in(workdir, data_dir=""):
    """A finished run of the stage that the folder is called by."""
    stage = next(stage for stage in STUDY.stages if stage.name == workdir.name)
    config = resolve(stage, "smoke")
    config.data.data_dir, config.init.run = data_dir, str(workdir.parent / "up")
    networks = (
        Network(0, "scratch", seed=3, label_seed=5),
        Network(1, "scratch", seed=2, label_seed=5, diverged_epoch=1),
    )
    return Run(workdir, plain(config.to_dict()), networks, [], STATUS, (0,))


@pytest.fixture
def finding(tmp_path):
    workdir = tmp_path / "work"
    (workdir / "figures").mkdir(parents=True)
    (workdir / "figures" / "curves.png").write_bytes(b"new")
    runs = {
        "up": run_in(workdir / "up"),
        "down": run_in(workdir / "down", data_dir=str(tmp_path / "somewhere")),
    }
    return Finding(
        STUDY,
        "smoke",
        "testing",
        Results(workdir, runs, {}),
        verdicts=judge(STUDY.claims, STUDY.primary, STUDY.read(None)),
        tables={"arms": [{"arm": "a", "steps": 3}]},
        captions={"curves.png": "Curves."},
        seconds=1.0,
    )


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "results"
    found.mkdir()
    return found


def test_a_record_holds_what_is_needed_to_get_it_again(finding, folder):
    path = write_record(finding, "Copies are JPEGs.", folder)
    record = read_record("planted", folder)
    assert record == json.loads(path.read_text())
    assert path == folder / "planted.json"
    assert record["command"] == (
        "python -m randlabels.reproduce --study=planted --budget=smoke --workdir=runs/planted "
        "--data_dir=datasets"
    )
    assert record["note"] == "Copies are JPEGs."
    assert record["training_seconds"] == 180
    assert record["claims"]["c"]["values"] == [1.0, 2.0, 3.0, 2.0, 1.0, None, 2.0]
    assert record["primary"] == ["c"]
    assert record["claims"]["c"]["outcome"] == "supported"
    assert record["tables"] == {"arms": [{"arm": "a", "steps": 3}]}
    assert list(record["stages"]) == ["up", "down"]
    down = record["stages"]["down"]
    assert [down[n] for n in ("networks", "diverged", "dead", "untrained")] == [2, 1, 0, 0]
    assert (down["seeds"], down["label_seeds"], down["data_seed"]) == ([2, 3], [5], 20_000)
    assert down["differs_from_base"]["seed"] == 20_007
    assert record["stages"]["up"]["differs_from_base"]["train.checkpoint_epochs"] == [0, 2]
    assert record["base"]["seed"] == 0
    assert (down["versions"], down["devices"]) == ({"jax": "1.2"}, ["cpu cpu"])
    assert record["judged_by"]["seconds"] == 1.0


def test_a_record_holds_the_config_that_was_trained(finding, folder):
    """Not the one that the study declares: what does not agree is stale from the beginning."""
    finding.results.runs["up"].config["optimizer"]["learning_rate"] = 123.0
    write_record(finding, folder=folder)
    record = read_record("planted", folder)
    assert record["stages"]["up"]["differs_from_base"]["optimizer.learning_rate"] == 123.0
    assert stale_stages(record, STUDY) == ["up"]


def test_a_record_names_no_place_on_a_machine(finding, folder, tmp_path):
    text = write_record(finding, folder=folder).read_text()
    assert str(tmp_path) not in text
    assert str(Path.home()) not in text
    assert '"/' not in text
    assert "=/" not in text


def test_pictures_are_copied_and_old_ones_of_the_study_removed(finding, folder):
    for old in ("planted-curves.png", "planted-gone.png", "planted2-kept.png"):
        (folder / old).write_bytes(b"old")
    write_record(finding, folder=folder)
    pictures = {path.name: path.read_bytes() for path in folder.glob("*.png")}
    assert pictures == {"planted-curves.png": b"new", "planted2-kept.png": b"old"}
    assert read_record("planted", folder)["pictures"] == {"planted-curves.png": "Curves."}


@pytest.mark.parametrize(
    ("study", "budget", "there", "sentence"),
    [
        ("fig5", "short", False, "which is not there; use it in a checkout"),
        ("my_lab.wide", "short", True, "'my_lab.wide' is none"),
        ("fig5", "smoke", True, "needs --budget=short or full"),
    ],
)
def test_what_cannot_be_recorded_is_said_before_anything_runs(
    tmp_path, study, budget, there, sentence
):
    folder = tmp_path if there else tmp_path / "nowhere"
    with pytest.raises(InputError, match=sentence) as caught:
        check_recordable(study, budget, folder=folder)
    assert "\n" not in str(caught.value)
    check_recordable("fig5", "full", folder=tmp_path)
    with pytest.raises(InputError, match="--record needs testing seeds"):
        check_recordable("fig5", "full", folder=tmp_path, seeds="tuning")


@pytest.mark.parametrize("note", ["a\nb", "<!-- end -->", "from /home/x", "a | b"])
def test_a_note_is_a_line_of_prose(tmp_path, note):
    with pytest.raises(InputError, match="one line of prose"):
        check_recordable("fig5", "short", note, tmp_path)
    check_recordable("fig5", "short", "A JPEG copy, of owner/name.", tmp_path)


def test_a_short_run_does_not_replace_a_full_one_and_a_cut_record_is_named(tmp_path):
    (tmp_path / "fig5.json").write_text('{"study": "fig5", "budget": "full"}')
    with pytest.raises(InputError, match="recorded at full"):
        check_recordable("fig5", "short", folder=tmp_path)
    (tmp_path / "fig5.json").write_text('{"study": "fi')
    with pytest.raises(InputError, match=r"fig5\.json is damaged"):
        read_record("fig5", tmp_path)
    (tmp_path / "fig5.json").write_text('{"study": "fig1"}')
    with pytest.raises(InputError, match="no record of fig5"):
        read_record("fig5", tmp_path)


def test_names_of_a_study_are_checked_before_anything_runs():
    with pytest.raises(ValueError, match="'up' twice"):
        dataclasses.replace(STUDY, stages=(*STUDY.stages, STUDY.stages[0]))
    with pytest.raises(ValueError, match="reads 'up', no earlier stage"):
        dataclasses.replace(STUDY, stages=STUDY.stages[1:])
    one = Primary(1.0, "")
    with pytest.raises(ValueError, match="no claim 'x' to be primary"):
        dataclasses.replace(STUDY, primary={"x": one})
    with pytest.raises(ValueError, match="has 0 primary claims; it may have 1 to 4"):
        dataclasses.replace(STUDY, primary={})
    with pytest.raises(ValueError, match="smallest effect of interest of 'c' is -1"):
        dataclasses.replace(STUDY, primary={"c": Primary(-1.0, "")})
    ratio = dataclasses.replace(STUDY.claims[0], scale="ratio")
    with pytest.raises(ValueError, match="claim 'c' is about ratios; its threshold is above 0"):
        dataclasses.replace(STUDY, claims=(ratio,))
    with pytest.raises(ValueError, match="'c', the premise of 'c', is no earlier primary claim"):
        dataclasses.replace(STUDY, primary={"c": Primary(1.0, "", premise="c")})


def test_a_study_that_was_not_recorded_has_no_record(folder):
    assert read_record("planted", folder) is None


def test_what_has_tuning_seeds_is_not_recorded(finding, folder):
    with pytest.raises(InputError, match="needs testing seeds"):
        write_record(dataclasses.replace(finding, seeds="tuning"), folder=folder)


def test_a_recipe_that_changes_makes_a_record_stale(finding, folder):
    write_record(finding, folder=folder)
    record = read_record("planted", folder)
    assert stale_stages(record, STUDY) == []
    # A field that the record does not know, at its default and elsewhere.
    younger = json.loads(json.dumps(record))
    del younger["base"]["train.loss"], younger["base"]["model.filters"]
    younger["stages"]["down"]["differs_from_base"].pop("model.filters")
    assert stale_stages(younger, STUDY) == ["down"]
    changes = {
        "value": lambda found: found["stages"]["up"]["differs_from_base"].update({"seed": 3}),
        "default": lambda found: found["base"].update({"labels.noise": 0.5}),
        "removed": lambda found: found["base"].update({"train.speed": 3}),
        "recipe": lambda found: found["stages"]["up"].update(recipe="conv_net"),
        "reads": lambda found: found["stages"]["up"].update(reads="down"),
        "stage": lambda found: found["stages"].update(gone=found["stages"]["up"]),
    }
    for name, change in changes.items():
        changed = json.loads(json.dumps(record))
        change(changed)
        assert stale_stages(changed, STUDY), name


def test_only_studies_are_recorded():
    assert set(RECORDED) <= set(study_modules())


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_studies_are_what_they_were(name):
    """If this fails the study has to be recorded again."""
    record, study = read_record(name), find_study(name)
    assert record["study"] == name
    assert stale_stages(record, study) == []
    missing = [stage for stage in study.stages if stage.name not in record["stages"]]
    assert all(stage.optional for stage in missing)
    assert record["primary"] == list(study.primary)
    declared = [(c.name, c.statement, c.place, c.unit, c.threshold) for c in study.claims]
    fields = ("name", "statement", "place", "unit", "threshold")
    assert [tuple(c[field] for field in fields) for c in record["claims"].values()] == declared
    assert '"/' not in (RESULTS / f"{name}.json").read_text()
    assert record["budget"] != "smoke"
    assert (record["title"], record["paper_item"]) == (study.title, study.paper_item)
    assert record["tuning"] == plain(dataclasses.asdict(study.tuning))
    digests = {path.name: file_digest(path) for path in RESULTS.glob(f"{name}-*.png")}
    assert digests == record["picture_digests"]
    assert set(digests) == set(record["pictures"])


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_outcomes_follow_from_the_recorded_values(name):
    record = read_record(name)
    judged = judged_again(record, find_study(name))
    assert judged.keys() == record["claims"].keys()
    for claim, verdict in judged.items():
        assert differing(record["claims"][claim], verdict) == []


@pytest.mark.parametrize("field", ["value", "interval", "p_adjusted", "reason", "values"])
def test_a_verdict_that_differs_is_noticed(finding, folder, field):
    write_record(finding, folder=folder)
    verdict = read_record("planted", folder)["claims"]["c"]
    assert differing(verdict, verdict) == []
    other = {"interval": [0.0, 3.0], "reason": "", "values": [1.0] * 7}.get(field, 0.001)
    assert differing(verdict | {field: other}, verdict) == [field]


def test_a_record_is_judged_again_where_a_rule_would_have_it_otherwise(
    finding, folder, monkeypatch
):
    write_record(finding, folder=folder)
    written = (folder / "planted.json").read_bytes()
    assert judge_again(STUDY, folder) is None
    larger = dataclasses.replace(STUDY, primary={"c": Primary(10.0, "It is not.")})
    monkeypatch.setattr(record_module, "all_studies", lambda: {"planted": larger})
    assert judge_all(folder, write=False) == ["planted"]
    assert (folder / "planted.json").read_bytes() == written
    assert judge_all(folder) == ["planted"]
    assert judge_all(folder) == []
    record = read_record("planted", folder)
    assert record["claims"]["c"]["outcome"] == "equivalent"
    assert record["claims"]["c"]["values"] == [1.0, 2.0, 3.0, 2.0, 1.0, None, 2.0]
    assert record["judged_again_by"]
    assert record["judged_by"] == json.loads(written)["judged_by"]


def test_values_that_a_record_lacks_are_not_judged_again(finding, folder):
    write_record(finding, folder=folder)
    other = dataclasses.replace(STUDY.claims[0], name="other")
    study = dataclasses.replace(STUDY, claims=(other,), primary={"other": STUDY.primary["c"]})
    with pytest.raises(InputError, match="does not have the values of all its claims"):
        judge_again(study, folder)
    assert judge_again(dataclasses.replace(STUDY, name="unrecorded"), folder) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("values", []),
        ("values", [None] * 7),
        ("values", [1.0, 2.0, 3.0]),
        ("values", [True] * 7),
        ("values", [1.0, [2.0, 3.0]]),
        ("values", [10**400]),
        ("values", ["1"]),
        ("value", 1.7),
        ("seeds", 5),
        ("statement", "Another is."),
        ("unit", "km"),
        ("threshold", 0.0),
    ],
)
def test_values_that_are_not_those_that_were_judged_are_not_judged_again(
    finding, folder, field, value
):
    path = write_record(finding, folder=folder)
    record = json.loads(path.read_text())
    record["claims"]["c"] |= {field: value, "outcome": "undecided"}
    path.write_text(json.dumps(record))
    written = path.read_bytes()
    with pytest.raises(InputError, match="record the study again"):
        judge_again(STUDY, folder)
    assert path.read_bytes() == written


def test_a_record_with_other_claims_is_not_judged_again(finding, folder):
    path = write_record(finding, folder=folder)
    record = json.loads(path.read_text())
    record["claims"]["more"] = record["claims"]["c"]
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match="it has other claims"):
        judge_again(STUDY, folder)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("stages", {}, "a stage of it is missing"),
        ("primary", [], "it has other primary claims"),
        ("primary", ["c", "c"], "it has other primary claims"),
        ("budget", "full", "its stages had other recipes"),
        ("budget", "huge", "record the study again"),
    ],
)
def test_a_record_that_says_otherwise_what_was_claimed_or_run_is_refused(
    finding, folder, field, value, sentence
):
    path = write_record(finding, folder=folder)
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(InputError, match=sentence):
        judge_again(STUDY, folder)


@pytest.mark.parametrize("true", [3.1e-31, 2.5e-11, 0.03])
def test_p_values_are_compared_however_small_they_are(true):
    verdict = {"p": true, "p_adjusted": true, "p_sign_flip": true, "value": 0.0}
    assert differing(verdict | {"p": true * (1 + 1e-9), "value": 1e-15}, verdict) == []
    for field in ("p", "p_adjusted", "p_sign_flip"):
        assert differing(verdict | {field: true * 1.001}, verdict) == [field]


@pytest.mark.parametrize(
    "damage",
    [
        {"started": "x"},
        {"updated": "2026-13-99"},
        {"started": "2025-01-01T00:00:00"},
        {"git_revision": None},
    ],
)
def test_a_damaged_status_is_refused_before_anything_is_written(finding, folder, damage):
    status = {k: v for k, v in (STATUS | damage).items() if v is not None}
    run = dataclasses.replace(finding.results.runs["up"], status=status)
    runs = finding.results.runs | {"up": run}
    results = dataclasses.replace(finding.results, runs=runs)
    with pytest.raises(InputError, match=r"a status.json of planted is damaged"):
        write_record(dataclasses.replace(finding, results=results), folder=folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "\xff"])
def test_a_record_that_is_no_record_is_one_sentence(folder, text):
    (folder / "planted.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="record the study again"):
        read_record("planted", folder)
    (folder / "planted.json").unlink()
    (folder / "planted.json").mkdir()
    with pytest.raises(InputError, match="record the study again"):
        read_record("planted", folder)


def test_censored_values_are_judged_again_as_they_were(finding, folder):
    """JSON holds neither NaN nor infinity."""
    bounds = np.array([[1.2, 1.2], [1.4, np.inf], [np.nan, np.nan], [1.3, 1.3]] * 3)
    claim = dataclasses.replace(STUDY.claims[0], of=lambda reading: bounds, scale="ratio")
    claim = dataclasses.replace(claim, threshold=1.0)
    study = dataclasses.replace(STUDY, claims=(claim,), primary={"c": Primary(1.1, "It is not.")})
    verdicts = judge(study.claims, study.primary, None)
    assert verdicts[0].method == "median"
    write_record(dataclasses.replace(finding, verdicts=verdicts), folder=folder)
    record = read_record("planted", folder)
    assert judged_again(record, study) == record["claims"]
