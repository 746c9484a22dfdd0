"""launch/setup.sh with interpreters and devices that stand in for those of other machines."""

import shutil
import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[1] / "launch" / "setup.sh"
# A Python that is new enough, writes what it is asked for, and makes a .venv with a copy of itself.
PYTHON = """#!/bin/sh
case "$*" in
  *"import ensurepip"*) {can_make} ;;
  *"-m pip --version"*) {has_pip} ;;
  *"-m venv"*) mkdir -p .venv/bin && cp "$0.whole" .venv/bin/python ;;
  "-m pip install"*) echo "installed $*" ;;
esac
"""


class Machine:
    """A machine whose path has nothing but a few tools and what a test puts there."""

    def __init__(self, folder):
        self.folder, self.path = folder, folder / "bin"
        self.path.mkdir()
        for tool in ("grep", "mkdir", "cp"):
            (self.path / tool).symlink_to(shutil.which(tool))

    def put(self, path, can_make="true", has_pip="true"):
        """A Python that can make virtual environments, or not, and has pip, or not."""
        path.parent.mkdir(parents=True, exist_ok=True)
        for name, pip in ((path.name, has_pip), (f"{path.name}.whole", "true")):
            path.with_name(name).write_text(PYTHON.format(can_make=can_make, has_pip=pip))
            path.with_name(name).chmod(0o755)

    def run(self, command, **environment):
        return subprocess.run(
            [shutil.which("bash"), "-c", f"set -euo pipefail; source '{SETUP}'; {command}"],
            cwd=self.folder,
            env={"PATH": str(self.path)} | environment,
            capture_output=True,
            text=True,
        )


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "cpu"),
        ({"dev/accel0": ""}, "tpu"),
        ({"dev/vfio/0": ""}, "cpu"),  # a laptop that passes its GPU to a virtual machine
        ({"dev/vfio/0": "", "sys/bus/pci/devices/0000:01:00.0/vendor": "0x10de\n"}, "cpu"),
        ({"dev/vfio/0": "", "sys/bus/pci/devices/0000:01:00.0/vendor": "0x1ae0\n"}, "tpu"),
        ({"sys/bus/pci/devices/0000:01:00.0/vendor": "0x1ae0\n"}, "cpu"),  # a network card
    ],
)
def test_a_tpu_is_told_from_what_looks_like_one(machine, files, expected):
    for name, text in files.items():
        path = machine.folder / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert machine.run("accelerator root").stdout == f"{expected}\n"
    chosen = machine.run("accelerator root", RANDLABELS_ACCELERATOR="cuda")
    assert chosen.stdout == "cuda\n"


def test_an_accelerator_that_is_none_is_one_sentence(machine):
    ended = machine.run('setup ""', RANDLABELS_ACCELERATOR="npu")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "RANDLABELS_ACCELERATOR is npu; it may be cpu, cuda or tpu" in ended.stderr


def test_the_path_of_python_may_have_a_space(machine):
    machine.put(machine.folder / "my pythons" / "python3")
    ended = machine.run('setup "test"', PYTHON=str(machine.folder / "my pythons" / "python3"))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith("--editable .[test]\n")


def test_without_the_venv_package_a_sentence_says_what_to_install(machine):
    machine.put(machine.path / "python3", can_make="false")
    ended = machine.run('setup ""')
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "python3 cannot make virtual environments" in ended.stderr
    assert "apt install python3-venv" in ended.stderr
    assert not (machine.folder / ".venv").exists()
    machine.put(machine.path / "python3.12")  # another that can
    assert machine.run('setup ""').returncode == 0


def test_without_a_new_enough_python_a_sentence_says_how_to_name_one(machine):
    ended = machine.run('setup ""')
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "randlabels needs Python 3.11 or newer; name one with PYTHON=" in ended.stderr


@pytest.mark.parametrize("has_pip", ["true", "false"])
def test_a_half_made_environment_is_made_whole(machine, has_pip):
    """An interrupted set-up, or Debian's venv without ensurepip, leaves one without pip."""
    machine.put(machine.path / "python3")
    machine.put(machine.folder / ".venv" / "bin" / "python", has_pip=has_pip)
    left = (machine.folder / ".venv" / "bin" / "python").read_text()
    ended = machine.run('setup ""')
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("installed -m pip install")
    kept = (machine.folder / ".venv" / "bin" / "python").read_text() == left
    assert kept == (has_pip == "true")
