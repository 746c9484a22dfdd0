"""How much memory a run takes, from shapes alone, before anything of it is allocated.

What is counted, for the host and for each device:

* data: what loading holds at once, then the images and labels of training; of images on disk those
  that wait, and the processes that decode them;
* states: weights, batch statistics and optimizer of all networks. A device holds those before and
  after an epoch; the host those of the start and those of the checkpoint being written;
* one step: the intermediate values of a training step (see `liveness`), of one network where they
  run one after the other, of all on a device where they run side by side;
* program: the compiler and what it makes, a constant.

Devices of the CPU backend share the host's memory, so there all is added up.
"""

import bisect
import dataclasses
import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from randlabels.data.sources import Extent
from randlabels.errors import InputError
from randlabels.host_memory import available_memory, readable
from randlabels.training import chunks
from randlabels.training.devices import Layout
from randlabels.training.liveness import peak_bytes, tree_bytes
from randlabels.training.optimizers import make_optimizer
from randlabels.training.population import HYPERPARAMETERS
from randlabels.training.step import make_train_step

Tree = Any

PROGRAM = 300 * 10**6  # bytes that compiling and writing checkpoints take, whatever the sizes
_STATES_ON_DEVICE = 2  # before and after an epoch
_STATES_ON_HOST = 2  # of the start, and gathered for a checkpoint
_STATES = _STATES_ON_DEVICE + _STATES_ON_HOST
_LABEL = 4  # bytes, int32


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run needs. All sizes are bytes.

    Attributes:
        networks: of the population.
        loading: what loading the data holds at once, on the host.
        data: images of training and testing that each device holds.
        waiting: images that the host holds, and what decodes them.
        labels: of one network.
        state: of one network: weights, batch statistics, optimizer.
        step: intermediate values of one step of one network, on one device.
        at_once: networks that a device runs side by side.
        on_device: networks that a device holds.
        devices: how many.
        parts: devices that share a batch.
        shared: whether the devices' memory is the host's.
        kept: checkpoints on disk at once, at most: those asked for, the two newest, and one that
            is being written; a run whose epochs are short never saves between those asked for.
    """

    networks: int
    loading: int
    data: int
    waiting: int
    labels: int
    state: int
    step: int
    at_once: int
    on_device: int
    devices: int
    parts: int
    shared: bool
    kept: int

    @property
    def device(self) -> int:
        """Bytes on each device."""
        states = self.on_device * (self.labels + _STATES_ON_DEVICE * self.state)
        return self.data + states + self.at_once * self.step

    @property
    def host(self) -> int:
        """Bytes on the host, at the worst of loading and training."""
        networks = self.networks * (self.labels + _STATES_ON_HOST * self.state)
        training = self.waiting + networks + (self.devices * self.device if self.shared else 0)
        return PROGRAM + max(self.loading, training)

    @property
    def checkpoint(self) -> int:
        """Bytes of one checkpoint on disk."""
        return self.networks * self.state

    def of(self, networks: int) -> "Plan":
        """The same run with fewer networks: no less than what their own grid takes."""

        def scaled(count: int) -> int:
            return max(1, math.ceil(count * networks / self.networks))

        at_once = self.at_once if self.at_once == 1 else scaled(self.at_once)
        on_device = scaled(self.on_device)
        return dataclasses.replace(
            self,
            networks=networks,
            at_once=at_once,
            on_device=on_device,
            devices=min(self.devices, networks * self.parts),
        )

    def __str__(self) -> str:
        """One line: what it takes, and of what."""
        step = self.at_once * self.step * (self.devices if self.shared else 1)
        states = self.networks * _STATES_ON_HOST * self.state
        states += self.devices * self.on_device * _STATES_ON_DEVICE * self.state * self.shared
        device = "" if self.shared else f" and {readable(self.device)} on each device"
        return (
            f"{self.networks} network{'s' * (self.networks != 1)} of {readable(self.state)} with "
            f"optimizer, in about "
            f"{readable(self.host)} of memory{device} "
            f"(data {readable(max(self.loading, self.waiting))}, states {readable(states)}, "
            f"one step {readable(step)}); at most {self.kept} checkpoints of "
            f"{readable(self.checkpoint)}"
        )


def plan_memory(
    config: ConfigDict, model: nn.Module, networks: int, extent: Extent, layout: Layout, turn: str
) -> Plan:
    """The plan of a run; nothing is computed but shapes.

    Args:
        config: checked.
        model: as built from it, for one device.
        networks: of the population.
        extent: of its data.
        layout: of the population.
        turn: "vmap" or "map".
    """
    state, step = _one_network(config, model, extent, config.train.batch_size // layout.parts)
    examples = extent.task(config.train.task) + extent.test
    data = waiting = extent.example_bytes * examples
    if config.data.stream:
        data = chunks.bytes_on_device(config, extent, layout)
        waiting = chunks.bytes_on_host(config, extent, layout)
    return Plan(
        networks=networks,
        loading=extent.loading + extent.example_bytes * 4 * min(config.init.images, examples),
        data=data,
        waiting=waiting,
        labels=_LABEL * examples,
        state=state,
        step=step,
        at_once=layout.per_device if turn == "vmap" else 1,
        on_device=layout.per_device,
        devices=len(layout.own),
        parts=layout.parts,
        shared=layout.devices[0].platform == "cpu",
        kept=min(
            len({*config.train.checkpoint_epochs, config.train.epochs}) + 2,
            config.train.epochs + 1,  # one after each epoch, and that of the start
        ),
    )


def check_memory(plan: Plan, config: ConfigDict, layout: Layout) -> None:
    """Compare a plan with what the host and its devices have.

    Raises:
        InputError: one sentence that says what to reduce, or how many networks fit.
    """
    _check(plan, config, "host", available_memory(), "of memory")
    if not plan.shared:
        for device in (layout.devices[k] for k in layout.own):
            free = _free_on(device)
            _check(plan, config, "device", free, f"on {device.device_kind}")


def _check(plan: Plan, config: ConfigDict, where: str, free: float, place: str) -> None:
    needed = getattr(plan, where)
    if needed <= free:
        return
    said = f"This run needs about {readable(needed)} {place}, and {readable(free)} are free; "
    if config.population.shard:  # its networks are not of all arms and points of the sweep
        raise InputError(f"{said}make more parts (--shard) of fewer networks each.")
    per_seed = plan.networks // config.population.seeds
    numbers = range(1, config.population.seeds)

    def need(seeds: int) -> int:
        return int(getattr(plan.of(seeds * per_seed), where))

    fits = bisect.bisect_right(numbers, free, key=need)
    if fits:
        seeds = numbers[fits - 1]
        raise InputError(
            f"{said}{seeds * per_seed} networks fit: set config.population.seeds to {seeds}."
        )
    raise InputError(f"{said}not even one seed fits: {_advice(plan.of(per_seed))}.")


def _advice(plan: Plan) -> str:
    """What to reduce: the largest part."""
    parts = {
        f"the data take {readable(max(plan.loading, plan.data))}; lower config.data.upstream_size, "
        "config.data.downstream_size or config.data.image_size, or leave images of a stored data "
        "set on disk by config.data.stream": max(plan.loading, plan.data),
        f"the weights and optimizer of one take {readable(plan.state)}; make config.model or "
        "config.labels.num_classes smaller": _STATES * plan.state * plan.networks,
        f"one step takes {readable(plan.step)}; lower config.train.batch_size or make config.model "
        "smaller": plan.step * plan.at_once,
        f"compiling alone takes {readable(PROGRAM)}; give this process more memory": PROGRAM,
    }
    return max(parts, key=lambda part: parts[part])


def _one_network(
    config: ConfigDict, model: nn.Module, extent: Extent, batch: int
) -> tuple[int, int]:
    """Bytes of the state of one network, and of the intermediate values of one of its steps."""
    shape = jax.ShapeDtypeStruct
    example = shape((1, *extent.shape), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0, impl="threefry2x32"))
    variables = jax.eval_shape(model.init, key, example)
    network = dict.fromkeys(HYPERPARAMETERS, shape((), jnp.float32))
    params = variables["params"]
    state = {
        "params": params,
        "batch_stats": variables.get("batch_stats", {}),
        "opt_state": jax.eval_shape(
            lambda network, params: make_optimizer(config, 1, network).init(params), network, params
        ),
        "step": shape((), jnp.int32),
    }
    examples = max(extent.task(config.train.task), 1)
    moments = shape(extent.shape[-1:], jnp.float32)
    data = {"images": shape((examples, *extent.shape), extent.dtype), "mean": moments}
    network |= {"seed": shape((), jnp.uint32), "labels": shape((examples,), jnp.int32)}
    step = peak_bytes(
        make_train_step(model, config, 1),
        data | {"std": moments},
        network,
        state,
        shape((), jnp.uint32),
        shape((batch,), jnp.int32),
    )
    return tree_bytes(state), step


def _free_on(device: jax.Device) -> float:
    """Bytes that are free on a device; inf where the backend does not say."""
    stats = device.memory_stats() or {}
    if "bytes_limit" not in stats:
        return math.inf
    return float(stats["bytes_limit"] - stats.get("bytes_in_use", 0))
