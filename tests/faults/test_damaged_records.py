"""No file of a run that is deleted, cut, emptied, swapped or garbage gives another result.

Readers refuse it in one sentence; the command that trained the run mends it.
"""

import contextlib
import json
import os
import shutil

import pytest

from randlabels import load_run, proofs, records, runs
from randlabels.analysis.records import load_alignment
from randlabels.analysis.run_analysis import analyze
from randlabels.errors import InputError
from randlabels.training import loop

RECORDS = ("config.json", "networks.json", "status.json", "metrics.jsonl")


def delete(path, other):
    path.unlink()


def cut(path, other):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path, other):
    path.write_bytes(b"")


def garbage(path, other):
    path.write_bytes(bytes(range(255, -1, -1)) * 3)


def brackets(path, other):
    path.write_bytes(b"[" * 100_000)


def no_object(path, other):
    path.write_text("[]\n")


def no_fields(path, other):
    path.write_text("{}\n")


def swap(path, other):
    shutil.copyfile(other / path.name, path)


def make_folder(path, other):
    path.unlink()
    path.mkdir()


def lose_a_line(path, other):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))


def repeat_a_line(path, other):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines + lines[-1:]))


def change_a_digit(path, other):
    text = path.read_text()
    place = text.index("0.")
    path.write_text(text[: place + 2] + str((int(text[place + 2]) + 1) % 10) + text[place + 3 :])


ANY = (delete, cut, empty, garbage, brackets, no_object, no_fields, swap)
DAMAGES = [(name, damage) for name in RECORDS for damage in ANY] + [
    ("metrics.jsonl", lose_a_line),
    ("metrics.jsonl", repeat_a_line),
    ("metrics.jsonl", change_a_digit),
    ("networks.json", change_a_digit),
    ("config.json", change_a_digit),
]


def label(case):
    return case if isinstance(case, str) else case.__name__


@pytest.mark.parametrize(("name", "damage"), DAMAGES, ids=label)
def test_readers_refuse_damaged_records_in_one_sentence(copy, other, name, damage):
    damage(copy / name, other)
    with pytest.raises(InputError) as error:
        load_run(copy)
    assert "\n" not in str(error.value)
    assert str(copy) in str(error.value)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *[(name, damage) for name in RECORDS for damage in (delete, garbage, swap)],
        ("status.json", no_fields),
        ("config.json", no_object),
        ("networks.json", no_object),
        ("metrics.jsonl", lose_a_line),
        ("metrics.jsonl", repeat_a_line),
    ],
    ids=label,
)
def test_the_same_command_mends_them(small, finished, copy, other, outcome, name, damage):
    damage(copy / name, other)
    loop.train(small, copy)
    assert outcome(copy) == outcome(finished)
    assert load_run(copy).metrics == load_run(finished).metrics


@pytest.mark.parametrize(
    "changes",
    [{"state": "weird"}, {"networks": []}, {"networks": {"fine": 9}}],
    ids=["no state", "no counts", "other counts"],
)
def test_a_status_that_says_something_else_is_refused_and_mended(small, finished, copy, changes):
    status = json.loads((copy / "status.json").read_text())
    (copy / "status.json").write_text(json.dumps(status | changes))
    with pytest.raises(InputError, match=r"status\.json"):
        load_run(copy)
    loop.train(small, copy)
    ours, theirs = (load_run(run).status for run in (copy, finished))
    assert (ours["state"], ours["networks"]) == (theirs["state"], theirs["networks"])


def test_a_record_that_became_a_folder_is_one_sentence(small, copy):
    for name in RECORDS:
        make_folder(copy / name, None)
        with pytest.raises(InputError, match=f"{name} .*a folder stands where a file must be"):
            loop.train(small, copy)
        with pytest.raises(InputError):
            load_run(copy)
        (copy / name).rmdir()
        loop.train(small, copy)


