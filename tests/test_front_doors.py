"""`python -m randlabels.main` as a user starts it."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from randlabels import load_run

ROOT = Path(__file__).parents[1]
TINY = [
    "--config.data.upstream_size=32",
    "--config.data.downstream_size=0",
    "--config.data.test_size=5",
    "--config.data.image_size=6",
    "--config.model.name=mlp",
    "--config.model.widths=4,",
    "--config.train.batch_size=16",
    "--config.train.epochs=1",
    "--config.population.seeds=1",
]


def start(*arguments, devices=1, door="main", cwd=ROOT, source=ROOT):
    environment = {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices),
        "PYTHONPATH": str(source),  # the current directory comes before it
    }
    return subprocess.run(
        [sys.executable, "-m", f"randlabels.{door}", *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=200,
    )


def with_base(*arguments):
    return ["--config=configs/base.py", *TINY, *arguments]


BAD = {
    "misspelt field": (
        with_base("--config.optimizer.learning_rat=1"),
        "config.optimizer.learning_rat is unknown; did you mean 'optimizer.learning_rate'?",
    ),
    "misspelt group": (
        with_base("--config.modle.name=mlp"),
        "config.modle.name is unknown; did you mean 'model.name'?",
    ),
    "wrong type": (
        with_base("--config.train.epochs=few"),
        "config.train.epochs must be a whole number, not 'few'.",
    ),
    "wrong element": (
        with_base("--config.model.widths=abc"),
        "config.model.widths must hold numbers of type int",
    ),
    "stray argument": (
        with_base("epochs=3"),
        "unexpected argument 'epochs=3'; flags start with --.",
    ),
    "missing config file": (
        ["--config=configs/nope.py"],
        "there is no file 'configs/nope.py' for --config.",
    ),
    "no config": ([], "--config must be given."),
    "bare field": (
        with_base("--epochs=3"),
        "Unknown command line flag 'epochs'. Did you mean --config.train.epochs?",
    ),
    "initials": (
        with_base("--config.optimizer.lr=1"),
        "config.optimizer.lr is unknown; did you mean 'optimizer.learning_rate'?",
    ),
    "misspelt flag": (with_base("--wrkdir=x"), "Unknown command line flag 'wrkdir'. Did you mean"),
    "config after its overrides": (
        ["--config.seed=1", "--config=configs/base.py"],
        "Found --config.seed=1 in argv before a value for --config was specified",
    ),
    "unknown budget": (
        ["--config=configs/simple_cnn.py:tiny"],
        "budget 'tiny' is unknown; it may be full",
    ),
    "misspelt config": (
        ["--config=simple_cn:short"],
        "--config=simple_cn is neither a file nor a name; did you mean 'simple_cnn'?",
    ),
    "stage without the run that it reads": (
        ["--config", "study:fig5.random.smoke"],
        "arm pretrained starts from an earlier run: give its workdir as config.init.run.",
    ),
    "networks over devices": (
        with_base("--config.population.devices=both", "--config.train.batch_size=13"),
        "a population of 1 with batches of 13 cannot be spread and split over 8 devices",
    ),
    "batch over devices": (
        with_base("--config.population.devices=batch", "--config.train.batch_size=12"),
        "config.train.batch_size 12 does not divide over 8 devices",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(tmp_path, case):
    arguments, sentence = BAD[case]
    done = start(*arguments, f"--workdir={tmp_path / 'run'}", devices=8)
    assert done.returncode == 1
    assert done.stderr.startswith(f"randlabels: {sentence}")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_no_workdir_is_one_sentence():
    done = start(*with_base())
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr == "randlabels: --workdir must be given.\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "from configs import base\n"
            "def get_config():\n"
            "    config = base.get_config()\n"
            "    config.optimizer.learning_rat = 0.1\n"
            "    return config\n",
            "config.optimizer.learning_rat is unknown; did you mean 'optimizer.learning_rate'?",
        ),
        ("x = (", "the config cannot be loaded: SyntaxError: '(' was never closed"),
        ("import sys\nsys.exit(0)\n", "the config "),
        (
            "def get_config():\n    return 5\n",
            "the config cannot be loaded: TypeError: get_config of ",
        ),
    ],
)
def test_a_config_file_with_an_error_is_one_sentence(tmp_path, text, sentence):
    (tmp_path / "mine.py").write_text(text)
    done = start(f"--config={tmp_path / 'mine.py'}", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 1
    assert done.stderr.startswith(f"randlabels: {sentence}")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.fixture(params=["checkout", "installed"])
def source(request, tmp_path):
    """Where the package is imported from: the repository, or as a wheel installs it."""
    if request.param == "checkout":
        return ROOT
    shutil.copytree(ROOT / "randlabels", tmp_path / "site" / "randlabels")
    shutil.copytree(ROOT / "configs", tmp_path / "site" / "randlabels" / "configs")
    return tmp_path / "site"


@pytest.mark.slow
def test_configs_by_name_beside_a_folder_of_the_users_own(tmp_path, source):
    """From another directory, with a `configs` package there that is not ours."""
    own = tmp_path / "user" / "configs"
    own.mkdir(parents=True)
    (own / "__init__.py").write_text("")
    (own / "mine.py").write_text(
        "from randlabels.configs import base\n"
        "def get_config():\n"
        "    config = base.get_config()\n"
        "    config.train.epochs = -3\n"
        "    return config\n"
    )
    # Values that are refused: the config was loaded, and nothing has to be trained to see it.
    for arguments, epochs in (
        (["--config=base", "--config.train.epochs=-2"], -2),
        (["--config=configs/mine.py"], -3),
    ):
        done = start(*arguments, "--workdir=run", cwd=own.parent, source=source)
        sentence = f"randlabels: config.train.epochs must be from 1 to 1000000, not {epochs}.\n"
        assert (done.returncode, done.stderr) == (1, sentence)


def test_the_recipe_of_every_stage_is_printed_and_nothing_is_run(tmp_path):
    arguments = ["--study=fig5", "--budget=short", "--print_config"]
    done = start(*arguments, door="reproduce", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "learning_rate = 0.002 [0.01]" in done.stdout
    assert list(tmp_path.iterdir()) == []
    without = start("--study=fig5", door="reproduce", cwd=tmp_path)
    assert (without.returncode, without.stderr.count("\n")) == (1, 1)
    assert "give --workdir, or --print_config." in without.stderr


def test_a_data_set_that_is_missing_is_said_at_once(tmp_path):
    """Without a network TFDS alone would try to download for minutes."""
    began = time.monotonic()
    done = start(
        "--config=configs/base.py",
        "--config.data.name=cifar10",
        f"--config.data.data_dir={tmp_path / 'empty'}",
        f"--workdir={tmp_path / 'run'}",
    )
    took = time.monotonic() - began
    assert done.returncode == 1
    assert "python -m randlabels.data.prepare --name=cifar10" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
    assert took < 60  # under 5 s on a machine that does nothing else; a download tries for 200 s


@pytest.mark.slow
def test_a_run_of_which_nothing_is_left_has_an_exit_code_of_its_own(tmp_path):
    arguments = with_base(
        "--config.optimizer.learning_rate=1000.0",
        "--config.train.loss=squared",
        f"--workdir={tmp_path / 'run'}",
    )
    done = start(*arguments)
    assert (done.returncode, done.stdout) == (3, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"randlabels: all networks of {tmp_path / 'run'} are lost (1 network: ")
    assert "Traceback" not in done.stderr
    assert len(load_run(tmp_path / "run").metrics) > 1


@pytest.mark.slow
def test_a_run_from_the_command_line(tmp_path):
    """A sweep and tuples as overrides; nothing but the bar and the last line is printed."""
    arguments = with_base(
        "--config.population.sweep=(('optimizer.learning_rate',(0.01,0.003)),)",
        "--config.optimizer.decay_at=0.5,0.75",
        "--config.train.checkpoint_epochs=(0,1)",
        f"--workdir={tmp_path / 'run'}",
    )
    done = start(*arguments)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"Trained: {tmp_path / 'run'} \(2 networks.*\)\n", done.stdout)
    lines = [line for line in done.stderr.splitlines() if line]
    assert all(line.startswith(("run: ", "run, on ")) for line in lines)  # the bar, the plan
    run = load_run(tmp_path / "run")
    assert [row.learning_rate for row in run.networks] == [0.01, 0.003]
    assert run.config["optimizer"]["decay_at"] == [0.5, 0.75]
    assert run.config["model"]["widths"] == [4]
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "done"
    again = start(*arguments)
    assert again.returncode == 0
    assert f"{tmp_path / 'run'} is finished already." in again.stderr
    other = start(*arguments, "--config.seed=1")
    assert other.returncode == 1
    assert "config.seed: 0 there, 1 here" in other.stderr
    assert other.stderr.count("\n") == 1


WARNING = """
from absl import logging
from randlabels import frontdoor
frontdoor.run(lambda: logging.warning("Networks %s died.", [1]))
"""


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], r"WARNING: Networks \[1\] died\.\n"),
        (["--verbosity=0"], r"W\d+ .*\] Networks \[1\].*\n"),
    ],
)
def test_a_warning_is_a_line_for_a_reader_unless_more_is_asked_for(flags, said):
    ended = subprocess.run(
        [sys.executable, "-c", WARNING, *flags], cwd=ROOT, capture_output=True, text=True
    )
    assert re.fullmatch(said, ended.stderr), ended.stderr


SPEAKING = """
import sys
from randlabels import frontdoor
frontdoor.run(lambda: [print("a line", file=stream) for stream in (sys.stdout, sys.stderr)])
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("redirected", "code", "said"),
    [
        ("2>&1", 0, "a line\na line\n"),
        ("2>&-", 0, "a line\n"),
        (">&-", 0, "a line\n"),
        (
            ">/dev/full",
            1,
            r"(a line\n)?randlabels: standard output cannot be written: No space .*\n",
        ),
        ("| true", 1, "(a line\n)?"),
    ],
)
def test_closed_and_full_outputs_are_no_tracebacks(redirected, code, said, unbuffered):
    command = f"set -o pipefail; sleep .2 | {sys.executable} -c '{SPEAKING}' {redirected}"
    ended = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    )
    assert re.fullmatch(said, ended.stdout + ended.stderr), ended
    assert ended.returncode == code
