"""Front door 2 on a run that was really trained, against NumPy, and with bad input."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from randlabels.analysis.records import alignment_path, load_alignment
from randlabels.analysis.run_analysis import analyze, page_path
from randlabels.analysis.run_page import left_out
from randlabels.data import sources, splits
from randlabels.errors import AllLostError, InputError
from randlabels.runs import load_run
from randlabels.states import summary
from randlabels.training.loop import train

NUM_BASES = 200


@pytest.fixture(scope="module")
def trained(tiny_config, tmp_path_factory):
    """Two networks of 40 filters, two epochs of three steps."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    changes = {"model.filters": 40, "train.checkpoint_epochs": (0, 1, 2)}
    train(tiny_config(changes), workdir)
    return workdir


@pytest.fixture(scope="module")
def analysed(trained, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("analysed") / "run"
    shutil.copytree(trained, workdir)
    return workdir, analyze(workdir, random_bases=NUM_BASES)


@pytest.fixture
def fresh(trained, tmp_path):
    """A copy of the run that a test may damage."""
    return shutil.copytree(trained, tmp_path / "run")


def sigma_x(config):
    """Covariance [27, 27] of the 3x3 patches of the upstream images, NumPy alone."""
    images = sources.load(config.data).train_images / 255.0
    chosen = splits.split_indices(config.data.seed, 98, 50, 48)["upstream"]
    images = ((images - images.mean((0, 1, 2))) / images.std((0, 1, 2)))[chosen]
    patches = [images[:, i : i + 3, j : j + 3].reshape(50, -1) for i in range(6) for j in range(6)]
    return np.cov(np.concatenate(patches).T, bias=True)


def misalignment_of(basis, sigma_w):
    forward = np.diag(basis.T @ sigma_w @ basis)
    backward = np.diag(basis.T @ np.linalg.inv(sigma_w) @ basis)
    return np.sqrt(forward * backward).sum() - len(sigma_w)


def test_numbers_of_a_trained_run_equal_numpy(analysed, tiny_config):
    workdir, alignment = analysed
    values, vectors = np.linalg.eigh(sigma_x(tiny_config()))
    values, vectors = values[::-1], vectors[:, ::-1]
    data = alignment.data["conv1"]
    np.testing.assert_allclose(data.eigenvalues, values, rtol=1e-4)
    assert data.count == 50 * 36
    run = load_run(workdir)
    assert run.steps == (0, 3, 6)
    records = {(r.step, r.network): r for r in alignment.records}
    assert len(records) == len(alignment.records) == 9
    for step in run.steps:
        kernels = run.params(step)["conv1"]["kernel"].astype(np.float64).reshape(2, 27, 40)
        for network, filters in [(None, np.concatenate(kernels, 1)), *enumerate(kernels)]:
            record = records[step, network]
            sigma_w = filters @ filters.T / filters.shape[1]
            assert (record.dim, record.num_filters) == filters.shape
            assert record.epoch == step / 3
            expected = misalignment_of(vectors, sigma_w)
            assert record.misalignment_data == pytest.approx(expected, rel=1e-3)
            own = np.linalg.eigvalsh(sigma_w)[::-1]
            np.testing.assert_allclose(record.filter_eigenvalues, own, rtol=1e-6)
            taus = np.sqrt(np.diag(vectors.T @ sigma_w @ vectors))
            np.testing.assert_allclose(record.tau, taus, rtol=1e-3)
            norms = np.linalg.norm(kernels, axis=(1, 2))
            norm = norms.mean() if network is None else norms[network]
            assert record.kernel_norm == pytest.approx(norm, rel=1e-10)


def test_random_bases_have_the_misalignments_that_numpy_draws(analysed):
    workdir, alignment = analysed
    record = alignment.records[-1]
    kernel = load_run(workdir).params(6)["conv1"]["kernel"][record.network]
    filters = kernel.astype(np.float64).reshape(27, 40)
    sigma_w = filters @ filters.T / 40
    normal = np.random.default_rng(5).standard_normal((NUM_BASES, 27, 27))
    expected = [misalignment_of(np.linalg.qr(draw)[0], sigma_w) for draw in normal]
    found = record.misalignment_random
    assert found.shape == (NUM_BASES,)
    error = np.std(expected) * np.sqrt(2 / NUM_BASES)
    assert abs(np.mean(expected) - found.mean()) < 4 * error
    assert np.std(found) == pytest.approx(np.std(expected), rel=0.25)
    below = np.count_nonzero(found <= record.misalignment_data)
    assert record.p_value == (1 + below) / (1 + NUM_BASES)


def test_file_is_strict_json_and_is_read_back_as_it_was_returned(analysed):
    workdir, returned = analysed

    def refuse(constant):
        raise AssertionError(constant)

    text = alignment_path(workdir).read_text()
    json.loads(text, parse_constant=refuse)
    read = load_alignment(workdir)
    np.testing.assert_equal(dataclasses.asdict(read), dataclasses.asdict(returned))
    assert isinstance(read.records[0].tau, np.ndarray)
    assert read.records[0].networks == (0, 1)
    assert read.skipped == read.diverged == ()


def test_figures_are_pictures(analysed):
    from PIL import Image

    names = sorted(path.name for path in (analysed[0] / "figures").iterdir())
    assert names == [
        "eigenvalue_map_conv1.png",
        "eigenvectors_conv1.png",
        "misalignment_conv1.png",
    ]
    for name in names:
        with Image.open(analysed[0] / "figures" / name) as picture:
            assert min(picture.size) > 200
            assert len(picture.convert("RGB").getcolors(1_000_000)) > 10


def damage(workdir, step):
    """Flip one byte in the middle of every large file of a checkpoint."""
    for path in (workdir / "checkpoints" / str(step)).rglob("*"):
        if path.is_file() and "/d/" in str(path):
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 0xFF
            path.write_bytes(bytes(data))


def test_damaged_checkpoint_is_left_out_and_said(fresh, caplog):
    damage(fresh, 3)
    alignment = analyze(fresh, random_bases=3)
    assert {record.step for record in alignment.records} == {0, 6}
    assert [(entry.layer, entry.step) for entry in alignment.skipped] == [("conv1", 3)]
    assert "checkpoints/3" in alignment.skipped[0].reason
    assert "checkpoints/3" in caplog.text
    page = page_path(fresh).read_text()
    assert page.index("checkpoints/3") < page.index("<table>")  # before any number
    assert left_out(alignment) == "; without the damaged checkpoint of step 3"
    assert left_out(dataclasses.replace(alignment, skipped=())) == ""


def assert_nothing_written(workdir):
    assert not (workdir / "analysis").exists()
    assert not (workdir / "figures").exists()


def test_without_a_whole_checkpoint_nothing_is_written(fresh):
    for step in (0, 3, 6):
        damage(fresh, step)
    with pytest.raises(InputError, match="no intact checkpoint"):
        analyze(fresh)
    assert_nothing_written(fresh)
    shutil.rmtree(fresh / "checkpoints")
    with pytest.raises(InputError, match="none of its checkpoints can be read"):
        analyze(fresh)
    assert_nothing_written(fresh)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"layers": ("conv1", "conv2")},
            "there is no layer 'conv2' to analyse; it may be all, or some of conv1, dense1, head",
        ),
        ({"inputs": "chekpoint"}, "checkpoint or initialisation"),
        ({"random_bases": 0}, "from 1 to 100000"),
    ],
)
def test_bad_arguments_are_one_sentence(fresh, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        analyze(fresh, **arguments)
    assert_nothing_written(fresh)


def mark(monkeypatch, *states):
    """Runs of two networks are read as if these were in such states."""

    def load(workdir):
        run = load_run(workdir)
        rows = [
            dataclasses.replace(row, **{f"{state}_epoch": 2})
            for row, state in zip(run.networks, states, strict=True)
        ]
        return dataclasses.replace(run, networks=tuple(rows))

    monkeypatch.setattr("randlabels.analysis.run_analysis.load_run", load)


def test_a_folder_that_is_not_there_is_said_and_not_made(tmp_path):
    with pytest.raises(InputError, match="holds no run .there is no such folder"):
        analyze(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_lost_networks_are_left_out_and_untrained_ones_named(fresh, monkeypatch, caplog):
    mark(monkeypatch, "untrained", "dead")
    alignment = analyze(fresh, random_bases=3)
    assert (alignment.networks, alignment.diverged, alignment.dead) == ((0,), (), (1,))
    assert {record.networks for record in alignment.records} == {(0,)}
    assert "Networks [1] diverged or died, and are left out." in caplog.text
    assert (
        "Networks [0] ended at chance; they are analysed all the same. Train longer" in caplog.text
    )


def test_a_run_of_which_all_networks_are_lost_is_not_analysed(fresh, monkeypatch):
    mark(monkeypatch, "diverged", "dead")
    with pytest.raises(AllLostError, match=r"\(2 networks: 1 dead, 1 diverged\)"):
        analyze(fresh)
    assert_nothing_written(fresh)


def test_reading_an_analysis_that_is_missing_or_damaged(fresh):
    with pytest.raises(InputError, match="was not analysed"):
        load_alignment(fresh)
    alignment_path(fresh).parent.mkdir()
    alignment_path(fresh).write_text('{"data": {')
    with pytest.raises(InputError, match="damaged"):
        load_alignment(fresh)


def test_command_prints_one_sentence_for_a_folder_without_a_run(tmp_path):
    command = [sys.executable, "-m", "randlabels.analyze", f"--workdir={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"randlabels: {tmp_path} holds no run")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_command_analyses_the_layers_it_is_given(fresh):
    command = [sys.executable, "-m", "randlabels.analyze", f"--workdir={fresh}"]
    command += ["--layers=conv1,head", "--random_bases=3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(alignment_path(fresh)) in done.stdout
    named = [line for line in done.stderr.splitlines() if " x cpu (" in line]
    assert len(named) == 1
    assert re.fullmatch(rf"Analysis of {fresh.name}, on \d+ x cpu \(\d+ cores\)\.", named[0])
    assert done.stdout.splitlines()[-1] == f"Read: {summary(load_run(fresh).networks)}"
    assert list(load_alignment(fresh).data) == ["conv1", "head"]
    assert (fresh / "figures" / "eigenvalue_map_head.png").exists()


def test_command_says_how_far_a_run_has_come_that_is_not_finished(fresh):
    status = json.loads((fresh / "status.json").read_text())
    (fresh / "status.json").write_text(json.dumps(status | {"state": "interrupted"}))
    run = load_run(fresh)
    command = [sys.executable, "-m", "randlabels.analyze", f"--workdir={fresh}", "--random_bases=2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    epochs = run.config["train"]["epochs"]
    said = f"; training is interrupted, at epoch {epochs} of {epochs}"
    assert done.stdout.splitlines()[-1] == f"Read: {summary(run.networks)}{said}"
