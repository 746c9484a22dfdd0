"""Documents carried out: a section's files, diffs and commands, in a copy of the checkout.

A block of Python whose first line names a file becomes that file, a diff is applied, commands (sh)
are run; blocks of other languages are left alone.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def sections_of(path):
    """{heading: text} of the sections of second level of a document of the checkout."""
    text = (ROOT / path).read_text()
    return dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE))


def touched(section):
    """The files that a section writes or changes."""
    files = []
    for language, text in FENCE.findall(section):
        if language == "python":
            files.append(re.match(r"# (\S+\.py)\n", text)[1])
        elif language == "diff":
            files += re.findall(r"^\+\+\+ b/(\S+)$", text, re.MULTILINE)
    return files


def carry_out(section, folder):
    """Do what a section says in a copy of the checkout; returns what its commands printed."""
    for name in ("randlabels", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    printed = ""
    for language, text in FENCE.findall(section):
        if language == "python":
            path = folder / re.match(r"# (\S+\.py)\n", text)[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.partition("\n")[2])
        elif language == "diff":
            command = ["git", "apply", "--unsafe-paths", "-"]
            done = subprocess.run(command, input=text, text=True, cwd=folder, capture_output=True)
            assert done.returncode == 0, done.stderr
        elif language == "sh":
            printed += run(text, folder)
    return printed


def run(commands, folder):
    """Run shell commands with the copy's code; `python` is this one."""
    tools = folder / ".tools"
    tools.mkdir(exist_ok=True)
    python = tools / "python"  # a link would lose the environment that it belongs to
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": "1",
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
    }
    done = subprocess.run(
        ["bash", "-ec", commands],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
