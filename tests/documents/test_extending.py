"""docs/extending.md, done as it says: each section's files and diffs, then its commands.

A section is carried out in a copy of the checkout: a block of Python whose first line names a file
becomes that file, a diff is applied, commands are run. What came of it is then looked at here.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from randlabels import load_run
from randlabels.analysis.records import load_alignment

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "extending.md").read_text()
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))

pytestmark = pytest.mark.slow


def blocks(section):
    """(language, text) of the fenced blocks of a section."""
    return FENCE.findall(SECTIONS[section])


def touched(section):
    """The files that a section writes or changes."""
    files = []
    for language, text in blocks(section):
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
    for language, text in blocks(section):
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


def test_the_table_counts_the_files_of_each_section():
    rows = re.findall(r"^\| (.+?) \| (\d+) \|", TEXT, re.MULTILINE)
    assert [name for name, _ in rows] == list(SECTIONS)
    for name, count in rows:
        assert len(touched(name)) == int(count), name


def test_a_model(tmp_path):
    carry_out("A model", tmp_path)
    run_ = load_run(tmp_path / "runs" / "two_towers")
    assert run_.config["model"]["name"] == "my_lab.two_towers:TwoTowers"
    assert set(run_.params(run_.steps[-1])) == {"left", "right", "head"}
    assert run_.metrics[-1]["train_accuracy"] != run_.metrics[0]["train_accuracy"]


def test_a_data_set(tmp_path):
    carry_out("A data set", tmp_path)
    run_ = load_run(tmp_path / "runs" / "stripes")
    assert run_.config["data"]["name"] == "stripes"
    assert run_.status["state"] == "done"


def test_images_of_your_own(tmp_path):
    printed = carry_out("Images of your own", tmp_path)
    assert "nearer to the photos' eigenvectors than to DCT x opponent colours: " in printed
    gains = re.search("gain of each seed: (.*)", printed)[1].split(", ")
    assert len(gains) == len(load_run(tmp_path / "runs" / "photos").networks)
    assert (tmp_path / "runs" / "photos_real" / "curves.png").stat().st_size > 5000
    run_ = load_run(tmp_path / "runs" / "photos")
    assert run_.config["data"]["name"] == "my_lab.photos:PHOTOS"
    assert run_.status["state"] == "done"
    assert load_alignment(tmp_path / "runs" / "photos").records
    arms = {row.arm for row in load_run(tmp_path / "runs" / "photos_real").networks}
    assert arms == {"scratch", "pretrained"}


def test_an_arm(tmp_path):
    carry_out("An arm", tmp_path)
    run_ = load_run(tmp_path / "runs" / "rademacher")
    arms = {row.arm: row for row in run_.networks}
    assert set(arms) == {"scratch", "rademacher"}
    kernel = run_.params(0, layer="conv1")["conv1"]["kernel"]
    signs = kernel[arms["rademacher"].network]
    np.testing.assert_allclose(np.abs(signs), np.abs(signs).mean(), rtol=1e-5)
    assert np.abs(kernel[arms["scratch"].network]).std() > 0


def test_a_study(tmp_path):
    carry_out("A study", tmp_path)
    verdicts = json.loads((tmp_path / "runs" / "wide" / "verdicts.json").read_text())
    assert [verdict["name"] for verdict in verdicts["verdicts"]] == ["wider_is_faster"]
    assert (tmp_path / "runs" / "wide" / "report.html").exists()


def test_a_statistic(tmp_path):
    carry_out("A statistic", tmp_path)
    alignment = json.loads((tmp_path / "runs/base/analysis/alignment.json").read_text())
    for record in alignment["records"]:
        values = np.array(record["filter_eigenvalues"])
        expected = values.sum() ** 2 / np.square(values).sum()
        assert record["participation_ratio"] == pytest.approx(expected)


def test_a_config_field(tmp_path):
    carry_out("A config field", tmp_path)
    run_ = load_run(tmp_path / "runs" / "clipped")
    assert run_.config["optimizer"]["clip_norm"] == 0.001
    start, end = (run_.params(step)["head"]["kernel"] for step in (0, run_.steps[-1]))
    # Plain SGD: no step moves all weights together by more than learning rate x norm.
    moved = np.linalg.norm((end - start).reshape(len(end), -1), axis=1)
    assert (moved <= run_.steps[-1] * 0.01 * 0.001 * (1 + 1e-4)).all()
    assert (moved > 0).all()
