"""The memory plan: exact where shapes decide, refused in one sentence where it does not fit."""

import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from randlabels.data import sources
from randlabels.errors import InputError
from randlabels.training import loop, memory, setup
from randlabels.training.check import check
from randlabels.training.liveness import peak_bytes, tree_bytes

ROOT = Path(__file__).parents[2]


def plan_of(config, layout=None, turn="map"):
    config = check(config)
    layout = layout or setup.choose_layout(
        "auto", 2, config.train.batch_size, tuple(jax.local_devices()[:1])
    )
    model, extent = setup.build(config), sources.measure(config.data)
    return memory.plan_memory(config, model, 2, extent, layout, turn)


MLP = {"model.name": "mlp", "model.filters": 48}
VECTORS = {"data.name": "gaussian", "data.image_size": 16, "data.diagonal": (1.0, 2.0, 3.0)}


@pytest.mark.parametrize(
    "changes",
    [MLP | {"optimizer.name": "adam", "train.task": "downstream"}, MLP | VECTORS],
)
def test_states_and_data_are_as_large_as_planned(tiny_config, changes):
    made = setup.prepare(check(tiny_config(changes)))
    arrays = (made.task.images, made.task.test_images)
    assert made.memory.state * made.memory.networks == tree_bytes(made.state)
    assert made.memory.data == sum(array.nbytes for array in arrays)
    assert made.memory.labels == 4 * sum(len(array) for array in arrays)
    assert made.memory.loading >= made.memory.data
    assert made.memory.checkpoint == tree_bytes(made.state)


@pytest.mark.parametrize(
    ("epochs", "asked_for", "most"), [(6, (0,), 4), (6, (0, 2), 5), (1, (0,), 2)]
)
def test_so_many_checkpoints_are_there_at_once(
    tiny_config, tmp_path, monkeypatch, capsys, epochs, asked_for, most
):
    """Where each epoch takes as long as config.train.resume_seconds."""
    folder, remove, seen = tmp_path / "run" / "checkpoints", shutil.rmtree, []

    def count():
        return len([path for path in folder.iterdir() if path.name.isdigit()])

    def counting(path, *args, **kwargs):  # Orbax removes the oldest when the newest is whole
        seen.append(count())
        remove(path, *args, **kwargs)

    monkeypatch.setattr(shutil, "rmtree", counting)
    changes = {"epochs": epochs, "checkpoint_epochs": asked_for, "resume_seconds": 0.0}
    loop.train(
        tiny_config(MLP | {f"train.{name}": value for name, value in changes.items()}),
        tmp_path / "run",
    )
    assert max([*seen, count()]) == most
    assert f"; at most {most} checkpoints of " in capsys.readouterr().err


def test_loading_counts_the_images_whose_moments_are_taken(tiny_config):
    few, many = (
        plan_of(
            tiny_config({"init.arms": ("aligned",), "init.layers": ("conv1",), "init.images": n})
        )
        for n in (10, 40)
    )
    image = 8 * 8 * 3 * 4  # bytes as floats
    assert many.loading - few.loading == 30 * image


def test_a_plan_grows_with_networks_and_devices(tiny_config):
    plan = plan_of(tiny_config())
    double = plan.of(4)
    assert (double.networks, double.on_device) == (4, 4)
    assert double.device - plan.device == 2 * (plan.labels + 2 * plan.state)
    assert plan.of(2) == plan
    beside = plan_of(tiny_config(), turn="vmap")
    assert (plan.at_once, beside.at_once) == (1, 2)
    assert beside.device - plan.device == plan.step
    assert beside.of(6).at_once == 6