@pytest.mark.parametrize("damage", [delete, no_object, garbage], ids=label)
def test_what_is_made_anew_is_said(small, copy, capsys, damage):
    names = ("networks.json", "config.json", "status.json")
    for name in names:
        damage(copy / name, None)
    loop.train(small, copy)
    said = capsys.readouterr().err
    assert [name for name in names if f"{name} in {copy} is made anew" not in said] == []
    load_run(copy)


def test_only_what_does_not_fit_is_made_anew(small, copy, other, capsys):
    shutil.rmtree(copy / "checkpoints" / "9")
    loop.train(small, copy)
    assert "is made anew" not in capsys.readouterr().err
    shutil.copy(other / "config.json", copy / "config.json")
    loop.train(small, copy)
    said = capsys.readouterr().err
    assert f"config.json in {copy} is made anew" in said
    assert said.count("is made anew") == 1


def rename_to_another(folder):
    (folder / "3").rename(folder / "6")


def rename_beyond_the_end(folder):
    (folder / "9").rename(folder / "900")


def add_beyond_the_end(folder):
    shutil.copytree(folder / "9", folder / "900")


def empty_beyond_the_end(folder):
    (folder / "900").mkdir()


def odd_names(folder):
    shutil.copytree(folder / "9", folder / "007")
    (folder / "²").mkdir()
    (folder / "12.orbax-checkpoint-tmp").mkdir()


def delete_kept(folder):
    shutil.rmtree(folder / "3")


def exchange(folder):
    (folder / "0").rename(folder / "x")
    (folder / "3").rename(folder / "0")
    (folder / "x").rename(folder / "3")


def change_meta(folder):
    path = folder / "9" / "meta" / "metadata"
    meta = json.loads(path.read_text())
    meta["networks"][0]["seed"] += 1
    path.write_text(json.dumps(meta))


@pytest.mark.parametrize(
    "damage",
    [
        rename_to_another,
        rename_beyond_the_end,
        add_beyond_the_end,
        empty_beyond_the_end,
        odd_names,
        delete_kept,
        exchange,
        change_meta,
    ],
    ids=label,
)
def test_a_spoiled_folder_of_checkpoints_is_mended(small, finished, copy, outcome, damage):
    shutil.rmtree(copy / "checkpoints" / "6")  # only what is kept is left
    damage(copy / "checkpoints")
    for step in runs.checkpoint_steps(copy):  # no step has the parameters of another
        with contextlib.suppress(InputError):
            params = load_run(copy).params(step)
            kernel = load_run(finished).params(step)["dense1"]["kernel"]
            assert (params["dense1"]["kernel"] == kernel).all()
    loop.train(small, copy)
    assert outcome(copy) == outcome(finished)
    assert runs.checkpoint_steps(copy)[-1] == 9


@pytest.mark.parametrize("step", ["3", "9"])
def test_a_single_checkpoint_of_another_run_is_trained_again(
    small, finished, copy, other, outcome, step
):
    shutil.rmtree(copy / "checkpoints" / step)
    shutil.copytree(other / "checkpoints" / step, copy / "checkpoints" / step)
    config = json.loads((other / "config.json").read_text())
    assert config["optimizer"]["learning_rate"] != small.optimizer.learning_rate
    loop.train(small, copy)
    assert outcome(copy) == outcome(finished)
    load_run(copy)


@pytest.mark.parametrize("missing", [(), ("config.json",)])
def test_older_checkpoints_of_another_run_claim_no_workdir(
    small, finished, copy, other, outcome, missing
):
    folder, foreign = copy / "checkpoints", ("0", "3")
    for step in (*foreign, "6"):
        shutil.rmtree(folder / step)
    for step in foreign[: 2 - len(missing)]:
        shutil.copytree(other / "checkpoints" / step, folder / step)
    for name in missing:
        (copy / name).unlink()
    theirs = small.copy_and_resolve_references()
    theirs.seed, theirs.optimizer.learning_rate = 7, 0.04
    with pytest.raises(InputError, match="learning_rate: 0.05 there, 0.04 here"):
        loop.train(theirs, copy)
    assert (folder / "9").is_dir()
    loop.train(small, copy)
    assert outcome(copy) == outcome(finished)


