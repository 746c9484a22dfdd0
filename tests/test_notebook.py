"""launch/colab.ipynb, its code cells executed on runs that were really trained."""

import base64
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import scipy.optimize
from PIL import Image

from randlabels import load_run
from randlabels.errors import InputError
from randlabels.training.loop import train

ROOT = Path(__file__).parents[1]
NOTEBOOK = json.loads((ROOT / "launch" / "colab.ipynb").read_text())
SOURCES = {
    cell["id"]: "".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"
}
OWN_PICTURES = ("pictures", "pictures-run", "pictures-page")  # carried out in Jupyter, below
PICTURE = re.compile(r'<img alt="([^"]+)" src="data:image/png;base64,([^"]+)">')


class Shown:
    """What the notebook hands to IPython's HTML and Markdown."""

    def __init__(self, data):
        self.data = data


def execute(workdir):
    """(namespace, [(alternative text, base64)], texts) of the notebook on a workdir elsewhere."""
    shown = []
    ipython = ModuleType("IPython.display")  # IPython itself comes with Jupyter, not with us
    ipython.HTML, ipython.Markdown = Shown, Shown
    ipython.display = lambda *several: shown.extend(several)
    namespace = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "IPython.display", ipython)
        patch.setenv("RANDLABELS_WORKDIR", str(workdir))
        patch.setattr(subprocess, "run", refuse)
        patch.chdir(workdir.parent)
        for name, source in SOURCES.items():
            if name not in OWN_PICTURES:
                exec(compile(source, name, "exec"), namespace)
    texts = [one.data for one in shown]
    return namespace, [found for text in texts for found in PICTURE.findall(text)], texts


def refuse(*_, **__):
    raise AssertionError("installed, though the package is there")


def table_of(texts, column):
    """The cells of the one table with this column, by row."""
    lines = next(text for text in texts if text.startswith("| ") and f" {column} |" in text)
    header, _, *rows = ([c.strip() for c in line[1:-1].split(" |")] for line in lines.split("\n"))
    return [dict(zip(header, row, strict=True)) for row in rows]


def misalignment_of(vectors, filters):
    """Paper, Definition 2, by NumPy."""
    sigma_w = filters @ filters.T / filters.shape[1]
    forward = np.diag(vectors.T @ sigma_w @ vectors)
    backward = np.diag(vectors.T @ np.linalg.inv(sigma_w) @ vectors)
    return np.sqrt(forward * backward).sum() - len(sigma_w)


@pytest.fixture(scope="module")
def executed(tiny_config, tmp_path_factory):
    """Two networks of 40 filters that see images."""
    workdir = tmp_path_factory.mktemp("images") / "run"
    changes = {
        "model.filters": 40,
        "train.checkpoint_epochs": (0, 1, 2),
        "data.seed": 2,  # of these images, no layer of the two networks dies
        "optimizer.learning_rate": 0.2,
    }
    train(tiny_config(changes), workdir)
    return workdir, *execute(workdir)


@pytest.fixture(scope="module")
def basis(executed):
    """Eigenvalues and eigenvectors, descending, of the 3x3 patches of the run's images."""
    task = executed[1]["task"]
    images = np.concatenate(list(task.batches())).astype(np.float64)
    n, h, w, _ = images.shape
    patches = [
        images[:, i : i + 3, j : j + 3].reshape(n, -1) for i in range(h - 2) for j in range(w - 2)
    ]
    values, vectors = np.linalg.eigh(np.cov(np.concatenate(patches).T, bias=True))
    return values[::-1], vectors[:, ::-1]


def filters_at(workdir, step):
    """[network, d, m] of the first layer."""
    kernels = load_run(workdir).params(step)["conv1"]["kernel"].astype(np.float64)
    return kernels.reshape(2, 27, 40)


