"""--help, --version and the console command."""

import re
import subprocess
import sys

import pytest

from randlabels import command, help_text
from randlabels.configs import base
from randlabels.studies import find_study, study_modules


def run(*arguments):
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True)


@pytest.mark.parametrize("module", command.COMMANDS.values())
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_ends_well_and_names_every_flag(module, flag):
    done = run(module, flag)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Front door")
    flags = re.findall(r"^  (--\w+)", done.stdout, re.MULTILINE)
    assert flags
    assert "{" not in done.stdout.partition("Flags:")[0]


def test_help_is_asked_for_whatever_else_is_given():
    done = run("randlabels.main", "--config=nowhere", "--help")
    assert done.returncode == 0
    assert run("randlabels.main", "--version").stdout == help_text.version() + "\n"


def test_every_field_of_a_config_is_listed_with_what_the_file_says_of_it():
    text = help_text.config_fields()
    for name, field in base.FIELDS.items():
        assert f"{name} = {field.default!r}" in text
    flat = " ".join(text.split())
    assert "Kernels are N(0, (init_scale / sqrt(fan_in))^2); sqrt(2) is He." in flat
    assert "One of random, real, noisy." in flat
    assert "From 1 to 1000000." in flat


def test_every_study_is_listed_with_what_it_decides():
    text = " ".join(help_text.studies().split())
    for name in study_modules():
        assert f" {name} " in f" {text} "
    count = len(find_study("fig5").primary)
    assert f"Decides {count} claims" in text


def test_the_overview_names_what_there_is():
    text = help_text.overview()
    for part in ("quickstart", "vgg16", "dead_leaves", "svhn_cropped", "pretrained", "simple_cnn"):
        assert part in text


def test_the_console_command(monkeypatch, capsys):
    def ask(*arguments):
        monkeypatch.setattr(sys, "argv", ["randlabels", *arguments])
        try:
            command.main()
        except SystemExit as error:
            return error.code or 0
        return 0

    assert ask("--version") == 0
    assert capsys.readouterr().out.startswith("randlabels ")
    assert ask("--help") == 0
    assert "randlabels train --config=base" in capsys.readouterr().out
    assert ask("list") == 0
    assert "Studies" in capsys.readouterr().out
    assert ask("list", "--help") == 0
    assert "Studies" in capsys.readouterr().out
    assert ask("list", "foo") == 1
    assert "list takes nothing" in capsys.readouterr().err
    assert ask("trian") == 1
    assert "did you mean 'train'" in capsys.readouterr().err


SCRIPT = "import sys; sys.argv[0] = 'randlabels'; from randlabels.command import main; main()"


@pytest.mark.parametrize("command", [["-c", SCRIPT], ["-m", "randlabels"]], ids=["script", "-m"])
def test_the_console_command_runs_the_front_doors(command):
    arguments = [sys.executable, *command, "train", "--config=bse", "--workdir=x"]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 1
    assert "did you mean 'base'" in done.stderr