def test_the_command_of_a_single_foreign_checkpoint_removes_nothing(
    small, finished, other, tmp_path
):
    theirs = shutil.copytree(other, tmp_path / "theirs")
    shutil.rmtree(theirs / "checkpoints" / "9")
    shutil.copytree(finished / "checkpoints" / "9", theirs / "checkpoints" / "9")
    before = runs.checkpoint_steps(theirs)
    with pytest.raises(InputError, match="learning_rate: 0.04 there, 0.05 here"):
        loop.train(small, theirs)
    assert runs.checkpoint_steps(theirs) == before


def test_checkpoints_of_another_run_are_refused_and_left(small, copy, other):
    (copy / "config.json").unlink()
    shutil.rmtree(copy / "checkpoints")
    shutil.copytree(other / "checkpoints", copy / "checkpoints")
    with pytest.raises(InputError, match="learning_rate: 0.04 there, 0.05 here"):
        loop.train(small, copy)
    assert (copy / "checkpoints" / "9").is_dir()
    with pytest.raises(InputError):
        load_run(copy)


def remove(path):
    path.unlink()


def write_into(path):
    path.write_bytes(path.read_bytes() * 2)


@pytest.mark.parametrize(
    ("change", "said"), [(remove, "removed"), (write_into, "changed")], ids=label
)
def test_metrics_that_another_changes_while_it_trains(
    small, finished, tmp_path, outcome, monkeypatch, change, said
):
    directory, batches = tmp_path / "run", loop._batches

    def meddle(setup, epoch):
        if epoch == 2:
            change(directory / "metrics.jsonl")
        return batches(setup, epoch)

    monkeypatch.setattr(loop, "_batches", meddle)
    with pytest.raises(InputError, match=f"metrics.jsonl was {said} by another while training"):
        loop.train(small, directory)
    monkeypatch.undo()
    loop.train(small, directory)
    assert outcome(directory) == outcome(finished)


def test_a_run_in_training_is_read_up_to_where_it_is(small, tmp_path, monkeypatch):
    directory, batches, seen = tmp_path / "run", loop._batches, []

    def look(setup, epoch):
        seen.append([record["epoch"] for record in load_run(directory).metrics])
        return batches(setup, epoch)

    monkeypatch.setattr(loop, "_batches", look)
    loop.train(small, directory)
    assert seen == [[0], [0, 1], [0, 1, 2]]


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_kept_checkpoint_that_is_gone_is_missed(small, finished, copy, outcome, epoch, capsys):
    step = runs.checkpoint_steps(finished)[epoch]
    shutil.rmtree(copy / "checkpoints" / str(step))
    with pytest.raises(InputError, match=rf"the checkpoint of step {step} is missing"):
        load_run(copy)
    loop.train(small, copy)
    assert outcome(copy) == outcome(finished)
    assert ("is trained from the start" in capsys.readouterr().err) == (epoch == 0)


def test_a_run_begins_with_the_evaluation_of_its_start(small, tmp_path, capsys):
    loop.train(small, tmp_path / "run")
    assert "is trained from the start" not in capsys.readouterr().err
    saved = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert saved == ["0", "3", "6", "9"]  # every epoch, and nothing before


def test_a_checkpoint_of_a_run_with_the_same_config_is_noticed(
    small, finished, copy, outcome, tmp_path, monkeypatch
):
    """As where the run that it starts from was another, or JAX drew other numbers."""
    batches = loop._batches
    monkeypatch.setattr(loop, "_batches", lambda setup, epoch: batches(setup, epoch + 100))
    loop.train(small, tmp_path / "namesake")
    monkeypatch.undo()
    step = str(runs.checkpoint_steps(finished)[1])
    shutil.rmtree(copy / "checkpoints" / step)
    shutil.copytree(tmp_path / "namesake" / "checkpoints" / step, copy / "checkpoints" / step)
    with pytest.raises(InputError, match=r"metrics\.jsonl does not fit the checkpoints"):
        load_run(copy)
    loop.train(small, copy)
    assert outcome(copy) == outcome(finished)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", RECORDS)
