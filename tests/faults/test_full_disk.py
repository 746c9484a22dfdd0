"""A disk that is full, read-only or gone: one sentence, nothing half-written, and on from there."""

import contextlib
import errno
import json
import os
import resource
import shutil
import subprocess
import threading
import time

import numpy as np
import pytest

from randlabels import disk, proofs, records, runs
from randlabels.analysis.run_analysis import analyze
from randlabels.errors import InputError
from randlabels.training import checkpoints, loop


@contextlib.contextmanager
def files_of_at_most(size):
    """No file may be larger: the system refuses to write on, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def half_written(directory):
    return [path for path in directory.rglob("*") if "tmp" in path.name]


def test_a_checkpoint_that_finds_no_room_is_one_sentence_and_the_run_goes_on(
    small, finished, tmp_path, outcome, capfd, monkeypatch
):
    directory, batches = tmp_path / "run", loop._batches
    limited = contextlib.ExitStack()

    def fill(setup, epoch):
        if epoch == 2:
            limited.enter_context(files_of_at_most(4000))  # a checkpoint has 8 kB
        return batches(setup, epoch)

    monkeypatch.setattr(loop, "_batches", fill)
    with limited, pytest.raises(InputError, match=r"larger than the system allows") as error:
        loop.train(small, directory)
    monkeypatch.undo()
    assert "\n" not in str(error.value)
    assert "Traceback" not in capfd.readouterr().err
    status = json.loads((directory / "status.json").read_text())
    assert (status["state"], status["error"]) == ("failed", str(error.value))
    assert half_written(directory) == []
    assert runs.checkpoint_steps(directory) in ((0,), (0, 3))  # that of epoch 1 was on its way
    loop.train(small, directory)
    assert outcome(directory) == outcome(finished)


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("name", ["append_line", "write_json"])
def test_records_that_find_no_room(small, finished, tmp_path, outcome, monkeypatch, name):
    directory, original, calls = tmp_path / "run", getattr(records, name), []

    def later(*arguments):
        calls.append(arguments)
        (full if len(calls) > 2 else original)(*arguments)

    monkeypatch.setattr(proofs if name == "append_line" else records, name, later)
    with pytest.raises(InputError, match="the disk is full; make space, and give the same comma"):
        loop.train(small, directory)
    monkeypatch.undo()
    assert half_written(directory) == []
    loop.train(small, directory)
    assert outcome(directory) == outcome(finished)


def test_a_replacement_that_fails_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    records.write_json(path, {"a": 1})
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        records.write_json(path, {"a": 2})
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]
    assert json.loads(path.read_text()) == {"a": 1}


def test_a_folder_that_vanishes_is_one_sentence(small, tmp_path, monkeypatch):
    directory, batches = tmp_path / "run", loop._batches

    def vanish(setup, epoch):
        if epoch == 2:
            directory.rename(tmp_path / "elsewhere")
        return batches(setup, epoch)

    monkeypatch.setattr(loop, "_batches", vanish)
    with pytest.raises(
        InputError, match=r"run is gone or cannot be made; bring|was removed by another"
    ):
        loop.train(small, directory)


def test_a_file_that_vanishes_from_a_folder_made_again_is_named(tmp_path):
    """A checkpoint that is being written makes the folder again, while its files are gone."""
    gone = FileNotFoundError(errno.ENOENT, "No such file", str(tmp_path / "metrics.jsonl"))
    assert "metrics.jsonl was removed by another; bring" in disk.sentence_about(gone, tmp_path)
    elsewhere = FileNotFoundError(errno.ENOENT, "No such file", "/proc/other")
    assert disk.sentence_about(elsewhere, tmp_path) is None


def test_too_little_space_is_said_before_training(small, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1_050_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match=r"has 1\.1 MB free, but 4 checkpoints of 0\.0 MB need"):
        loop.train(small, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_on_a_read_only_mount(small, copy, monkeypatch, capsys):
    """It is left as it is, and an analysis says that it cannot be written."""
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)

    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(copy / ".lock"))

    monkeypatch.setattr(os, "open", read_only)
    loop.train(small, copy)
    assert "is finished already" in capsys.readouterr().err
    with pytest.raises(InputError, match="run cannot be written to"):
        analyze(copy)
    monkeypatch.setattr(os, "access", lambda path, mode: True)  # as root is told
    with pytest.raises(InputError, match="the file system is read-only; make it writable"):
        analyze(copy)


def test_a_write_that_does_not_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "_LONGEST", 0.2)
    forever, waits, join = threading.Event(), [], threading.Thread.join

    def noted(thread, timeout=None):
        waits.append(timeout)
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", noted)

    def write():
        with checkpoints.open_manager(tmp_path, [0]) as writer:
            writer.start(forever.wait, 0)
            checkpoints.save(writer, 0, 0, {"params": np.zeros(3)})

    with pytest.raises(InputError, match="has not ended after 0 s; see to the disk"):
        write()
    forever.set()
    assert [seconds for seconds in waits if seconds is not None] == [0.2, 0.0]  # not twice as long


def test_what_a_killed_process_left_half_written_is_removed(small, copy):
    left = [copy / "status.json.12.34.tmp", copy / "checkpoints" / "12.orbax-checkpoint-tmp"]
    left[0].touch()
    left[1].mkdir()
    (copy / "notes.tmp").touch()  # of the user
    (copy / "status.json").unlink()
    loop.train(small, copy)
    assert [path.name for path in half_written(copy)] == ["notes.tmp"]


def test_a_half_written_checkpoint_is_removed_although_threads_still_write_into_it(tmp_path):
    """As those of Orbax do for a moment, after the first of its arrays has failed."""
    folder, begun = tmp_path / "3.orbax-checkpoint-tmp", threading.Event()

    def write():
        for i in range(60):
            with contextlib.suppress(OSError):
                (folder / "state" / "d").mkdir(parents=True, exist_ok=True)
                (folder / "state" / "d" / str(i)).write_bytes(b"x")
            begun.set()
            time.sleep(0.005)

    thread = threading.Thread(target=write)
    thread.start()
    begun.wait()
    disk.remove_temporaries(tmp_path)
    thread.join()
    assert list(tmp_path.iterdir()) == []


def test_errors_that_are_bugs_stay_so(tmp_path):
    assert disk.sentence_about(FileNotFoundError(errno.ENOENT, "none", "x"), tmp_path) is None
    assert disk.sentence_about(ValueError("shape"), tmp_path) is None
    with pytest.raises(ZeroDivisionError), disk.told(tmp_path):
        1 / 0  # noqa: B018


@pytest.fixture
def mounted(tmp_path):
    """A file system of 4 MB in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_disk_that_another_fills(mounted, tmp_path, front_door, wait_for_epochs):
    directory, filler, epochs = mounted / "run", mounted / "filler", "--config.train.epochs=100"
    process, metrics = front_door(directory, epochs), directory / "metrics.jsonl"
    wait_for_epochs(process, directory, 4)
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1000))
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 1
    assert errors.splitlines()[-1].startswith("randlabels: ")
    assert "the disk is full; make space" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert half_written(directory) == []
    filler.unlink()
    for workdir in (directory, tmp_path / "unbroken"):
        process = front_door(workdir, epochs)
        _, errors = process.communicate(timeout=250)
        assert process.returncode == 0, errors
    assert metrics.read_bytes() == (tmp_path / "unbroken" / "metrics.jsonl").read_bytes()
