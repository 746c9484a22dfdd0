"""Models and data sets of the user's own, named by their import path; a model added to the folder.

Nothing of the package is edited: the modules lie in a folder of the test's.
"""

import itertools
import logging
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from randlabels import load_run
from randlabels.analysis.run_analysis import analyze
from randlabels.data import sources
from randlabels.data.tasks import open_task
from randlabels.errors import InputError
from randlabels.import_path import is_import_path
from randlabels.models import build
from randlabels.saved_config import open_config
from randlabels.training.check import check
from randlabels.training.loop import train
from randlabels.training.own_model import check_own_model
from randlabels.training.setup import measure

ROOT = Path(__file__).parents[1]

# Fields of config.model (widths, init_scale), of the population (num_classes) and of its own.
FULL_MODEL = """
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp

from randlabels.models import Facts
from randlabels.models.layers import Dense


class Net(nn.Module):
    facts: ClassVar[Facts] = Facts("tiny_net", takes_vectors=True, smallest_image=lambda model: 7)

    num_classes: int
    widths: tuple[int, ...]
    init_scale: float
    slope: float = 0.1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x, train=False):
        x = x.reshape(x.shape[0], -1)
        for i, width in enumerate(self.widths, start=1):
            x = Dense(width, self.init_scale, self.dtype, name=f"dense{i}")(x)
            x = nn.leaky_relu(x, self.slope)
        return Dense(self.num_classes, self.init_scale, self.dtype, name="head")(x)
"""

# None of the fields that the package fills: layers of flax alone, float32, three classes.
PLAIN_MODEL = """
import flax.linen as nn


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, train=False):
        x = nn.relu(nn.Conv(4, (3, 3), name="conv1")(x))
        return nn.Dense(3, name="head")(x.mean(axis=(1, 2)))
"""

STRIPES = """
import numpy as np

from randlabels.data.generators import Generator


def draw(seed, count, size):
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=count, dtype=np.int32)
    images = rng.integers(0, 256, (count, size, size, 3), np.uint8)
    images[labels == 1, ::2] //= 4
    return images, labels


stripes = Generator(draw, ("plain", "striped"), reads=("image_size",))
points = Generator(
    lambda seed, count: (np.ones((count, 2), np.float32), np.zeros(count, np.int32)),
    ("one", "two"),
    vectors=True,
)
wrong = Generator(lambda seed, count: (np.ones((count, 4, 4)), np.zeros(count)), ("one", "two"))
greedy = Generator(draw, ("plain", "striped"), reads=("image_size", "contrast"))
"""