def refused(config, tmp_path, message):
    with pytest.raises(InputError, match=message) as caught:
        loop.train(config, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    return str(caught.value)


@pytest.mark.parametrize(("room", "apart"), [(10**7, 4), (4 * 10**7, 4), (10**7, 1)])
def test_the_largest_population_that_fits_is_named(tiny_config, tmp_path, monkeypatch, room, apart):
    """Of two arms: four seeds more are one network more on each of 8 devices."""
    config = tiny_config({"init.arms": ("scratch", "orthogonal")})
    room += memory.PROGRAM
    monkeypatch.setattr(memory, "available_memory", lambda: room)
    if apart == 1:  # one device
        devices = jax.local_devices()[:1]
        monkeypatch.setattr(jax, "devices", lambda: devices)
    config.population.seeds = 500
    said = refused(config, tmp_path, "networks fit: set config.population.seeds to")
    networks, seeds = map(int, re.search(r"; (\d+) networks fit: .* to (\d+)\.", said).groups())
    assert networks == 2 * seeds
    assert 0 < seeds < 500
    for count, fits in ((seeds, True), (seeds + apart, False)):
        config.population.seeds = count
        layout = setup.choose_layout("auto", 2 * count, 16, tuple(jax.devices()))
        vectorize = setup.choose_vectorize("auto", False, layout)
        extent = setup.measure(config)
        if fits:
            assert setup.plan(check(config), 2 * count, layout, vectorize, extent).host <= room
        else:
            with pytest.raises(InputError, match="networks fit"):
                setup.plan(check(config), 2 * count, layout, vectorize, extent)


def test_fewer_networks_than_devices_are_named(tiny_config, tmp_path, monkeypatch):
    """Seven on eight devices do not fit: it is no reason that seven divide over nothing."""
    config = tiny_config({"model.widths": (4_000,)})
    devices = tuple(jax.local_devices())

    def needed(seeds):
        config.population.seeds = seeds
        layout = setup.choose_layout("auto", seeds, 16, devices)
        return setup.plan(check(config), seeds, layout, "map", setup.measure(config)).host

    room = needed(3)
    config.population.seeds = 7
    monkeypatch.setattr(memory, "available_memory", lambda: room)
    refused(config, tmp_path, "3 networks fit: set config.population.seeds to 3")
    with config.unlocked():
        config.population.shard = "1/2"
        config.population.seeds = 2 * config.population.seeds
    refused(config, tmp_path, r"make more parts \(--shard\) of fewer networks each")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.upstream_size": 10**8}, "not even one seed fits: the data take .* lower config.d"),
        ({"model.widths": (10**6, 10**6)}, "the weights and optimizer of one take .*config.model"),
        (
            {"data.upstream_size": 10**6, "train.batch_size": 10**6, "model.filters": 10**4},
            "one step takes .* lower config.train.batch_size",
        ),
        ({"population.seeds": 10**5, "model.widths": (10**4,)}, "networks fit: set config.pop"),
    ],
)
def test_what_no_memory_holds_is_refused_at_once(
    tiny_config, tmp_path, monkeypatch, changes, message
):
    monkeypatch.setattr(memory, "available_memory", lambda: 20e9)
    refused(tiny_config(changes), tmp_path, message)


def test_devices_of_their_own_are_asked(tiny_config, monkeypatch):
    class Device:
        platform, device_kind, process_index = "gpu", "a small GPU", 0

        def memory_stats(self):
            return {"bytes_limit": 10**5, "bytes_in_use": 1000}

    config = check(tiny_config())
    layout = setup.choose_layout("auto", 2, 16, (Device(),))
    plan = plan_of(tiny_config(), layout)
    assert not plan.shared
    assert "on each device" in str(plan)
    with pytest.raises(InputError, match="on a small GPU, and 99 kB are free"):
        memory.check_memory(plan, config, layout)
    monkeypatch.setattr(Device, "memory_stats", lambda self: None)  # a backend that does not say
    memory.check_memory(plan, config, layout)


