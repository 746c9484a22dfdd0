"""The package in Python: train, analyse, tables, figures, configs; and what notebooks show."""

import pydoc
import subprocess
import sys

import numpy as np
import pytest

import randlabels
from randlabels.errors import InputError

SMALL = {
    "epochs": 2,
    "seeds": 2,
    "filters": 32,
    "upstream_size": 128,
    "downstream_size": 64,
    "test_size": 32,
    "batch_size": 32,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = randlabels.config("base", **SMALL)
    return randlabels.train(config, tmp_path_factory.mktemp("api") / "run")


@pytest.fixture(scope="module")
def alignment(run):
    return randlabels.analyze(run, random_bases=5)


def test_training_returns_the_run_and_analysis_takes_it(run, alignment):
    assert run.status["state"] == "done"
    assert run.config["train"]["epochs"] == 2
    again = randlabels.load_run(run.workdir)
    assert again.metrics == run.metrics
    assert alignment.networks == (0, 1)
    assert str(run.workdir) in repr(run)
    assert len(repr(run)) < 300
    assert repr(alignment).startswith("Alignment(2 networks, layers conv1, 2 checkpoints)")


def test_a_notebook_shows_a_table(run):
    shown = run._repr_html_()
    assert shown.startswith("<table>")
    for text in ("simple_cnn", "dead_leaves, random labels", "2 of 2"):
        assert text in shown


class Frame:
    """In the place of pandas, which is optional: it keeps its rows."""

    def __init__(self, rows):
        self.rows = rows


@pytest.fixture
def frames(monkeypatch):
    import types

    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=Frame))


def test_metrics_as_a_long_table(run, frames):
    rows = run.frame().rows
    of = [r for r in rows if (r["epoch"], r["network"], r["metric"]) == (2, 1, "train_accuracy")]
    assert [row["value"] for row in of] == [run.metrics[-1]["train_accuracy"][1]]
    assert {row["arm"] for row in rows} == {"scratch"}
    assert all(np.ndim(value) == 0 for row in rows for value in row.values())
    metrics = {name for name, v in run.metrics[-1].items() if np.ndim(v) == 1}
    assert {row["metric"] for row in rows} == metrics
    assert len(rows) >= 3 * 2


def test_an_analysis_as_a_long_table(alignment, frames):
    rows = alignment.frame().rows
    record = alignment.pooled("conv1", alignment.records[-1].step)
    of = [
        row
        for row in rows
        if row["network"] is None
        and row["step"] == record.step
        and row["quantity"] == "misalignment_data"
    ]
    assert [row["value"] for row in of] == [record.misalignment_data]
    assert {row["networks"] for row in rows} == {1, 2}
    assert all(np.ndim(value) == 0 for row in rows for value in row.values())


