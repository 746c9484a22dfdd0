"""docs/extending.md, done as it says: each section's files and diffs, then its commands."""

import json
import re

import numpy as np
import pytest
from carrying import ROOT, carry_out, sections_of, touched

from randlabels import load_run
from randlabels.analysis.records import load_alignment

SECTIONS = sections_of("docs/extending.md")

pytestmark = pytest.mark.slow


def test_the_table_counts_the_files_of_each_section():
    text = (ROOT / "docs" / "extending.md").read_text()
    rows = re.findall(r"^\| (.+?) \| (\d+) \|", text, re.MULTILINE)
    assert [name for name, _ in rows] == list(SECTIONS)
    for name, count in rows:
        assert len(touched(SECTIONS[name])) == int(count), name


def test_a_model(tmp_path):
    carry_out(SECTIONS["A model"], tmp_path)
    run_ = load_run(tmp_path / "runs" / "two_towers")
    assert run_.config["model"]["name"] == "my_lab.two_towers:TwoTowers"
    assert set(run_.params(run_.steps[-1])) == {"left", "right", "head"}
    assert run_.metrics[-1]["train_accuracy"] != run_.metrics[0]["train_accuracy"]


def test_a_data_set(tmp_path):
    carry_out(SECTIONS["A data set"], tmp_path)
    run_ = load_run(tmp_path / "runs" / "stripes")
    assert run_.config["data"]["name"] == "stripes"
    assert run_.status["state"] == "done"


def test_images_of_your_own(tmp_path):
    printed = carry_out(SECTIONS["Images of your own"], tmp_path)
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
    carry_out(SECTIONS["An arm"], tmp_path)
    run_ = load_run(tmp_path / "runs" / "rademacher")
    arms = {row.arm: row for row in run_.networks}
    assert set(arms) == {"scratch", "rademacher"}
    kernel = run_.params(0, layer="conv1")["conv1"]["kernel"]
    signs = kernel[arms["rademacher"].network]
    np.testing.assert_allclose(np.abs(signs), np.abs(signs).mean(), rtol=1e-5)
    assert np.abs(kernel[arms["scratch"].network]).std() > 0


def test_a_study(tmp_path):
    carry_out(SECTIONS["A study"], tmp_path)
    verdicts = json.loads((tmp_path / "runs" / "wide" / "verdicts.json").read_text())
    assert [verdict["name"] for verdict in verdicts["verdicts"]] == ["wider_is_faster"]
    assert (tmp_path / "runs" / "wide" / "report.html").exists()


def test_a_statistic(tmp_path):
    carry_out(SECTIONS["A statistic"], tmp_path)
    alignment = json.loads((tmp_path / "runs/base/analysis/alignment.json").read_text())
    for record in alignment["records"]:
        values = np.array(record["filter_eigenvalues"])
        expected = values.sum() ** 2 / np.square(values).sum()
        assert record["participation_ratio"] == pytest.approx(expected)


def test_a_config_field(tmp_path):
    carry_out(SECTIONS["A config field"], tmp_path)
    run_ = load_run(tmp_path / "runs" / "clipped")
    assert run_.config["optimizer"]["clip_norm"] == 0.001
    start, end = (run_.params(step)["head"]["kernel"] for step in (0, run_.steps[-1]))
    # Plain SGD: no step moves all weights together by more than learning rate x norm.
    moved = np.linalg.norm((end - start).reshape(len(end), -1), axis=1)
    assert (moved <= run_.steps[-1] * 0.01 * 0.001 * (1 + 1e-4)).all()
    assert (moved > 0).all()