def test_notebook_stores_no_outputs_and_is_valid():
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in NOTEBOOK["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in NOTEBOOK["cells"]:
        assert cell["metadata"] == {}
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
        else:
            assert set(cell) == {"cell_type", "id", "metadata", "source"}


def test_networks_and_checkpoints_are_listed(executed):
    workdir, _, _, texts = executed
    run = load_run(workdir)
    listed = table_of(texts, "label_seed")
    assert [row["seed"] for row in listed] == ["0", "1"]
    assert [row["arm"] for row in listed] == [row.arm for row in run.networks]
    checkpoints = table_of(texts, "step")
    assert tuple(int(row["step"]) for row in checkpoints) == run.steps == (0, 3, 6)
    assert [float(row["epoch"]) for row in checkpoints] == [0, 1, 2]


def test_every_picture_is_drawn(executed, tmp_path):
    _, _, pictures, _ = executed
    # curves, filters, eigenvectors, misalignment, f, closed form, f of own kernels
    assert len(pictures) == 7
    assert len({alt for alt, _ in pictures}) == 7  # each is described, as itself
    for _, picture in pictures:
        path = tmp_path / "picture.png"
        path.write_bytes(base64.b64decode(picture))
        with Image.open(path) as image:
            assert min(image.size) > 200
            assert len(image.convert("RGB").getcolors(1_000_000)) > 10


def test_curves_are_those_of_the_metrics(executed):
    workdir, namespace, _, _ = executed
    records = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    for name, of_arm in namespace["curves"].items():
        steps, values = of_arm["scratch"]
        np.testing.assert_array_equal(steps, [record["step"] for record in records])
        np.testing.assert_array_equal(values.T, [r[f"{name}_accuracy"] for r in records])
    assert "train" in namespace["curves"]


def test_filters_are_tiles_in_the_order_row_column_channel(executed):
    workdir, namespace, _, _ = executed
    kernel = load_run(workdir).params(6)["conv1"]["kernel"][0]
    picture = namespace["montage"](kernel)
    assert picture.shape == (2 * 4 - 1, 16 * 4 - 1, 3)
    w = kernel[..., 18]  # second row, third tile
    expected = 0.5 + 0.5 * w / np.abs(w).max()
    np.testing.assert_allclose(picture[4:7, 8:11], expected, rtol=1e-6)
    np.testing.assert_array_equal(picture[3], 1)
    np.testing.assert_array_equal(namespace["montage"](kernel[..., :5])[:, -4 * 11 :], 1)


def test_misalignment_of_the_run_is_that_of_its_checkpoint(executed, basis):
    workdir, namespace, _, texts = executed
    pooled = np.concatenate(filters_at(workdir, 6), axis=1)
    expected = misalignment_of(basis[1], pooled)
    rows = {row["kernel"]: row for row in table_of(texts, "misalignment")}
    assert float(rows["from PyTorch"]["misalignment"]) == pytest.approx(expected, rel=1e-3)
    assert int(rows["from PyTorch"]["filters"]) == 80
    record = next(r for r in namespace["alignment"].records if r.step == 6 and r.network is None)
    assert record.misalignment_data == pytest.approx(expected, rel=1e-3)
    # A tensor in PyTorch's order, flattened as it is: (channel, row, column).
    wrong = pooled.reshape(3, 3, 3, 80).transpose(2, 0, 1, 3).reshape(27, 80)
    found = float(rows["not converted"]["misalignment"])
    assert found == pytest.approx(misalignment_of(basis[1], wrong), rel=1e-3)
    assert abs(found - expected) > 0.01 * expected


def test_planted_kernel_is_at_the_floor_and_random_bases_are_not(executed):
    *_, texts = executed
    planted = next(r for r in table_of(texts, "misalignment") if r["kernel"] == "planted")
    low, high = map(float, planted["floor"].split("[")[1].rstrip("]").split(", "))
    least, _ = map(float, planted["random bases"].split(" to "))
    rng = np.random.default_rng(3)
    isotropic = [misalignment_of(np.eye(27), rng.standard_normal((27, 270))) for _ in range(200)]
    np.testing.assert_allclose([low, high], np.quantile(isotropic, [0.025, 0.975]), rtol=0.1)
    assert low / 1.3 < float(planted["misalignment"]) < 1.3 * high < least
    assert planted["p"] == f"{1 / 201:.4g}"


def test_closed_form_is_fitted_to_what_was_learned(executed, basis):
    workdir, namespace, _, texts = executed
    values, vectors = basis
    maps = namespace["maps"][""]
    assert list(maps) == [1, 2]
    learned = filters_at(workdir, 6) - filters_at(workdir, 0)
    taus = np.sqrt(np.square(vectors.T @ np.concatenate(learned, axis=1)).mean(1))
    np.testing.assert_allclose(maps[2].eigenvalues, values, rtol=1e-4)
    np.testing.assert_allclose(maps[2].pooled, taus, rtol=1e-2)

    def curve(sigma, amplitude, log_eta_t):
        return amplitude * (1 - np.exp(-np.exp(log_eta_t) * sigma**2)) / sigma

    fitted, _ = scipy.optimize.curve_fit(curve, np.sqrt(values), taus, p0=(0.01, 0.0))
    residual = np.square(taus - curve(np.sqrt(values), *fitted)).sum()
    row = table_of(texts, "R²")[-1]
    explained = 1 - residual / np.square(taus - taus.mean()).sum()
    assert float(row["R²"]) == pytest.approx(explained, abs=1e-3)
    assert float(row["epoch"]) == 2
    assert float(row["largest at eigenvalue"]) == pytest.approx(values[taus.argmax()], rel=1e-3)


def test_an_analysis_that_is_there_is_read_and_not_made_again(executed):
    workdir, first, _, _ = executed
    path = workdir / "analysis" / "alignment.json"
    before = path.stat().st_mtime_ns
    again, pictures, _ = execute(workdir)
    assert path.stat().st_mtime_ns == before
    assert len(pictures) == 7
    np.testing.assert_equal(again["alignment"].to_json(), first["alignment"].to_json())


def test_vectors_few_filters_and_a_sweep(tiny_config, tmp_path):
    """Nothing is drawn that there is not, and the table says what to do."""
    changes = {
        "data.name": "gaussian",
        "data.diagonal": (4.0, 3.0, 2.0, 1.0, 0.5, 0.25),
        "data.image_size": 0,
        "model.name": "mlp",
        "model.filters": 48,  # its default: an mlp has none
        "population.seeds": 1,
        "population.sweep": (("optimizer.learning_rate", (0.05, 0.1)),),
        "train.checkpoint_epochs": (0, 1),
        "model.widths": (2,),
    }
    train(tiny_config(changes), tmp_path / "run")
    namespace, pictures, texts = execute(tmp_path / "run")
    assert len(pictures) == 5  # no eigenvectors as images, no misalignment of 2 filters in 6-d
    metrics = load_run(tmp_path / "run").metrics
    drawn = namespace["curves"]["train"]["scratch"][1]  # the networks of both learning rates
    np.testing.assert_array_equal(drawn.T, [record["train_accuracy"] for record in metrics])
    assert texts.count("*There is no such figure of dense1.*") == 2
    assert list(namespace["maps"]) == ["learning rate 0.05", "learning rate 0.1"]
    rows = {row["kernel"]: row for row in table_of(texts, "misalignment")}
    assert "more than 6 filters" in rows["from PyTorch"]["misalignment"]
    assert 0 < float(rows["planted"]["misalignment"]) < 2


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_without_a_run_it_names_the_command_that_makes_one(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        execute(tmp_path / name)
    sentence = str(caught.value)
    assert "holds no run; `bash launch/quickstart.sh` makes runs/quickstart/upstream" in sentence
    assert "\n" not in sentence


class Place:
    """A session of a notebook beside a clone, in which the package is not installed."""

    def __init__(self, folder, monkeypatch):
        self.clone = folder / "somewhere"
        (self.clone / "launch").mkdir(parents=True)
        (self.clone / "launch" / "colab.ipynb").touch()
        (self.clone / "setup.cfg").write_text((ROOT / "setup.cfg").read_text())
        self.asked, self.patch = [], monkeypatch
        find = importlib.util.find_spec
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name: find(name) if str(self.clone) in sys.path else None,
        )
        monkeypatch.setattr(shutil, "which", lambda name: None)
        monkeypatch.setattr(subprocess, "run", lambda command, check: self.asked.append(command))
        monkeypatch.chdir(folder)

    def run(self, replace=False, **versions):
        """Run the first cell where packages of these versions are installed."""
        there = [SimpleNamespace(metadata={"Name": n}, version=v) for n, v in versions.items()]
        self.patch.setattr(metadata, "distributions", lambda: there)
        source = SOURCES["install"]
        assert source.count("REPLACE_JAX = False") == 1
        if replace:
            source = source.replace("REPLACE_JAX = False", "REPLACE_JAX = True")
        exec(compile(source, "install", "exec"), {})


@pytest.fixture
def place(tmp_path, monkeypatch):
    return Place(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("versions", "kept"),
    [
        ({}, []),
        ({"jax": "0.10.2", "jaxlib": "0.10.2"}, ["jax==0.10.2", "jaxlib==0.10.2"]),
        ({"jax": "0.11.3", "jaxlib": "0.11.2+cuda"}, ["jax==0.11.3", "jaxlib==0.11.2+cuda"]),
    ],
)
def test_installation_keeps_a_jax_that_fits(place, versions, kept):
    place.run(**versions)
    (command,) = place.asked
    assert command[1:] == ["-m", "pip", "install", "--quiet", "--editable", str(place.clone), *kept]
    assert Path.cwd() == place.clone
    place.run(**versions)  # once more in the same session
    assert len(place.asked) == 1


@pytest.mark.parametrize("jax", ["0.4.30", "0.12.0"])
def test_a_jax_that_does_not_fit_is_replaced_only_if_asked_for(place, capsys, jax):
    with pytest.raises(ImportError, match=rf"jax {jax} is installed, .* needs jax<.*>=") as caught:
        place.run(jax=jax, jaxlib=jax)
    assert "nothing was changed. Set REPLACE_JAX = True" in str(caught.value)
    assert place.asked == []
    place.run(replace=True, jax=jax, libtpu="1")
    assert place.asked[0][-1] == f"{place.clone}[tpu]"
    assert "restart the session" in capsys.readouterr().out


IN_JUPYTER = """
import sys
import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], 4)
asks = "from ipykernel.kernelapp import IPKernelApp; print(IPKernelApp.instance().ip)"
notebook.cells.append(nbformat.v4.new_code_cell(asks))
client = NotebookClient(notebook, timeout=400, resources={"metadata": {"path": "."}})
client.create_kernel_manager()
client.km.ip = "127.0.0.1"  # nobody else on the network may give it commands
client.execute()
nbformat.write(notebook, "executed.ipynb")
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_of_it_in_jupyter(executed, tmp_path):
    """In a kernel of its own, and with it the way from class folders to figures and a page."""
    for name in ("nbclient", "ipykernel"):
        pytest.importorskip(name, reason="needs the extra: pip install -e .[notebook]")
    private = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
    done = subprocess.run(
        [sys.executable, "-c", IN_JUPYTER, ROOT / "launch" / "colab.ipynb"],
        cwd=tmp_path,
        env=os.environ
        | {name: str(tmp_path / "jupyter") for name in private}
        | {"RANDLABELS_WORKDIR": str(executed[0]), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cells = json.loads((tmp_path / "executed.ipynb").read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    printed = "".join(text for one in outputs for text in one.get("text", ()))
    assert printed.splitlines()[-1] == "127.0.0.1"
    assert "Warning" not in printed
    data = [one["data"] for one in outputs if "data" in one]
    shown = "".join(text for one in data for text in one.get("text/html", ()))
    assert len(PICTURE.findall(shown)) == shown.count("<img") == 8
    assert 'srcdoc="&lt;!doctype html' in shown.lower()
    assert len(list((tmp_path / "runs" / "my_pictures" / "figures").glob("*.png"))) >= 3
    if importlib.util.find_spec("ipywidgets"):
        widgets = [one for one in data if "application/vnd.jupyter.widget-view+json" in one]
        assert len(widgets) >= 3  # reading, decoding, training, analysis
        assert "%|" not in printed  # and no bar of text


def test_no_picture_is_put_into_a_folder_of_the_users_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "pictures" / "cats").mkdir(parents=True)
    exec(compile(SOURCES["pictures"], "pictures", "exec"), {"Path": Path, "np": np})
    assert [path.name for path in tmp_path.rglob("*")] == ["runs", "pictures", "cats"]


def test_from_class_folders_to_figures_takes_ten_lines():
    assert sum(bool(line.strip()) for line in SOURCES["pictures-run"].splitlines()) <= 10