PLAIN = {"model.filters": 48, "model.widths": (32,), "model.init_scale": 0.35}  # the defaults


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A function: the text of a module -> its import name, of a package outside the repository."""
    package = f"outside_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / "elsewhere" / package
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(folder.parent)
    numbers = itertools.count()

    def write(text):
        name = f"module{next(numbers)}"
        (folder / f"{name}.py").write_text(text)
        return f"{package}.{name}"

    yield write
    for name in [name for name in sys.modules if name.startswith(package)]:
        del sys.modules[name]


def test_a_model_is_trained_from_outside(tiny_config, tmp_path, module):
    name = f"{module(FULL_MODEL)}:Net"
    sweep = (("model.init_scale", (0.5, 1.0)),)
    changes = {"model.name": name, "model.filters": 48, "population.sweep": sweep}
    config = tiny_config(changes | {"train.epochs": 1, "labels.kind": "random"})
    assert build(check(config)).slope == 0.1
    train(config, tmp_path / "run")
    run = load_run(tmp_path / "run")
    assert run.config["model"]["name"] == name
    assert run.status["state"] == "done"
    first, last = (run.params(step)["dense1"]["kernel"] for step in (run.steps[0], run.steps[-1]))
    assert first.shape == (4, 8 * 8 * 3, 5)
    assert np.abs(last - first).max() > 1e-4
    # Networks 2 and 3 have the seeds of 0 and 1, and twice their scale.
    np.testing.assert_allclose(first[2:], 2 * first[:2], rtol=1e-5)


def test_a_model_without_any_of_our_fields_is_trained(tiny_config, tmp_path, module):
    name = f"{module(PLAIN_MODEL)}:Net"
    train(tiny_config(PLAIN | {"model.name": name, "train.epochs": 1}), tmp_path / "run")
    assert np.isfinite(load_run(tmp_path / "run").metrics[-1]["train_loss"]).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"population.sweep": (("model.init_scale", (0.5, 1.0)),)},
         r"sweeps 'model.init_scale', which model .*:Net does not read"),
        ({"model.widths": (3,)}, r"model.widths is \(3,\), but model .*:Net does not read it"),
        ({"train.precision": "bfloat16"}, r"precision is 'bfloat16', but model .*:Net does not"),
        ({"data.name": "gaussian", "data.image_size": 16},
         "gaussian inputs are vectors: set config.model.name to 'mlp'"),
    ],
)  # fmt: skip
def test_a_model_is_asked_for_what_it_reads(tiny_config, module, changes, message):
    name = f"{module(PLAIN_MODEL)}:Net"
    with pytest.raises(InputError, match=message):
        check(tiny_config(PLAIN | {"model.name": name} | changes))


def test_facts_hold_for_models_from_outside(tiny_config, tmp_path, module):
    name = f"{module(FULL_MODEL)}:Net"
    changes = {"model.name": name, "model.filters": 48}
    vectors = {"data.name": "gaussian", "data.image_size": 16, "data.diagonal": (1.0, 2.0)}
    check(tiny_config(changes | vectors))
    with pytest.raises(InputError, match=r"only 6 pixels wide or high, but .*:Net needs 7"):
        train(tiny_config(changes | {"data.image_size": 6}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "attribute", "message"),
    [
        (None, "Net", r"model.name is 'nowhere.nets:Net', but Python finds no module 'nowhere'"),
        (PLAIN_MODEL, "Nett", r"has no 'Nett'; did you mean 'Net'\?"),
        ("x = 1", "Net", r"has no 'Net'\.$"),
        ("x = 1", "x", r":x', which is no class of flax modules"),
        ("def x(): pass", "x", r":x', which is no class of flax modules"),
        ("raise RuntimeError('no\\nlicence')", "x",
         r"but importing '.*' fails: RuntimeError: no licence \(\w+\.py, line 1\)$"),
        ("import nothing_of_this_name", "x", r"importing '.*' fails: ModuleNotFoundError: No mod"),
        ("raise SystemExit(0)", "x", r"importing '.*' fails: SystemExit: 0"),
        ("def x(:", "x", r"importing '.*' fails: SyntaxError"),
        (PLAIN_MODEL.replace(", train=False", ""), "Net", "takes no argument `train`"),
        (FULL_MODEL.replace("slope: float = 0.1", "slope: float").replace(
            "    slope: float\n    dtype: Any = jnp.float32", "    slope: float\n    dtype: Any"),
         "Net", r"whose field 'slope' has no default and is no field of config.model"),
    ],
)  # fmt: skip
def test_what_is_no_model_is_answered_by_a_sentence(tiny_config, module, text, attribute, message):
    name = f"{module(text) if text else 'nowhere.nets'}:{attribute}"
    with pytest.raises(InputError, match=message) as error:
        check(tiny_config(PLAIN | {"model.name": name}))
    assert "\n" not in str(error.value)


def test_a_data_set_is_drawn_from_outside(tiny_config, tmp_path, module):
    name = f"{module(STRIPES)}:stripes"
    changes = {"data.name": name, "labels.kind": "real", "labels.num_classes": 2}
    model = {"model.name": "mlp", "model.filters": 48}
    config = tiny_config(changes | model | {"train.epochs": 1})
    dataset = sources.load(config.data)
    assert dataset.train_images.shape == (98, 8, 8, 3)
    assert dataset.class_names == ("plain", "striped")
    train(config, tmp_path / "run")
    assert load_run(tmp_path / "run").status["state"] == "done"


@pytest.mark.parametrize(
    ("attribute", "changes", "message"),
    [
        ("stripes", {"data.data_dir": "/data"}, r"data_dir is '/data', but data set .*:stripes"),
        ("stripes", {"data.diagonal": (2.0,)}, r"data.diagonal .* data set .*:stripes does not"),
        ("stripes", {"data.test_size": 0}, "test_size must be at least 1 for generated data"),
        ("points", {"data.image_size": 16}, r":points inputs are vectors: set config.model.name"),
        ("points", {"data.image_size": 16, "data.augment": "crop_flip"}, "points inputs are not"),
        ("points", {"data.image_size": 8}, r"image_size is 8, but data set .*:points does not"),
        ("draw", {}, "which is no Generator of randlabels.data.generators"),
        ("stripe", {}, r"has no 'stripe'; did you mean 'stripes'\?"),
        ("greedy", {}, "reads config.data.contrast, a field that no config has"),
    ],
)
def test_data_from_outside_are_checked(tiny_config, module, attribute, changes, message):
    mlp = {"model.name": "mlp", "model.filters": 48} if "image_size is 8" in message else {}
    name = {"data.name": f"{module(STRIPES)}:{attribute}"}
    with pytest.raises(InputError, match=message) as error:
        check(tiny_config(mlp | name | changes))
    assert "\n" not in str(error.value)


def test_what_a_generator_draws_is_checked(tiny_config, tmp_path, module):
    name = f"{module(STRIPES)}:wrong"
    with pytest.raises(InputError, match=r"draws float64 \(32, 4, 4\) and labels float64 \(32,\) "):
        train(tiny_config({"data.name": name, "data.image_size": 16}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def refused(config, workdir, message):
    """Training is refused in one sentence, and leaves nothing."""
    with pytest.raises(InputError, match=message) as error:
        train(config, workdir)
    assert "\n" not in str(error.value)
    assert not workdir.exists()


ODD_GENERATORS = """
import itertools
import os
import sys

