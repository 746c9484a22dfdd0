"""A workdir has one owner at a time, and none once that has died."""

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from randlabels import lease, load_run
from randlabels.analysis.run_analysis import analyze
from randlabels.errors import InputError
from randlabels.owner import LOCK, owned
from randlabels.training import loop

HOLD = (
    "import sys, time, pathlib\n"
    "from randlabels.owner import owned\n"
    "with owned(pathlib.Path(sys.argv[1])):\n"
    "    print('held', flush=True)\n"
    "    time.sleep(100)\n"
)


@pytest.fixture
def holder(tmp_path):
    """A process that owns tmp_path / "run"."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_owner_is_told_who_holds_it_and_since_when(holder, small, tmp_path):
    year = time.strftime("%Y-", time.gmtime())
    sentence = rf"run is in use by process {holder.pid} on \S+ \(-c .*since {year}.* UTC; wait"
    with pytest.raises(InputError, match=sentence) as error, owned(tmp_path / "run"):
        pass
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="in use by process"):
        loop.train(small, tmp_path / "run")
    with pytest.raises(InputError, match="in use by process"):
        analyze(tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK]


def test_the_lock_of_a_killed_process_holds_nothing(holder, tmp_path):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / "run" / LOCK).exists()
    with owned(tmp_path / "run"):
        record = json.loads((tmp_path / "run" / LOCK).read_text())
        assert record["pid"] == os.getpid()
    assert list((tmp_path / "run").iterdir()) == []


def test_a_folder_made_for_nothing_is_removed(tmp_path):
    with owned(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b" / LOCK).exists()
    assert list(tmp_path.iterdir()) == []
    with owned(tmp_path / "a" / "b"):
        (tmp_path / "a" / "kept").touch()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["kept"]


def test_a_lock_that_is_removed_as_it_is_taken_is_taken_again(tmp_path, monkeypatch):
    """Whoever lets go removes the file; a lock on the removed one would hold nothing."""
    flock, removed = fcntl.flock, []

    def remove_first(handle, operation):
        flock(handle, operation)
        if not removed:
            removed.append((tmp_path / LOCK).unlink())

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with (
        owned(tmp_path),
        pytest.raises(InputError, match=f"process {os.getpid()}"),
        owned(tmp_path),
    ):
        pass


def test_who_removes_the_lock_lets_nobody_in(holder, tmp_path):
    (tmp_path / "run" / LOCK).unlink()
    with pytest.raises(InputError, match="in use by another process"), owned(tmp_path / "run"):
        pass
    assert list((tmp_path / "run").iterdir()) == []
    holder.kill()
    holder.wait()
    with owned(tmp_path / "run"):
        pass


def test_a_file_system_that_locks_no_folders_locks_the_file(tmp_path, monkeypatch):
    flock = fcntl.flock

    def refuse_folders(handle, operation):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", refuse_folders)
    with owned(tmp_path), pytest.raises(InputError, match="in use by process"), owned(tmp_path):
        pass


def test_readers_do_not_wait(holder, finished, tmp_path):
    for path in finished.iterdir():
        if path.is_file():
            (tmp_path / "run" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "run" / "checkpoints").symlink_to(finished / "checkpoints")
    assert len(load_run(tmp_path / "run").metrics) == 4


@pytest.fixture
def without_locks(monkeypatch):
    """As on some network file systems."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(lease, "RENEWED_EVERY", 0.05)


@pytest.mark.usefixtures("without_locks")
def test_a_lease_stands_in_for_the_lock(tmp_path):
    with (
        owned(tmp_path),
        pytest.raises(InputError, match=f"in use by process {os.getpid()} on"),
        owned(tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("without_locks")
def test_a_lease_is_renewed_and_a_stale_one_taken_over(tmp_path):
    path = tmp_path / lease.LEASE
    with owned(tmp_path):
        os.utime(path, (0, 0))
        end = time.monotonic() + 20
        while path.stat().st_mtime == 0:
            assert time.monotonic() < end
            time.sleep(0.01)
    path.write_text("of a process that died")
    with pytest.raises(InputError, match="in use by another process"), owned(tmp_path):
        pass
    os.utime(path, (0, 0))
    with owned(tmp_path):
        assert str(os.getpid()) in path.read_text()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("without_locks")
def test_a_link_is_no_lease(tmp_path):
    (tmp_path / lease.LEASE).symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is no file that randlabels made"), owned(tmp_path):
        pass


def test_who_lost_the_lease_ends_at_once(tmp_path):
    code = (
        "import fcntl, pathlib, sys, time\n"
        "from randlabels import lease\n"
        "lease.RENEWED_EVERY = 0.05\n"
        "with lease.lease(pathlib.Path(sys.argv[1]), 'me', lambda *_: ValueError()):\n"
        "    (pathlib.Path(sys.argv[1]) / lease.LEASE).write_text('another')\n"
        "    time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 1
    assert "was taken over by another process" in done.stderr
    assert (tmp_path / lease.LEASE).read_text() == "another"


@pytest.mark.slow
@pytest.mark.parametrize("delay", [0, 2])
def test_two_processes_on_one_workdir(tmp_path, front_door, delay):
    """One works, the other says so."""
    processes = []
    for _ in range(2):
        processes.append(front_door(tmp_path / "run", "--config.train.epochs=300"))
        time.sleep(delay)
    said = {p.pid: p.communicate(timeout=250)[1] for p in processes}
    assert sorted(p.returncode for p in processes) == [0, 1]
    loser = next(p for p in processes if p.returncode)
    winner = next(p for p in processes if not p.returncode)
    assert said[loser.pid].startswith("randlabels: ")
    assert f"run is in use by process {winner.pid} on" in said[loser.pid]
    assert said[loser.pid].count("\n") == 1
    metrics = load_run(tmp_path / "run").metrics
    assert [record["epoch"] for record in metrics] == list(range(301))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", ["link", "pipe", "folder"])
def test_what_is_no_lock_is_left_alone(finished, tmp_path, make):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    before = (folder / "config.json").read_bytes()
    lock = folder / ".lock"
    {"link": lambda: lock.symlink_to("config.json"), "pipe": lambda: os.mkfifo(lock),
     "folder": lock.mkdir}[make]()  # fmt: skip
    with pytest.raises(InputError, match=r"\.lock is no file that randlabels made; remove it"):
        analyze(folder)
    assert (folder / "config.json").read_bytes() == before