def test_a_pipe_in_the_place_of_a_record_is_not_waited_for(small, finished, copy, outcome, name):
    (copy / name).unlink()
    os.mkfifo(copy / name)
    with pytest.raises(InputError, match=f"{name} is no file"):
        load_run(copy)
    loop.train(small, copy)
    assert outcome(copy) == outcome(finished)


def test_a_config_without_fields_is_damaged(copy):
    config = json.loads((copy / "config.json").read_text())
    shutil.rmtree(copy / "checkpoints")
    groups = {key: {} for key, value in config.items() if isinstance(value, dict)}
    (copy / "config.json").write_text(json.dumps(groups))
    status = json.loads((copy / "status.json").read_text())
    del status["config_digest"]
    (copy / "status.json").write_text(json.dumps(status))
    with pytest.raises(InputError, match=r"config\.json is no config"):
        load_run(copy)


@pytest.fixture
def interrupted(copy):
    """The run as it was after epoch 2 of 3."""
    shutil.rmtree(copy / "checkpoints" / "9")
    newest = runs.read_meta(copy / "checkpoints" / "6")
    lines = (copy / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "metrics.jsonl").write_bytes(b"".join(lines[: newest["metrics"]["lines"]]))
    (copy / "networks.json").write_text(json.dumps(newest["networks"]))
    status = json.loads((copy / "status.json").read_text())
    (copy / "status.json").write_text(json.dumps(status | {"state": "interrupted"}))
    return copy


@pytest.mark.parametrize("epoch", [1, 3, 10**6])
def test_a_network_that_no_evaluation_saw_diverge_did_not(
    small, finished, interrupted, outcome, epoch
):
    table = json.loads((interrupted / "networks.json").read_text())
    assert load_run(interrupted).healthy_networks == [0, 1]
    table[1]["diverged_epoch"] = epoch
    (interrupted / "networks.json").write_text(json.dumps(table))
    with pytest.raises(InputError, match=r"networks\.json does not fit the checkpoints"):
        load_run(interrupted)
    loop.train(small, interrupted)
    assert outcome(interrupted) == outcome(finished)


def test_an_evaluation_after_the_newest_checkpoint_may_have_seen_one_diverge(finished, interrupted):
    table = json.loads((interrupted / "networks.json").read_text())
    table[1]["diverged_epoch"] = 3
    (interrupted / "networks.json").write_text(json.dumps(table))
    shutil.copyfile(finished / "metrics.jsonl", interrupted / "metrics.jsonl")
    assert load_run(interrupted).healthy_networks == [0]


def test_a_run_goes_on_that_was_begun_before_a_field_was_added(
    small, finished, interrupted, outcome
):
    for path in (interrupted / "checkpoints").glob("*/meta/metadata"):
        meta = json.loads(path.read_text())
        del meta["config"]["optimizer"]["weight_decay"], meta["digest"]
        path.write_text(json.dumps(proofs.sealed(meta)))
    config = json.loads((interrupted / "config.json").read_text())
    del config["optimizer"]["weight_decay"]
    (interrupted / "config.json").write_text(json.dumps(config))
    status = json.loads((interrupted / "status.json").read_text())
    status["config_digest"] = proofs.digest_of(config)
    (interrupted / "status.json").write_text(json.dumps(status))
    load_run(interrupted)
    loop.train(small, interrupted)
    assert load_run(interrupted).config["optimizer"]["weight_decay"] == 0
    assert outcome(interrupted) == outcome(finished)