import numpy as np

from randlabels.data.generators import Generator

calls = itertools.count(1)


def images(count, size=8, channels=3):
    return np.arange(count * size * size * channels).reshape(count, size, size, channels) % 251


def set_of(draw, names=("one", "two"), **fields):
    return Generator(draw, names, **fields)


def plain(seed, count):
    return images(count).astype(np.uint8), np.zeros(count, np.int32)


def raising(seed, count):
    raise RuntimeError("no such thing")


def asked_for_none(seed, count):
    assert count > 0
    return plain(seed, count)


def leaving(seed, count):
    sys.exit(0)


raises = set_of(raising)
leaves = set_of(leaving)
nothing = set_of(lambda seed, count: None)
ragged = set_of(lambda seed, count: ([[1], [2, 3]], [0]))
no_function = set_of(5)
empty = set_of(lambda seed, count: (images(count)[..., :0].astype(np.uint8), plain(1, count)[1]))
random = set_of(lambda seed, count: (
    np.frombuffer(os.urandom(count * 192), np.uint8).reshape(count, 8, 8, 3), plain(1, count)[1]))
beyond = set_of(lambda seed, count: (plain(1, count)[0], np.full(count, 2, np.int32)))
below = set_of(lambda seed, count: (plain(1, count)[0], np.full(count, -1, np.int32)))
of_parts = set_of(lambda seed, count: (
    images(count, 8 if count in (32, 50) else 9).astype(np.uint8), plain(1, count)[1]))
infinite = set_of(lambda seed, count: (
    np.full((count, 4), np.inf, np.float32), plain(1, count)[1]), vectors=True)
no_names = set_of(plain, None)
text = set_of(plain, "ab")
picky = set_of(asked_for_none)
guessed = set_of(lambda seed, count: (
    plain(1, count)[0], np.frombuffer(os.urandom(count), np.uint8).astype(np.int32) % 2))
