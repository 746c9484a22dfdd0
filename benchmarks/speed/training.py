"""Training and evaluation of one case: populations of several sizes, and PyTorch beside them."""

import importlib.util
import statistics
from typing import Any

import jax

from benchmarks.speed.cases import CASES, config_of
from benchmarks.speed.floor import floor
from benchmarks.speed.machine import rates
from benchmarks.speed.ours import Population
from benchmarks.speed.timing import Contestant, interleaved, median_ratio

Row = dict[str, Any]


def measure(
    name: str, populations: tuple[int, ...], devices: int, repeats: int, fields: dict[str, Any]
) -> list[Row]:
    """A row for each population of a case, and one for each way of PyTorch's.

    Args:
        name: of the case.
        populations: numbers of networks; () is the case's own.
        devices: virtual devices, on a CPU.
        repeats: of each measurement.
        fields: changes of the config.
    """
    jax.config.update("jax_num_cpu_devices", devices)
    case, on_cpu = CASES[name], jax.default_backend() == "cpu"
    ours: dict[str, Population] = {}
    for count in populations or case.populations:
        ours[f"ours, {count}"] = Population(config_of(case, count, on_cpu, fields))
    first = next(iter(ours.values())).setup
    limits = rates(first.model.dtype)
    contestants: dict[str, Contestant] = {name: one.train for name, one in ours.items()}
    contestants |= _torch(first)
    taken = interleaved(contestants, repeats)
    evaluations = interleaved({name: one.evaluate for name, one in ours.items()}, repeats)
    peers = {name: taken[name] for name in taken if name not in ours}
    steps = first.steps_per_epoch
    best = min(peers.values(), key=statistics.median) if peers else None
    rows = [
        _ours(name, population, taken[name], evaluations[name], limits)
        | ({} if best is None else _against(taken[name], population.network_steps, best, steps))
        for name, population in ours.items()
    ]
    rows += [{"who": name, **_per_step(seconds, steps)} for name, seconds in peers.items()]
    shape = "x".join(map(str, first.task.images.shape[1:]))
    about = {"case": name, "batch": first.config.train.batch_size, "inputs": shape}
    return [about | {"backend": jax.default_backend(), "devices": devices} | row for row in rows]


def _torch(setup: Any) -> dict[str, Contestant]:
    if importlib.util.find_spec("torch") is None:
        return {}
    from benchmarks.speed import peer

    peer.check_same(setup, peer.network(setup))
    return {
        "torch, eager": peer.trainer(setup, peer.network(setup), compiled=False),
        "torch, compiled": peer.trainer(setup, peer.network(setup), compiled=True),
    }


def _per_step(seconds: list[float], network_steps: int) -> Row:
    """Microseconds of a step of one network: the median, the least and the most of the repeats."""
    each = sorted(1e6 * s / network_steps for s in seconds)
    return {"us": statistics.median(each), "us_least": each[0], "us_most": each[-1]}


def _against(ours: list[float], our_steps: int, theirs: list[float], their_steps: int) -> Row:
    return {"times_torch": median_ratio(theirs, ours) * our_steps / their_steps}


def _ours(
    name: str,
    population: Population,
    seconds: list[float],
    evaluation: list[float],
    limits: dict[str, float],
) -> Row:
    setup = population.setup
    step = _per_step(seconds, population.network_steps)
    least, each = floor(setup), step["us"] / 1e6
    floors = [least["operations"] / limits["flops"], least["bytes"] / limits["bytes"]]
    return {
        "who": name,
        **step,
        "images_per_second": setup.config.train.batch_size / each,
        "evaluated_per_second": population.evaluated / statistics.median(evaluation),
        "floor_us": 1e6 * max(floors),
        "share_of_product_rate": floors[0] / each,
        "share_of_bandwidth": floors[1] / each,
        "compile_cold_s": population.compile_cold,
        "compile_warm_s": population.compile_warm,
        "peak_bytes": population.peak,
        "layout": f"{setup.layout.rows} x {setup.layout.parts}, {setup.vectorize}",
        "network_bytes": setup.memory.state,
        "product_gflops": limits["flops"] / 1e9,
        "gbytes_per_second": limits["bytes"] / 1e9,
    }
