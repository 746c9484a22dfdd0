"""Compiled programs are kept from one process to the next, whole or not at all."""

import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest

from randlabels import compiled

# Says whether all of its programs were in the cache.
PROGRAM = """
import sys, time
import jax, jax.monitoring
events = []
jax.monitoring.register_event_listener(lambda name, **_: events.append(name))
from randlabels import compiled
compiled._LEAST_SECONDS = 0.0
with compiled.kept():
    size = int(sys.argv[1])
    jax.jit(lambda a: jax.numpy.linalg.eigh(a)[0] * size)(jax.numpy.ones((size, size)))
    if sys.argv[2:] == ["wait"]:
        print("ready", flush=True)
        time.sleep(60)
    if sys.argv[2:] == ["fail"]:
        raise OSError("of the body")
known = {name.rsplit("/", 1)[-1] for name in events}
print("cache_hits" in known and "cache_misses" not in known)
"""
VARIABLES = {"JAX_PLATFORMS": "cpu"}


def start(home, *arguments, **environment):
    command = [sys.executable, "-W", "error", "-c", PROGRAM, *map(str, arguments)]
    return subprocess.Popen(
        command,
        env=os.environ | VARIABLES | {"XDG_CACHE_HOME": str(home)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def found_programs(*arguments, **options):
    """Whether a process of its own found its programs in the cache."""
    process = start(*arguments, **options)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.splitlines()[-1] == "True"


def shared(home):
    (folder,) = (home / "randlabels").iterdir()
    return folder


def test_the_second_process_finds_the_programs_of_the_first(tmp_path):
    assert not found_programs(tmp_path, 5)
    assert found_programs(tmp_path, 5)
    assert not found_programs(tmp_path, 6)
    assert all(path.name.endswith("-cache") for path in shared(tmp_path).iterdir())


def test_programs_of_a_body_that_fails_are_kept(tmp_path):
    process = start(tmp_path, 5, "fail")
    assert "of the body" in process.communicate(timeout=60)[1]
    assert found_programs(tmp_path, 5)


def test_a_killed_process_leaves_nothing_and_takes_nothing(tmp_path):
    assert not found_programs(tmp_path, 5)
    process = start(tmp_path, 6, "wait")
    assert process.stdout.readline() == "ready\n"
    before = set(os.listdir(shared(tmp_path)))
    assert found_programs(tmp_path, 5)  # while the other works
    assert set(os.listdir(shared(tmp_path))) == before
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert found_programs(tmp_path, 5)
    assert not list(shared(tmp_path).glob("process-*"))
    assert not found_programs(tmp_path, 6)


@pytest.mark.parametrize(
    "environment",
    [{"JAX_ENABLE_COMPILATION_CACHE": "false"}, {"JAX_COMPILATION_CACHE_DIR": "{}/other"}],
)
def test_jax_own_variables_go_first(tmp_path, environment):
    environment = {name: value.format(tmp_path) for name, value in environment.items()}
    assert not found_programs(tmp_path, 5, **environment)
    assert not (tmp_path / "randlabels").exists()


def test_a_folder_that_cannot_be_made_is_no_reason_to_stop(tmp_path):
    (tmp_path / "file").write_text("")
    assert not found_programs(tmp_path / "file", 5)


def test_little_space_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "_LEAST_FREE", 1 << 80)
    with pytest.raises(OSError, match="little space"), compiled._own_folder(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_the_programs_not_used_for_longest_go_first(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "MOST_BYTES", 250)
    now = time.time()
    for age, name in enumerate(["new", "older", "oldest"]):
        path = tmp_path / f"{name}-cache"
        path.write_bytes(bytes(100))
        os.utime(path, (now - age, now - 100))
    os.utime(tmp_path / "older-cache", (now - 50, now - 60))
    with compiled._own_folder(tmp_path) as own:
        assert sorted(os.listdir(own)) == ["lock", "new-cache", "oldest-cache"]
        (own / "added-cache").write_bytes(b"whole")
        (own / "folder").mkdir()
    assert sorted(os.listdir(tmp_path)) == ["added-cache", "new-cache", "oldest-cache"]
    assert (tmp_path / "added-cache").read_bytes() == b"whole"


def test_a_folder_without_a_lock_is_just_being_made(tmp_path):
    for name in ("process-new", "process-left", "process-alive"):
        (tmp_path / name).mkdir()
    for name in ("process-left", "process-alive"):
        (tmp_path / name / "lock").write_text("")
    with (tmp_path / "process-alive" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with compiled._own_folder(tmp_path):
            pass
    assert sorted(os.listdir(tmp_path)) == ["process-alive", "process-new"]


def test_another_processor_has_a_folder_of_its_own(monkeypatch):
    folder = compiled._shared()
    assert folder == compiled._shared()
    monkeypatch.setattr(compiled, "_instructions", lambda: "flags: others")
    assert compiled._shared() != folder
    assert compiled._shared().parent == folder.parent