no_fields = set_of(plain, reads=None)
one_field = set_of(plain, reads="image_size")
"""


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        (
            "raises",
            "raises fails where 32 examples are asked for: RuntimeError: no such thing "
            r"\(\w+\.py, line 26\)$",
        ),
        ("leaves", "leaves fails where 32 examples are asked for: SystemExit: 0"),
        ("nothing", "nothing fails where 32 .*TypeError"),
        ("ragged", "ragged fails where 32 .*ValueError"),
        ("no_function", "no_function fails where 32 .*TypeError"),
        ("empty", r"empty draws uint8 \(32, 8, 8, 0\)"),
        ("random", "random draws other inputs at each call"),
        ("guessed", "guessed draws other labels at each call; use its seed"),
        ("no_fields", "no_fields', whose reads is no tuple of field names"),
        ("one_field", "one_field', whose reads is no tuple of field names"),
        ("beyond", "beyond draws labels from 2 to 2; with its 2 class_names they shall be 0 to 1"),
        ("below", "below draws labels from -1 to -1"),
        ("of_parts", r"of_parts draws inputs of several shapes: \[\(8, 8, 3\), \(9, 9, 3\)\]"),
        ("infinite", "infinite draws numbers that are not finite"),
        ("no_names", "no_names', whose class_names are no tuple of texts"),
        ("text", "text', whose class_names are no tuple of texts"),
    ],
)
def test_a_generator_that_is_none_is_one_sentence(
    tiny_config, tmp_path, module, attribute, message
):
    name = f"{module(ODD_GENERATORS)}:{attribute}"
    model = {"model.name": "mlp", "model.filters": 48, "data.image_size": 16}
    refused(tiny_config(model | {"data.name": name}), tmp_path / "run", message)


def test_a_generator_is_never_asked_for_nothing(tiny_config, module):
    name = f"{module(ODD_GENERATORS)}:picky"
    config = tiny_config({"data.name": name, "data.image_size": 16, "data.downstream_size": 0})
    assert sources.measure(config.data).shape == (8, 8, 3)
    assert sources.load(config.data).train_images.shape == (50, 8, 8, 3)


FINITE = """
import numpy as np

from randlabels.data.generators import Generator

IMAGES = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 3)).astype(np.uint8)
IMAGES[:, 0, 0, 0] = np.arange(200)  # by which each is known


def draw(seed, count):
    chosen = np.random.default_rng(seed).permutation(200)[:count]
    return IMAGES[chosen], (chosen % 2).astype(np.int32)


finite = Generator(draw, ("even", "odd"), at_once=True)
in_parts = Generator(draw, ("even", "odd"))
"""


def test_a_finite_set_gives_no_image_twice_whatever_the_sizes(tiny_config, module):
    name = f"{module(FINITE)}:finite"

    def parts(downstream):
        sizes = {"data.upstream_size": 60, "data.test_size": 30}
        config = tiny_config(sizes | {"data.name": name, "data.downstream_size": downstream})
        up, down = (open_task(config, task) for task in ("upstream", "downstream"))
        assert (up.real_labels == up.images[:, 0, 0, 0] % 2).all()
        return [set(x[:, 0, 0, 0].tolist()) for x in (up.images, down.images, up.test_images)]

    up, down, test = parts(110)
    assert len(up | down | test) == 200
    fewer_up, fewer_down, fewer_test = parts(50)
    assert (fewer_up, fewer_test) == (up, test)
    assert fewer_down < down


def test_a_finite_set_that_is_asked_for_parts_is_said_to_repeat_itself(tiny_config, module, caplog):
    text = module(FINITE)
    with caplog.at_level(logging.WARNING, logger="absl"):
        open_task(tiny_config({"data.name": f"{text}:finite"}), "upstream")
        assert caplog.text == ""
        open_task(tiny_config({"data.name": f"{text}:in_parts"}), "upstream")
    assert re.search(r"in_parts draws \d+ of 50 upstream inputs for the downstream", caplog.text)


ODD_MODELS = """
import flax.linen as nn
import jax
import jax.numpy as jnp

from randlabels.models.layers import Conv


class Net(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x, train=False):
        x = x.reshape(x.shape[0], -1)
        return self.end(nn.Dense(self.num_classes)(x), train)

    def end(self, x, train):
        return x


class Flat(Net):
    def end(self, x, train):
        return x[:, 0]


class Wide(Net):
    def end(self, x, train):
        return jnp.tile(x, 2)


class WideInTraining(Net):
    def end(self, x, train):
        return x[:, :2] if train else x


class Whole(Net):
    def end(self, x, train):
        return x.astype(jnp.int32)


class Pair(Net):
    def end(self, x, train):
        return x, x