def test_a_checkpoint_that_is_saved_while_a_run_is_read_is_not_missed(copy, monkeypatch):
    there, away = copy / "checkpoints" / "9", copy.parent / "9"
    there.rename(away)
    status = json.loads((copy / "status.json").read_text())
    (copy / "status.json").write_text(json.dumps(status | {"state": "running"}))
    read, listed = runs.read_meta, runs.checkpoint_steps

    def saved_meanwhile(*arguments):
        if away.exists():
            away.rename(there)
        return read(*arguments)

    def saved_after(workdir):
        steps = listed(workdir)
        if away.exists():
            away.rename(there)
        return steps

    for name, function in (("read_meta", saved_meanwhile), ("checkpoint_steps", saved_after)):
        monkeypatch.setattr(runs, name, function)
        assert load_run(copy).steps == (0, 3, 6, 9)
        monkeypatch.undo()
        there.rename(away)


def test_a_run_that_goes_on_while_it_is_read_is_read_again(interrupted, monkeypatch):
    """It takes back what came after its newest checkpoint: between two files of a reader, too."""
    table = json.loads((interrupted / "networks.json").read_text())
    metrics = (interrupted / "metrics.jsonl").read_bytes()
    later = [table[0], table[1] | {"diverged_epoch": 3}]
    (interrupted / "networks.json").write_text(json.dumps(later))
    line = json.loads(metrics.splitlines()[-1])
    added = json.dumps(line | {"epoch": 3, "step": 9}).encode() + b"\n"
    (interrupted / "metrics.jsonl").write_bytes(metrics + added)
    assert load_run(interrupted).healthy_networks == [0]
    read = records.read_bytes

    def after_it_went_on(path):
        (interrupted / "networks.json").write_text(json.dumps(table))
        (interrupted / "metrics.jsonl").write_bytes(metrics)
        return read(path)

    monkeypatch.setattr(records, "read_bytes", after_it_went_on)
    assert load_run(interrupted).healthy_networks == [0, 1]


def test_an_analysis_of_other_checkpoints_than_there_are_is_refused(copy):
    analyze(copy, random_bases=2)
    load_alignment(copy)
    path = copy / "analysis" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"checkpoints": {"77": "0" * 64}}))
    with pytest.raises(InputError, match="made of other checkpoints than there are"):
        load_alignment(copy)


@pytest.mark.parametrize("what", ["folder", "metas"])
def test_records_that_no_checkpoint_proves_are_refused(
    small, finished, copy, other, outcome, what, capsys
):
    """They could be another run's."""
    if what == "folder":
        shutil.rmtree(copy / "checkpoints")
    else:
        for meta in copy.glob("checkpoints/*/meta/metadata"):
            meta.write_bytes(b"")
    for name in ("metrics.jsonl", "networks.json"):
        shutil.copyfile(other / name, copy / name)
    with pytest.raises(InputError, match="none of its checkpoints can be read"):
        load_run(copy)
    if what == "metas":
        shutil.rmtree(copy / "checkpoints")
    loop.train(small, copy)
    assert "is trained from the start" in capsys.readouterr().err
    assert outcome(copy) == outcome(finished)


@pytest.mark.parametrize(
    "change",
    [
        {"of": None},
        {"of": {"data": None}},
        {"of": {"sources": []}},
        {"of": {"model": "x"}},
        {"networks": None},
        {"metrics": {"lines": "3", "digest": ""}},
        {"metrics": ...},
        {"epoch": ...},
        {"digests": ...},
        {"networks": ...},
    ],
)
def test_metas_of_another_form_are_trained_again(small, finished, copy, outcome, change):
    """As another version might write them, and seal them; `...` is left out."""
    for path in copy.glob("checkpoints/*/meta/metadata"):
        if path.parts[-3] == "0":
            continue
        meta = json.loads(path.read_text()) | change
        meta = {k: v for k, v in meta.items() if v is not ... and k != "digest"}
        path.write_text(json.dumps(proofs.sealed(meta)))
    if change != {"networks": ...}:  # readers of a run do without
        with pytest.raises(InputError, match="damaged"):
            load_run(copy)
    loop.train(small, copy)
    assert outcome(copy) == outcome(finished)
