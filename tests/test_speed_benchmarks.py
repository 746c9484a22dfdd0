"""What benchmarks.run counts and arranges; how fast anything is, is no matter of tests."""

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.speed.cases import CASES, config_of
from benchmarks.speed.floor import floor
from benchmarks.speed.report import table
from benchmarks.speed.timing import interleaved, median_ratio
from randlabels.training.setup import prepare


@pytest.mark.parametrize("on_cpu", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_every_case_is_a_run_on_a_cpu_and_on_an_accelerator(name, on_cpu):
    """Its config passes all checks; the recipe's budget is another one there."""
    config = config_of(CASES[name], 2, on_cpu, {})
    assert config.population.seeds == 2
    assert config.train.precision == ("float32" if on_cpu or name == "mlp" else "bfloat16")


def floor_of(name, fields):
    return floor(prepare(config_of(CASES[name], 1, True, fields)))


def test_operations_and_bytes_of_an_mlp_are_those_of_its_products():
    widths, batch = (16, 8), 32
    found = floor_of("mlp", {"model.widths": widths, "train.batch_size": batch})
    sizes = (30, *widths, 10)
    products = [a * b for a, b in itertools.pairwise(sizes)]
    # Forward and for the weights of all layers; for the inputs of all but the first.
    assert found["operations"] == 2 * batch * (2 * sum(products) + sum(products[1:]))
    weights = sum(products) + sum(sizes[1:])
    state = 4 * (2 * weights + 2)  # weights, momentum, the counts of steps and of optax
    inputs = 4 * batch * sum(sizes[:-1])
    assert found["bytes"] == 2 * state + 4 * batch * 30 + 2 * inputs


def test_operations_of_a_convolution_are_those_of_its_patches():
    batch, pixels, filters = 8, 14 * 14, 6
    found = floor_of(
        "simple_cnn", {"model.filters": filters, "model.widths": (4,), "train.batch_size": batch}
    )
    conv, dense, head = pixels * 27 * filters, pixels * filters * 4, 4 * 5
    assert found["operations"] == 2 * batch * (2 * conv + 3 * dense + 3 * head)


def test_contestants_take_turns():
    log = []
    contestants = {name: lambda name=name: log.append(name) for name in ("ours", "theirs")}
    taken = interleaved(contestants, repeats=2)
    assert log == ["ours", "theirs"] * 3  # once to warm up
    assert {name: len(seconds) for name, seconds in taken.items()} == {"ours": 2, "theirs": 2}


def test_the_ratio_is_of_neighbours_in_time():
    """While the machine is slow, it is so for both."""
    assert median_ratio([2.0, 20.0, 3.0], [1.0, 10.0, 1.0]) == 2.0


def test_the_table_leaves_cells_without_values_empty():
    lines = table([{"who": "a", "us": 1234.5}, {"who": "b", "share_of_bandwidth": 0.25}])
    assert lines.splitlines() == [
        "who     us  share_of_bandwidth",
        "  a  1,234",
        "  b                        25%",
    ]


ON_A_GPU = """
import json
import jax
jax.config.update("jax_num_cpu_devices", 2)
jax.local_devices()
jax.default_backend = lambda: "gpu"
from benchmarks.speed import training
training.rates = lambda dtype: {"flops": 1e9, "bytes": 1e9}
small = {"train.batch_size": 8}
rows = training.measure("mlp", (1, 4), 2, 1, small | {"model.widths": (8,)})
rows += training.measure("simple_cnn", (4,), 2, 1, small | {"model.filters": 8})
print(json.dumps(rows))
"""


@pytest.mark.slow
def test_an_accelerator_is_measured_by_the_same_code():
    """JAX says that its backend is a GPU, and computes on two virtual devices."""
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", ON_A_GPU], cwd=root, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])
    found = [(row["case"], row["backend"], row["who"], row["layout"]) for row in rows]
    assert found == [
        ("mlp", "gpu", "ours, 1", "1 x 1, map"),
        ("mlp", "gpu", "ours, 4", "2 x 1, vmap"),
        ("simple_cnn", "gpu", "ours, 4", "2 x 1, vmap"),
    ]
    assert [row["inputs"] for row in rows] == ["30", "30", "32x32x3"]  # the recipes' full sizes
    assert all(row["us"] > 0 and row["evaluated_per_second"] > 0 for row in rows)