class Raising(Net):
    def end(self, x, train):
        raise RuntimeError("not today")


class Noisy(Net):
    def end(self, x, train):
        return x + self.make_rng("noise") if train else x


class Dropping(Net):
    @nn.compact
    def end(self, x, train):
        return nn.Dropout(0.5, deterministic=not train)(x)


class Remembering(Net):
    @nn.compact
    def end(self, x, train):
        return x * self.variable("memory", "x", lambda: jnp.ones(())).value


class Empty(nn.Module):
    def __call__(self, x, train=False):
        return jnp.zeros((len(x), 3))


class Late(Net):
    @nn.compact
    def end(self, x, train):
        if train:
            self.variable("batch_stats", "steps", lambda: jnp.zeros(())).value += 1
        return x


class Growing(Net):
    @nn.compact
    def end(self, x, train):
        mean = self.variable("batch_stats", "mean", lambda: jnp.zeros(()))
        if train:
            mean.value = x.mean(0)
        return x


class Paired(Net):
    def end(self, x, train):
        return x.reshape(2, -1, x.shape[-1]).mean(1) if len(x) > 2 else x


class Even(Net):
    def end(self, x, train):
        if len(x) % 2:
            raise ValueError("even batches only")
        return x


class Looping(Net):
    def end(self, x, train):
        return jax.lax.while_loop(lambda c: jnp.abs(c).max() > 1, lambda c: c / 2, x)


class Drawing(Net):
    @nn.compact
    def end(self, x, train):
        key = self.variable("batch_stats", "key", lambda: jax.random.key(0))
        return x + jax.random.normal(key.value, x.shape) if train else x


class Spread(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x, train=False):
        kernel = nn.with_partitioning(nn.initializers.lecun_normal(), (None, "model"))
        return nn.Dense(self.num_classes, kernel_init=kernel)(x.reshape(x.shape[0], -1))


class Choosy(Net):
    def __post_init__(self):
        super().__post_init__()
        raise ValueError("not with these")


class Half(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, x, train=False):
        x = x.reshape(x.shape[0], -1)
        return nn.Dense(self.num_classes, param_dtype=jnp.float16)(x)
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Flat", r"returns float32 \(1,\) with train=False where logits, floats \(1, 3\), are"),
        ("Wide", r"returns float32 \(1, 6\) with train=False"),
        ("WideInTraining", r"returns float32 \(16, 2\) with train=True"),
        ("Whole", r"returns int32 \(1, 3\)"),
        ("Pair", "returns a tuple with train=False"),
        ("Raising", r"cannot be applied to 1 inputs \(8, 8, 3\): RuntimeError: not today"),
        ("Noisy", "InvalidRngError.*keys are there for nn.Dropout, where config.model.dropout is"),
        ("Dropping", "InvalidRngError.*keys are there for nn.Dropout"),
        ("Remembering", "variables are kept in 'params' and 'batch_stats' alone"),
        ("Empty", "cannot be applied .*KeyError: 'params'"),
        ("Late", r"changes the shape or type of batch_stats\['steps'\] in training, or makes"),
        ("Growing", r"changes the shape or type of batch_stats\['mean'\] in training"),
        (
            "Paired",
            r"returns float32 \(2, 3\) with train=False where logits, floats \(16, 3\), are",
        ),
        (
            "Even",
            r"cannot be applied to 1 inputs .*: ValueError: even batches only \(\w+\.py, line",
        ),
        ("Looping", "has no gradient: ValueError: Reverse-mode differentiation does not work"),
        ("Drawing", r"keeps a random key; take it from self.make_rng\('dropout'\)"),
        ("Spread", "has partitioned parameters; leave out nn.with_partitioning"),
        ("Choosy", "cannot be made: ValueError: not with these"),
        ("Half", "has parameters of float16; keep them in float32"),
    ],
)
def test_a_model_that_cannot_be_trained_is_one_sentence(
    tiny_config, tmp_path, module, name, message
):
    path = f"{module(ODD_MODELS)}:{name}"
    refused(tiny_config(PLAIN | {"model.name": path}), tmp_path / "run", message)


OTHER_LAYERS = PLAIN_MODEL.replace("nn.Conv(", "nn.ConvTranspose(").replace(
    "nn.Dense(", "nn.DenseGeneral("
)


