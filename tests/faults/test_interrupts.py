"""Ctrl-C and SIGTERM: an epoch is finished and saved, all else ends promptly, nothing hangs."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from randlabels import interrupts, load_run, runs
from randlabels.training import loop

ROOT = Path(__file__).parents[2]
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


def started(code, *arguments):
    """A process that has printed "ready"."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout.readline() == "ready\n"
    return process


PROMPT = """
import signal, sys, time
from randlabels import interrupts
interrupts.install()
try:
    print("ready", flush=True)
    time.sleep(100)
except interrupts.Interrupted as interrupted:
    interrupts.leave(str(interrupted), interrupted.code)
"""

STUCK = """
import sys, time
from randlabels import interrupts
interrupts._MOMENT = 0.2
interrupts.install()
with interrupts.ending_with("Interrupted by a test.", lambda: print("marked", flush=True)):
    said = False
    while True:
        try:
            if not said:
                said = True
                print("ready", flush=True)
            time.sleep(100)
        except BaseException:
            pass
"""

READY = 'print("ready", flush=True)\n'
WAITING = f"    {READY}    time.sleep(100)\n"
FREED = "del garbage\n"
FREEING = f"""
import sys, time
from randlabels import interrupts
interrupts._MOMENT = 0.2
interrupts.install()

def slow_to_free():
{WAITING}
class Garbage:
    def __del__(self):
        slow_to_free()

garbage = Garbage()
{FREED}time.sleep(100)
"""

DOOR = """
import sys, time
from randlabels import frontdoor

def wait(arguments=()):
    print("ready", flush=True)
    time.sleep(100)

def wrapping():
    try:
        wait()
    except BaseException as error:
        raise RuntimeError("a callback failed") from error

if sys.argv.pop() == "wrapped":
    frontdoor.run(wrapping)
frontdoor.parse = wait
frontdoor.run(lambda: None)
"""

FINISHING = """
import sys, time
from randlabels import interrupts
interrupts.install()
with interrupts.finishing():
    print("ready", flush=True)
    while not interrupts.requested():
        time.sleep(0.01)
    print(interrupts.requested(), flush=True)
    time.sleep(100)
"""


@pytest.mark.parametrize("number", CODES)
def test_work_that_has_nothing_to_save_ends_at_once(number):
    process = started(PROMPT)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert errors == "Interrupted; continue with the same command.\n"
    assert process.returncode == CODES[number]


def test_a_process_that_is_stuck_is_ended():
    process = started(STUCK)
    process.send_signal(signal.SIGTERM)
    printed, errors = process.communicate(timeout=60)
    assert (printed, errors) == ("marked\n", "randlabels: Interrupted by a test.\n")
    assert process.returncode == 143


def test_a_second_signal_stops_what_would_be_finished():
    process = started(FINISHING)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)  # at once again, as of timeout(1): it is the first
    assert process.stdout.readline() == "130\n"  # noted, and nothing raised
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "randlabels: Interrupted; continue with the same command.\n"


def test_a_signal_where_nothing_can_be_raised_ends_without_a_traceback():
    process = started(FREEING)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert errors == "randlabels: Interrupted; continue with the same command.\n"
    assert process.returncode == 143


def test_what_else_cannot_be_raised_is_still_printed():
    failing = FREEING.replace(WAITING, "    1 / 0\n").replace(FREED, FREED + READY)
    process = started(failing)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert "ZeroDivisionError" in errors


@pytest.mark.parametrize("where", ["flags_parser", "wrapped"])
def test_a_signal_while_flags_are_read_or_in_wrapped_code_is_one_sentence(where):
    process = started(DOOR, where)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert errors == "randlabels: Interrupted; continue with the same command.\n"
    assert process.returncode == 143


def test_training_finishes_its_epoch_and_goes_on_from_there(
    small, finished, tmp_path, outcome, monkeypatch
):
    directory, batches = tmp_path / "run", loop._batches

    def signalled(setup, epoch):
        if epoch == 2:
            monkeypatch.setattr(interrupts._state, "received", signal.SIGTERM)
        return batches(setup, epoch)

    monkeypatch.setattr(loop, "_batches", signalled)
    sentence = r"^Interrupted after epoch 2; continue with the same command\.$"
    with pytest.raises(interrupts.Interrupted, match=sentence) as interrupted:
        loop.train(small, directory)
    monkeypatch.undo()
    assert interrupted.value.code == 143
    run = load_run(directory)
    assert run.status["state"] == "interrupted"
    assert [record["epoch"] for record in run.metrics] == [0, 1, 2]
    assert runs.checkpoint_steps(directory)[-1] == 6
    loop.train(small, directory)
    assert outcome(directory) == outcome(finished)


def test_a_signal_in_the_last_epoch_says_that_the_run_is_done(small, tmp_path, monkeypatch):
    directory, batches = tmp_path / "run", loop._batches

    def signalled(setup, epoch):
        if epoch == small.train.epochs:
            monkeypatch.setattr(interrupts._state, "received", signal.SIGTERM)
        return batches(setup, epoch)

    monkeypatch.setattr(loop, "_batches", signalled)
    sentence = (
        rf"^Interrupted after the last epoch; {re.escape(str(directory))} is done, and the same"
    )
    with pytest.raises(interrupts.Interrupted, match=sentence):
        loop.train(small, directory)
    assert load_run(directory).status["state"] == "done"


def test_what_is_interrupted_while_it_compiles_is_said_to_be_before_its_first_epoch(
    small, tmp_path, monkeypatch
):
    said = []

    def opened(directory, kept):
        said.append(interrupts._state.sentence)
        raise interrupts.Interrupted(interrupts._state.sentence, 130)

    monkeypatch.setattr(loop.checkpoints, "open_manager", opened)
    with pytest.raises(interrupts.Interrupted):
        loop.train(small, tmp_path / "run")
    assert said == ["Interrupted after epoch 0; continue with the same command."]


def test_what_is_interrupted_before_it_began_leaves_nothing(small, tmp_path, monkeypatch):
    def prepare(config):
        raise interrupts.Interrupted(interrupts.AT_ONCE, 130)

    monkeypatch.setattr(loop, "prepare", prepare)
    with pytest.raises(interrupts.Interrupted):
        loop.train(small, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", CODES)
def test_the_front_door_is_interrupted_and_goes_on(tmp_path, front_door, wait_for_epochs, number):
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    epochs = "--config.train.epochs=100"
    process = front_door(broken, epochs)
    wait_for_epochs(process, broken, 4)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == CODES[number]
    said = errors.splitlines()[-1]
    epoch = int(re.fullmatch(r"randlabels: Interrupted after epoch (\d+); .*", said)[1])
    assert "Traceback" not in errors
    assert json.loads((broken / "status.json").read_text())["state"] == "interrupted"
    assert runs.checkpoint_steps(broken)[-1] == epoch * 4
    assert not [path for path in broken.rglob("*") if "tmp" in path.name]
    for directory in (broken, unbroken):
        process = front_door(directory, epochs)
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    assert (broken / "metrics.jsonl").read_bytes() == (unbroken / "metrics.jsonl").read_bytes()


@pytest.mark.slow
def test_the_front_door_ends_promptly_while_it_compiles(tmp_path, front_door):
    model = ["--config.model.name=vgg16", "--config.data.image_size=32"]
    process = front_door(tmp_path / "run", *model)
    while not (tmp_path / "run" / "status.json").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    # The former where the signal came before the first program was compiled.
    assert re.search(r"Interrupted( after epoch 0)?; continue with the same command\.\n$", errors)
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "interrupted"