def test_the_limit_of_the_shell_counts():
    """As `ulimit -v` sets it; the least of all limits is what is available."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 5 * 10**8, before[1]))
    try:
        assert 0 < memory.available_memory() <= 5 * 10**8
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert memory.available_memory() > 10**8


def test_values_live_from_where_they_are_made_to_their_last_use():
    n = 100
    square = jnp.zeros((n, n), jnp.float32)
    one = square.nbytes
    assert peak_bytes(lambda x: x @ x, square) == one
    assert peak_bytes(lambda x: ((x @ x) @ x) @ x, square) == 2 * one
    assert peak_bytes(lambda x: (x @ x) @ (x @ (x @ x)), square) == 3 * one
    assert peak_bytes(lambda x: jnp.sum(jnp.sin(x) * 2 + x), square) <= one + 4
    scanned = peak_bytes(
        lambda x: jax.lax.scan(lambda c, _: (c @ c @ c, None), x, None, 9)[0], square
    )
    assert 2 * one <= scanned <= 3 * one
    assert (
        peak_bytes(lambda x: x @ x, jax.ShapeDtypeStruct((10**9, 10**9), jnp.float32)) == 4 * 10**18
    )


def test_what_is_computed_again_needs_what_it_is_made_of():
    def made_before(x, function):
        return function(x @ x), x @ x @ x

    def peak(function):
        return peak_bytes(
            lambda x: jnp.matmul(*made_before(x, function)), jnp.zeros((100, 100), jnp.float32)
        )

    assert peak(jnp.exp) == peak(lambda x: x)


CONVS = {"train.batch_size": 32, "data.image_size": 32, "model.filters": 48}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"model.name": "conv_net", "model.channels": (32, 32)},
        {"model.name": "conv_net", "model.channels": (32, 32), "model.conv": "lax"},
        {"model.name": "resnet18", "model.width": 0.25, "model.widths": (32,)},
    ],
)
def test_one_step_needs_what_the_compiler_gives_it(tiny_config, changes, monkeypatch):
    traced = []
    monkeypatch.setattr(memory, "peak_bytes", lambda *a: traced.append(a) or peak_bytes(*a))
    step = plan_of(tiny_config(CONVS | changes)).step
    ((function, *arguments),) = traced
    compiled = jax.jit(function).lower(*arguments).compile().memory_analysis()
    assert 0.85 * step < compiled.temp_size_in_bytes < 1.15 * step


def test_the_plan_is_printed(tiny_config, tmp_path, capsys):
    loop.train(tiny_config(MLP | {"train.epochs": 1}), tmp_path / "run")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "of memory" in line]
    assert re.match(r"run, on \d+ x \w+ \(\d+ cores\): 2 networks of ", line)
    assert len(line) < 250


MEASURE = """
import sys, tempfile
from pathlib import Path
import jax
from randlabels.configs import base
from randlabels.training import loop, setup
jax.devices()
def peak():
    # Not getrusage's ru_maxrss: a child starts with that of the process that started it.
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024
config = base.get_config()
config.update_from_flattened_dict({"train.epochs": 1, "model.widths": (256,), **eval(sys.argv[1])})
plans, prepare = [], loop.prepare
def keep(config):
    made = prepare(config)
    plans.append(made.memory.host)
    return made
loop.prepare = keep
before = peak()
with tempfile.TemporaryDirectory() as folder:
    loop.train(config, folder)
print(plans[0] / (peak() - before))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak")
@pytest.mark.parametrize(
    "changes", ["{}", "{'model.filters': 192, 'train.batch_size': 1024, 'population.seeds': 1}"]
)
def test_the_estimate_is_near_the_peak(changes):
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, changes], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert 0.75 < float(done.stdout) < 1.35


@pytest.mark.parametrize(("part", "times"), [("upstream", 2), ("downstream", 2), ("test", 1)])
def test_each_example_of_generated_data_is_counted(tiny_config, part, times):
    """Twice those that are drawn before they are cut from the whole."""
    config = tiny_config().data
    before = sources.measure(config).loading
    config[f"{part}_size"] += 10
    assert sources.measure(config).loading - before == times * 10 * 8 * 8 * 3