@pytest.mark.parametrize(
    ("text", "said"), [(OTHER_LAYERS, True), (PLAIN_MODEL, False), (FULL_MODEL, False)]
)
def test_a_model_that_cannot_be_analysed_is_told_at_the_start(
    tiny_config, module, caplog, text, said
):
    changes = {"model.filters": 48} if text == FULL_MODEL else PLAIN
    config = check(tiny_config(changes | {"model.name": f"{module(text)}:Net"}))
    with caplog.at_level(logging.WARNING, logger="absl"):
        measure(config)
    assert ("has no layer that can be analysed" in caplog.text) == said
    assert ("it is a DenseGeneral" in caplog.text) == said


@pytest.mark.parametrize(
    ("name", "expected"),
    [("nets:Net", True), ("my_package.my_module:Net", True), ("cifar10:3.0.2", False),
     ("cifar10", False), ("a.b", False), (":Net", False), ("a:", False), ("a:b:c", False),
     ("a..b:Net", False), ("4a:Net", False)],
)  # fmt: skip
def test_import_paths_are_told_from_names(name, expected):
    assert is_import_path(name) is expected


def test_a_model_file_in_the_folder_is_all_it_takes(tmp_path):
    """In a copy of the package: one new file, and a config can name the model."""
    for folder in ("randlabels", "configs"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    (tmp_path / "randlabels" / "models" / "tiny_net.py").write_text(FULL_MODEL)
    code = (
        "from configs import base; from randlabels.training.check import check;"
        "from randlabels.models import build; config = base.get_config();"
        "config.model.name = 'tiny_net'; print(type(build(check(config))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "<class 'randlabels.models.tiny_net.Net'>"


NNX_MODEL = """
from flax import nnx


class Net(nnx.Module):
    def __init__(self, num_classes: int, hidden: int = 8, *, rngs: nnx.Rngs):
        self.seen = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.spread = nnx.BatchNorm(4, rngs=rngs)
        self.answer = nnx.Linear(4 * hidden, num_classes, rngs=rngs)
        self.hidden = hidden

    def __call__(self, x, train=False):
        x = nnx.relu(self.spread(self.seen(x), use_running_average=not train))
        x = x.mean((1, 2))
        return self.answer(nnx.relu(x[:, :, None] * x[:, :1, None].repeat(self.hidden, 2)).reshape(
            x.shape[0], -1
        ))


class Late(nnx.Module):
    def __init__(self, span, *, rngs):
        self.answer = nnx.Linear(3, span, rngs=rngs)

    def __call__(self, x, train=False):
        return self.answer(x.mean((1, 2)))
"""


@pytest.mark.parametrize(
    ("layer", "slow"),
    [
        ("nn.Conv(4, (3, 3)", True),
        ("nn.remat(nn.Conv)(4, (3, 3)", True),
        ("nn.Conv(4, (3, 3), conv_general_dilated=convolve", False),
    ],
)
def test_convolutions_that_are_slow_on_a_cpu_are_said(tiny_config, module, caplog, layer, slow):
    text = PLAIN_MODEL.replace("nn.Conv(4, (3, 3)", layer)
    name = module("from randlabels.models.convolution import convolve\n" + text) + ":Net"
    config = tiny_config(PLAIN | {"model.name": name})
    with caplog.at_level(logging.WARNING, logger="absl"):
        check_own_model(config, build(config), (8, 8, 3))
    assert ("conv_general_dilated=convolve" in caplog.text) == slow


@pytest.mark.slow
def test_a_model_of_nnx_is_trained_taken_over_and_analysed(tiny_config, tmp_path, module, caplog):
    name = f"{module(NNX_MODEL)}:Net"
    changes = PLAIN | {"model.name": name, "model.fields": (("hidden", 3),)}
    with caplog.at_level(logging.WARNING, logger="absl"):
        run = train(tiny_config(changes), tmp_path / "run")
    assert "cannot be analysed" not in caplog.text
    params = run.params(run.steps[-1])
    assert params["answer"]["kernel"].shape[1:] == (12, 3)
    start = run.params(0)["seen"]["kernel"]
    assert not np.array_equal(start[0], start[1])  # each network has its own
    assert np.abs(params["seen"]["kernel"] - start).max() > 0
    later = tiny_config(
        changes
        | {
            "train.task": "downstream",
            "init.run": str(tmp_path / "run"),
            "init.arms": ("scratch", "pretrained", "aligned"),
            "init.match": "weight_norm",
            "init.layers": ("all",),
        }
    )
    tuned = train(later, tmp_path / "tuned")
    arms = [row.arm for row in tuned.networks]
    begun = tuned.params(0)["seen"]["kernel"]
    source = params["seen"]["kernel"][tuned.networks[arms.index("pretrained")].source]
    for arm in ("pretrained", "aligned"):
        ours = begun[arms.index(arm)]
        cosine = np.vdot(ours, source) / np.linalg.norm(ours) / np.linalg.norm(source)
        assert (abs(cosine - 1) < 1e-5) == (arm == "pretrained")
    biases = tuned.params(0)["spread"]["bias"]
    assert [bool(biases[arms.index(arm)].any()) for arm in dict.fromkeys(arms)] == [0, 1, 0]
    found = analyze(tmp_path / "run", layers=("all",), random_bases=3)
    assert list(found.data) == ["seen", "answer"]


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("Net", (("hiden", 3),), "names 'hiden', which .* has not; did you mean 'hidden'"),
        ("Net", (("hidden", "3"),), "the value '3'; it must be of type int"),
        ("Net", (("num_classes", 3),), "names 'num_classes', which training sets; set it there"),
        ("Net", (("hidden", 3), ("hidden", 4)), "names 'hidden' twice"),
        ("Net", ("hidden",), "must look like"),
        ("Late", (), "whose field 'span' has no default .* give it in config.model.fields"),
    ],
)
def test_fields_of_own_models_that_are_refused(
    tiny_config, tmp_path, module, name, fields, message
):
    changes = PLAIN | {"model.name": f"{module(NNX_MODEL)}:{name}", "model.fields": fields}
    refused(tiny_config(changes), tmp_path / "run", message)


