"""Documents: generated parts are those of the records, and prose holds no measured numbers."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from randlabels.errors import InputError
from randlabels.studies import documents, study_modules
from randlabels.studies import record as record_module
from randlabels.studies.record import RESULTS, ROOT

STUDY_DOCUMENTS = sorted(RESULTS.glob("*.md"))

# Of numbers by hand: decimals, percentages, durations, powers of ten, and what follows ±.
MEASURED = re.compile(
    r"\.\d"
    r"|\d\s*(?:%|per ?cent\b)"
    r"|\d[eE][-+]?\d"
    r"|±\s*\d"
    r"|\d\s*(?:ms|s|sec|seconds?|min|minutes?|h|hours?|days?)\b"
)
# Not measured: names, versions and definitions; the duration is a promise of launch/quickstart.sh.
ALLOWED = (
    "arXiv:2006.10455",
    "Section 2.5",
    "Python 3.11",
    "Apache-2.0",
    "95% intervals",
    "takes about 4 minutes on 2 CPU cores",
)
GENERATED = re.compile(r"^<!-- begin: [^\n]*-->\n.*?^<!-- end -->$", re.DOTALL | re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
RECORD_LINK = re.compile(r'\[(?:[^\[\]]|\[[^\[\]]*\])*\]\([\w/.-]+\.json\s+"[^"]+"\)')
TARGET = re.compile(r"\]\(([^()\s]+)\)")


def prose(text):
    """What is written by hand: outside blocks, links to records and code, on one line."""
    for part in (GENERATED, FENCE, re.compile(r"`[^`]*`"), RECORD_LINK):
        text = part.sub(" ", text)
    return " ".join(TARGET.sub("]", text).split())  # a sentence may be broken anywhere


def numbers_by_hand(text):
    """The measured numbers in prose, with what stands around them."""
    text = prose(text)
    for phrase in ALLOWED:
        text = text.replace(phrase, "")
    return [text[max(m.start() - 30, 0) : m.end() + 10] for m in MEASURED.finditer(text)]


def relative(path):
    return str(path.relative_to(ROOT))


def test_every_generated_part_is_what_the_records_make_of_it():
    assert documents.refresh_all(write=False) == []


def test_a_damaged_record_is_one_sentence(monkeypatch):
    whole = documents.read_record("fig6")
    for field, value in (("claims", []), ("stages", []), ("tables", None), ("finished", 3)):
        damaged = {"fig6": whole | {field: value}}
        monkeypatch.setattr(
            documents,
            "read_record",
            lambda name, *a, d=damaged: d.get(name) or record_module.read_record(name, *a),
        )
        with pytest.raises(InputError, match="is damaged .*; restore it, or record") as error:
            documents.refresh_all(write=False)
        assert "\n" not in str(error.value)


def test_pictures_that_are_not_those_of_the_records_are_found(tmp_path, monkeypatch):
    assert documents.changed_pictures() == []
    for path in RESULTS.iterdir():
        shutil.copy(path, tmp_path / path.name)
    monkeypatch.setattr(documents, "RESULTS", tmp_path)
    first, second, *_ = sorted(tmp_path.glob("fig*.png"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1])
    assert sorted(documents.changed_pictures()) == [first, second]
    (tmp_path / "fig0.png").touch()  # of no record
    assert sorted(documents.changed_pictures()) == [tmp_path / "fig0.png", first, second]


def test_a_record_that_lists_no_pictures_is_one_sentence(monkeypatch):
    whole = record_module.read_record("fig3")
    for digests in (None, [], "x"):
        damaged = whole | {"picture_digests": digests}
        monkeypatch.setattr(documents, "read_record", lambda name, d=damaged: d)
        with pytest.raises(InputError, match="is damaged .it lists no pictures."):
            documents.changed_pictures()


@pytest.mark.parametrize("damage", ["no text", "folder"])
def test_a_document_that_cannot_be_read_is_one_sentence_and_nothing_is_written(
    tmp_path, monkeypatch, damage
):
    stale, spoiled = tmp_path / "README.md", tmp_path / "spoiled.md"
    text = (ROOT / "README.md").read_text()
    stale.write_text(text.replace("| supported |", "| contradicted |"))
    spoiled.write_bytes(b"\xff\xfe") if damage == "no text" else spoiled.mkdir()
    monkeypatch.setattr(documents, "document_paths", lambda: [stale, spoiled])
    with pytest.raises(InputError, match=r"spoiled.md, or a record that it reads, is damaged"):
        documents.refresh_all()
    assert "| contradicted |" in stale.read_text()
    monkeypatch.setattr(documents, "document_paths", lambda: [stale])
    with monkeypatch.context() as full:
        full.setattr(documents.records, "replace_text", disk_full)
        with pytest.raises(InputError, match="the disk is full; make space"):
            documents.refresh_all()
    assert documents.refresh_all() == [stale]
    assert stale.read_text() == text


def disk_full(path, text):
    raise OSError(28, "No space left on device", str(path))


def test_front_door_4_checks():
    done = subprocess.run(
        [sys.executable, "-m", "randlabels.document", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "Made anew: nothing\n"), done.stderr


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", ROOT / "docs" / "results.md", *STUDY_DOCUMENTS], ids=relative
)
def test_prose_holds_no_measured_number(path):
    assert numbers_by_hand(path.read_text()) == []


@pytest.mark.parametrize(
    "planted",
    [
        "It is 1.21 times faster.",
        "It is .5 at the end.",
        "A gain of +.021\nand more.",
        "It reaches 60% in the end.",
        "It reaches 60\n% in the end.",
        "60 percent of units",
        "It took 9 minutes.",
        "In 12 s it is done.",
        "In 12.7 s it is done.",
        "135 ± 4 steps",
        "smaller than 1e-14",
        "[.95](fig5.md)",
        "![Speed-up 1.3](fig5-transfer.png)",
        "```\n.5\n```\nis .5\n```\n.5\n```",
        "<!-- begin: run -->\n.5\n<!-- end -->\nis .5\n<!-- begin: claims -->\n.5\n<!-- end -->",
        '[.5](fig5.json "claims.x") is .5',
        "`a` is .5 of `b`",
    ],
)
def test_a_planted_number_is_found(planted):
    assert len(numbers_by_hand(f"# Title\n\n{planted}\n")) == 1


@pytest.mark.parametrize(
    "innocent",
    [
        "4,000 images of 16x16, 5 random classes, epochs 5, 10 and 20.",
        "at `optimizer.learning_rate=0.003`, see [fig5](fig5.md) and docs/results.md.",
        '[1.21 [1.13, 1.25]](fig5.json "claims.pretrained_real") times, k / 75',
        '[1.21](docs/results/fig5.json\n"claims.pretrained_real.value .2f") times',
        "```\nsleep 1.5  # 5 s\n```",
        "<!-- begin: run -->\nIt took 9.5 minutes.\n<!-- end -->",
        "See [the paper](https://arxiv.org/abs/2006.10455), Section 2.5.",
    ],
)
def test_what_is_no_measured_number_is_left_alone(innocent):
    assert numbers_by_hand(innocent) == []


@pytest.mark.parametrize("path", STUDY_DOCUMENTS, ids=relative)
def test_outcomes_of_what_is_recorded_come_from_the_record(path):
    """By hand they stay when the record changes."""
    if path.with_suffix(".json").exists():
        words = re.findall(
            r"(?i)\b(supported|contradicted|equivalent|undecided|not tested)\b",
            prose(path.read_text()),
        )
        assert words == []


def test_the_readme_and_the_index_show_the_records():
    assert "<!-- begin: paper -->" in (ROOT / "README.md").read_text()
    assert "<!-- begin: index -->" in (ROOT / "docs" / "results.md").read_text()


def test_every_study_has_a_document_and_every_document_a_study():
    assert sorted(path.stem for path in STUDY_DOCUMENTS) == sorted(study_modules())


@pytest.mark.parametrize("path", STUDY_DOCUMENTS, ids=relative)
def test_every_study_document_shows_its_run_and_its_claims(path):
    kinds = re.findall(r"^<!-- begin: (.+) -->$", path.read_text(), re.MULTILINE)
    assert kinds[:2] == ["run", "claims"]
    assert len(set(kinds)) == len(kinds)


def test_every_picture_is_shown_and_every_link_leads_somewhere():
    targets = {
        (path.parent / target).resolve()
        for path in documents.document_paths()
        for target in TARGET.findall(FENCE.sub("", path.read_text()))
        if not target.startswith(("https:", "#"))
    }
    assert [target for target in targets if not target.exists()] == []
    pictures = {path.resolve() for path in (ROOT / "docs").rglob("*.png")}
    assert pictures - targets == set()


VERDICT = {
    "name": "faster",
    "statement": "It is faster.",
    "place": "Figure 9",
    "unit": "steps | steps",
    "threshold": 1.0,
    "values": [1.2, 1.3, 1.1],
    "seeds": 3,
    "value": 1.2,
    "interval": [1.1, 1.3],
    "scale": "ratio",
    "method": "t of logs",
    "p": 0.0125,
    "p_sign_flip": 0.25,
    "p_adjusted": 0.025,
    "smallest": 1.05,
    "against": "It is slower.",
    "premise": "",
    "outcome": "supported",
    "reason": "it lies above 1",
}
ESTIMATE = VERDICT | {
    "name": "longer",
    "statement": "It is longer.",
    "p_adjusted": None,
    "smallest": None,
    "against": "",
    "outcome": "estimate",
    "reason": "",
}
RECORD = {
    "study": "planted",
    "title": "A planted study",
    "paper_item": "Figure 9",
    "budget": "short",
    "command": "python -m randlabels.reproduce --study=planted",
    "note": "Copies are JPEGs.",
    "finished": "2025-01-02T03:04:05+00:00",
    "judged_by": {"git_revision": "def", "seconds": 3.0},
    "training_seconds": 120.0,
    "tuning": {"seeds": [0, 1, 2, 7, 10, 9], "note": "Rates were."},
    "primary": ["faster"],
    "stages": {
        "up": {
            "networks": 3,
            "diverged": 1,
            "git_revision": "abc",
            "versions": {"jax": "1.2"},
            "devices": ["cpu cpu", "cpu cpu"],
            "cpus": 4,
            "seconds": 120.0,
        }
    },
    "claims": {"faster": VERDICT, "longer": ESTIMATE},
    "tables": {
        "arms": [{"arm": "a|b", "f at .1": 0.25, "share": None}, {"arm": "c", "one": 1}],
        "none": [],
    },
    "pictures": {"planted-curves.png": "Curves."},
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "planted.json").write_text(json.dumps(RECORD))
    return tmp_path


def made(kind, folder, name="planted"):
    """The lines of a block."""
    text = f"Before.\n\n<!-- begin: {kind} -->\nold\n<!-- end -->\n\nAfter.\n"
    lines = documents.refreshed(text, name, folder).splitlines()
    assert (lines[0], lines[2]) == ("Before.", f"<!-- begin: {kind} -->")
    assert lines[-3:] == ["<!-- end -->", "", "After."]
    return lines[3:-3]


def test_a_run_says_all_that_is_needed_to_get_it_again(folder):
    assert made("run", folder) == [
        "```",
        "python -m randlabels.reproduce --study=planted",
        "```",
        "",
        "3 networks in 1 runs, 1 diverged; 2 minutes of training on 2 × cpu of 4 cores; "
        "revision abc, judged by def; jax 1.2; 2025-01-02.",
        "Copies are JPEGs.",
        "Tuning (seeds 0 to 2, 7, 9 to 10): Rates were.",
    ]


def test_a_run_says_how_many_networks_are_in_which_state(folder):
    stages = {"a": {"dead": 0, "untrained": 2}, "b": {"dead": 1, "untrained": 3}}
    stages = {name: RECORD["stages"]["up"] | states for name, states in stages.items()}
    (folder / "planted.json").write_text(json.dumps(RECORD | {"stages": stages}))
    assert (
        "6 networks in 2 runs, 2 diverged, 1 dead, 5 untrained; 2 minutes" in made("run", folder)[4]
    )


def test_claims_and_tables_are_tables_whatever_their_cells_hold(folder):
    lines = made("claims", folder)
    assert lines[2:4] == [
        "| It is faster. Against it: It is slower. | Figure 9 | 1.20 [1.10, 1.30], claimed above 1 "
        "| steps \\| steps | 1.05 | 3 | 0.013 | 0.25 | 0.025 | supported |",
        "",
    ]
    # An estimate has no word that decides.
    assert lines[6:] == [
        "| It is longer. | Figure 9 | 1.20 [1.10, 1.30], claimed above 1 | steps \\| steps | 3 | "
        "0.013 |"
    ]
    assert made("table arms", folder) == [
        "| arm | f at .1 | share | one |",
        "|---|---|---|---|",
        "| a\\|b | 0.25 |  |  |",
        "| c |  |  | 1 |",
    ]
    assert made("table none", folder) == ["The table has no rows."]


def test_a_picture_has_its_caption(folder):
    assert made("picture curves", folder) == ["![Curves.](planted-curves.png)", "", "*Curves.*"]


def test_a_claim_with_too_few_values_says_why(folder):
    few = VERDICT | {"interval": None, "p": None, "outcome": "undecided", "reason": "1 of 3 seeds"}
    (folder / "planted.json").write_text(json.dumps(RECORD | {"claims": {"faster": few}}))
    assert made("claims", folder)[2].endswith(" undecided: 1 of 3 seeds |")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "1.20 [1.10, 1.30]"),
        ({"value": 0.0}, "0.00 [1.10, 1.30]"),
        ({"value": -3.9e-18}, "0.00 [1.10, 1.30]"),
        ({"value": -1234.56, "interval": [-2000.0, 99.96]}, "-1,235 [-2,000, 100]"),
        ({"interval": [None, None]}, "1.20 [-∞, ∞]"),
        ({"interval": [1.0, None]}, "1.20 [1.00, ∞]"),
        ({"interval": None}, "1.20"),
        ({"value": None, "interval": None}, "no value"),
        ({"value": None}, "open [1.10, 1.30]"),
    ],
)
def test_text_of_a_verdict(changes, text):
    assert documents.verdict_text(VERDICT | changes) == text


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("claims.faster", "1.20 [1.10, 1.30]"),
        ("claims.faster.value", "1.2"),
        ("claims.faster.value .2f", "1.20"),
        ("claims.faster.value +.1f", "+1.2"),
        ("claims.faster.interval.1 .0%", "130%"),
        ("claims.faster.outcome", "supported"),
        ("tables.arms.0.f at .1", "0.25"),
        ("tables.arms.0.f at .1 .1f", "0.2"),
        ("pictures.planted-curves.png", "Curves."),
    ],
)
def test_text_of_a_field(field, text):
    assert documents.field_text(RECORD, field) == text


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("claims.slower", "has no field 'claims.slower'"),
        ("claims.faster.worth .2f", "has no field 'claims.faster.worth'"),
        ("tables.arms.2.arm", "has no field"),
        ("tables.arms.-1.arm", "has no field"),
        ("claims.faster.value.0", "has no field"),
        ("claims", "'claims' of the record of planted cannot be shown"),
        ("claims.faster .2f", "cannot be shown"),
        ("claims.faster.outcome .2f", "cannot be shown"),
        ("tables.arms.0.share", "cannot be shown"),
    ],
)
def test_a_wrong_field_is_one_sentence(field, sentence, folder):
    with pytest.raises(InputError, match=re.escape(sentence)):
        documents.refreshed(f'[1](planted.json "{field}")', "planted", folder)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "<!-- begin: tabel arms -->\n<!-- end -->",
            "it may be paper, index, run, claims, table",
        ),
        ("<!-- begin: table legs -->\n<!-- end -->", "table 'legs'; the record has arms, none"),
        ("<!-- begin: picture arms -->\n<!-- end -->", "'arms'; the record has planted-curves.png"),
        ("a\n<!-- begin: run -->\n", "planted.md, line 2: a block begins and ends"),
        ("a\n<!-- end -->\n", "line 2: a block begins and ends"),
        ("<!-- begin: run -->\nprose\n<!-- begin: claims -->\n<!-- end -->", "line 1: a block"),
        ('[1](fig99.json "claims.x")', "links to fig99.json, which is not recorded"),
    ],
)
def test_a_wrong_block_or_link_is_one_sentence(text, sentence, folder):
    with pytest.raises(InputError, match=re.escape(sentence)) as caught:
        documents.refreshed(text, "planted", folder)
    assert "\n" not in str(caught.value)


def test_blocks_of_a_study_that_is_not_recorded(folder):
    assert made("run", folder, "fig1") == ["Not recorded yet."]
    with pytest.raises(InputError, match="may be paper"):
        made("tabel arms", folder, "fig1")
    with pytest.raises(InputError, match="no study 'README'"):
        made("run", folder, "README")


def test_tables_of_all_studies(folder):
    (folder / "fig1.json").write_text(json.dumps(RECORD | {"study": "fig1"}))
    for kind in ("paper", "index"):
        lines = made(kind, folder, "README")
        assert any("not recorded yet" in line for line in lines)
        assert len({line.count("|") - line.count("\\|") for line in lines}) == 1
    about = next(line for line in made("index", folder) if "[fig1]" in line)
    assert about.endswith("| A planted study (Figure 9) | short | 1, 0, 0, 0, 0 | 1 |")
    assert "[fig1](docs/results/fig1.md) | Figure 9 | 1.20 [1.10, 1.30]" in "\n".join(
        made("paper", folder)
    )


def test_what_is_decided_in_a_study_has_to_hold_over_all_of_them(folder):
    def record(study, p, outcome="supported"):
        verdict = VERDICT | {"p": p, "p_adjusted": p, "outcome": outcome}
        text = json.dumps(RECORD | {"study": study, "claims": {"faster": verdict}})
        (folder / f"{study}.json").write_text(text)

    record("fig1", 0.04)
    assert documents.q_values(folder) == {"fig1.faster": 0.04}
    (row,) = (line for line in made("paper", folder, "README") if "[fig1]" in line)
    assert row.endswith("| 0.04, q 0.04; 0.25 | 3 | short | supported |")
    for study in ("fig2", "fig3"):
        record(study, 0.9, "undecided")
    assert documents.q_values(folder)["fig1.faster"] == pytest.approx(0.12)
    first, second = (
        next(line for line in made("paper", folder, "README") if f"[{study}]" in line)
        for study in ("fig1", "fig2")
    )
    assert first.endswith("| 0.04, q 0.12; 0.25 | 3 | short | undecided over all studies |")
    assert second.endswith("| undecided |")
    record("fig4", None, "not tested")
    assert "fig4.faster" not in documents.q_values(folder)


def test_links_and_blocks_follow_the_record(folder):
    text = (
        'It is [0.00 [0.00, 9]](planted.json "claims.faster") or [old](a/planted.json\n'
        '"claims.faster.value .1f"), see [a](b.md).\n<!-- begin: claims -->\n<!-- end -->\n'
    )
    before = documents.refreshed(text, "planted", folder)
    assert before.startswith(
        'It is [1.20 [1.10, 1.30]](planted.json "claims.faster") or [1.2](a/planted.json '
        '"claims.faster.value .1f"), see [a](b.md).\n'
    )
    assert documents.refreshed(before, "planted", folder) == before
    changed = VERDICT | {"value": 2.0, "interval": [1.5, 2.5]}
    claims = {"faster": changed, "longer": ESTIMATE}
    (folder / "planted.json").write_text(json.dumps(RECORD | {"claims": claims}))
    after = documents.refreshed(before, "planted", folder)
    estimated = before.index("| estimate of |")
    new = before.replace("1.20 [1.10, 1.30]", "2.00 [1.50, 2.50]").replace("1.2", "2.0")
    assert after == new[:estimated] + before[estimated:]


def test_code_is_left_alone(folder):
    text = (
        '`[1](planted.json "no.field")` and `<!-- begin: no -->`\n\n'
        '```\n<!-- begin: no -->\n[1](planted.json "no.field")\n```\n'
    )
    assert documents.refreshed(text, "planted", folder) == text