def test_without_pandas_a_sentence(run, alignment, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    for found in (run, alignment):
        with pytest.raises(InputError, match=r"needs pandas; install it by `pip install"):
            found.frame()


def test_figures(run, alignment):
    (ax,) = run.plot("train_loss").axes
    lines = [line.get_ydata() for line in ax.lines]
    means = [np.mean(record["train_loss"]) for record in run.metrics if "train_loss" in record]
    assert any(len(line) == len(means) and np.allclose(line, means) for line in lines)
    assert alignment.plot().axes
    with pytest.raises(InputError, match="the metric 'acc' may be"):
        run.plot("acc")
    with pytest.raises(InputError, match="layer 'conv9' was not analysed; conv1 were"):
        alignment.plot("conv9")


def test_what_python_is_told_is_in_words_of_both(run, tmp_path):
    """Called from Python, nothing speaks of flags."""
    wrong = {
        "there is no layer 'conv2' to analyse": lambda: randlabels.analyze(run, layers=("conv2",)),
        "random_bases is 0;": lambda: randlabels.analyze(run, random_bases=0),
        "inputs is 'x';": lambda: randlabels.analyze(run, inputs="x"),
        "workdir .* holds a run of another config": lambda: randlabels.train(
            randlabels.config("base", **SMALL | {"seeds": 3}), run.workdir
        ),
        "give the workdir of a training run": lambda: randlabels.load_run(tmp_path),
    }
    for sentence, call in wrong.items():
        with pytest.raises(InputError, match=sentence) as caught:
            call()
        assert "--" not in str(caught.value)


def test_help_begins_with_a_signature_that_can_be_read():
    shown = pydoc.plain(pydoc.render_doc(randlabels.compare_kernel))
    assert "kernel: 'ArrayLike | Sequence[ArrayLike]'" in shown
    assert len(shown.partition("Compare the filters")[0]) < 500


def test_configs_by_name_and_short_names():
    config = randlabels.config("base", epochs=3, data={"image_size": 8}, kind="real")
    assert (config.train.epochs, config.data.image_size, config.labels.kind) == (3, 8, "real")
    swept = randlabels.config("base", sweep=(("optimizer.learning_rate", (0.01, 0.003)),))
    assert swept.population.sweep == (("optimizer.learning_rate", (0.01, 0.003)),)
    assert randlabels.config("simple_cnn:short") != randlabels.config("simple_cnn:smoke")
    assert randlabels.config("study:quickstart.upstream.smoke").train.task == "upstream"
    listed = randlabels.config("base", widths=[8, 4])
    assert listed.model.widths == (8, 4)


def test_a_config_in_a_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from randlabels.configs import base\n"
        "def get_config(argument=''):\n"
        "    config = base.get_config()\n"
        "    config.train.epochs = int(argument or 7)\n"
        "    return config\n"
    )
    assert randlabels.config(str(path)).train.epochs == 7
    assert randlabels.config(f"{path}:9").train.epochs == 9
    path.write_text("1 / 0\n")
    with pytest.raises(InputError, match="importing .* fails: ZeroDivisionError"):
        randlabels.config(str(path))
    path.write_text("x = 1\n")
    with pytest.raises(InputError, match="has no get_config"):
        randlabels.config(str(path))


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("bse", {}, "there is no config 'bse'; did you mean 'base'"),
        ("base", {"epoch": 3}, "no field of a config is called 'epoch'; did you mean 'epochs'"),
        ("base", {"data": {"nam": 1}}, "config.data.nam is unknown"),
        ("base", {"learning_rate": "x"}, "config.optimizer.learning_rate must be of type float"),
        ("base", {"epochs": -1}, "config.train.epochs must be from 1 to"),
        ("base:short", {}, "base has no recipe or budget 'short'"),
    ],
)
def test_configs_that_are_refused(name, changes, message):
    with pytest.raises(InputError, match=message):
        randlabels.config(name, **changes)


def test_a_name_of_several_fields_asks_for_the_group():
    with pytest.raises(InputError, match=r"name may be data.name or model.name or optimizer.name"):
        randlabels.config("base", name="vgg16")


def test_what_is_no_config_is_one_sentence(tmp_path):
    for given in ("base", None, {"train": 3}):
        with pytest.raises(InputError, match=r"is no config; make one by randlabels.config"):
            randlabels.train(given, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_offered_is_seen():
    assert {"train", "analyze", "config", "compare_kernel"} <= set(dir(randlabels))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: randlabels.analyze(run, layers="conv1"), "give a sequence of names"),
        (lambda run: randlabels.reproduce("quick", "x", "smoke"), "did you mean 'quickstart'"),
        (lambda run: randlabels.reproduce("quickstart", "x", "tiny"), "budget is 'tiny'"),
    ],
)
def test_wrong_arguments_are_one_sentence(run, call, message):
    with pytest.raises(InputError, match=message):
        call(run)


def test_importing_the_package_imports_nothing_else():
    code = (
        "import randlabels, sys;"
        "assert 'jax' not in sys.modules and 'numpy' not in sys.modules;"
        "assert callable(randlabels.analyze) and callable(randlabels.reproduce)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