def test_fields_are_for_models_of_ones_own(tiny_config, tmp_path):
    refused(
        tiny_config({"model.fields": (("hidden", 3),)}),
        tmp_path / "run",
        "which simple_cnn has not",
    )


def test_fields_are_read_back_from_a_saved_config(tiny_config, tmp_path, module):
    changes = PLAIN | {"model.name": f"{module(NNX_MODEL)}:Net", "model.fields": (("hidden", 3),)}
    run = train(tiny_config(changes), tmp_path / "run")
    assert open_config(run.config).model.fields == (("hidden", 3),)
    again = train(tiny_config(changes), tmp_path / "run")
    assert again.metrics == run.metrics


AVERAGING = """
import flax.linen as nn
import jax
import jax.numpy as jnp


class Net(nn.Module):
    num_classes: int
    batch_axis: str | None = None
    batch_groups: tuple[tuple[int, ...], ...] | None = None

    @nn.compact
    def __call__(self, x, train=False):
        steps = self.variable("batch_stats", "steps", lambda: jnp.zeros((), jnp.int32))
        if train:
            steps.value = steps.value + 1
        x = nn.Dense(4, name="dense1")(x.reshape(len(x), -1))
        mean = x.mean(0)
        if self.batch_axis is not None:  # at the start, too, where no devices are
            mean = jax.lax.pmean(mean, self.batch_axis, axis_index_groups=self.batch_groups)
        return nn.Dense(self.num_classes, name="head")(x - mean * train)
"""


@pytest.mark.parametrize("devices", ["batch", "both"])
def test_batches_of_a_model_that_averages_by_itself_are_split(
    tiny_config, tmp_path, module, devices
):
    name = f"{module(AVERAGING)}:Net"
    config = tiny_config(PLAIN | {"model.name": name})

    def ended(devices):
        config.population.devices = devices
        run = train(config, tmp_path / devices)
        return run.params(max(run.steps)), run.metrics[-1]["train_loss"]

    (split, loss), (whole, expected) = ended(devices), ended("networks")
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), split, whole)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
