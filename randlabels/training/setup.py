"""Everything that is known before the first step: task, population, layout, initial state."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from randlabels import hosts, proofs
from randlabels.analysis.layers import LayerInputs
from randlabels.data import sketch, sources
from randlabels.data.standardise import standardise
from randlabels.data.streamed import Images
from randlabels.data.tasks import labels_of_networks, open_task
from randlabels.import_path import is_import_path
from randlabels.models import build, check_inputs, facts_of, with_fields
from randlabels.models.flow import flow_of
from randlabels.models.own import identity_of
from randlabels.networks import Network
from randlabels.training.devices import Layout, choose_layout
from randlabels.training.memory import Plan, check_memory, plan_memory
from randlabels.training.optimizers import make_optimizer
from randlabels.training.own_model import check_own_model, how_it_splits
from randlabels.training.population import hyperparameters, initial_variables, network_table
from randlabels.training.step import Examples, choose_vectorize, put_examples
from randlabels.transfer.earlier_run import EarlierRun, open_earlier_run
from randlabels.transfer.norms import take_over_norms
from randlabels.transfer.same_function import warn_of_changed_functions
from randlabels.transfer.start import start_networks

Tree = Any


@dataclasses.dataclass(frozen=True)
class Task:
    """The examples of one task as every network sees them."""

    images: Images  # uint8 [n, h, w, c] or float32 [n, d]
    labels: np.ndarray  # int32 [network, n]
    test_images: Images
    test_labels: np.ndarray | None  # int32 [network, n]; None where test labels mean nothing
    mean: np.ndarray  # [c], of the whole training set on the scale 0 to 1
    std: np.ndarray  # [c]

    def sample(self, count: int) -> np.ndarray:
        """At most `count` images, evenly spaced and standardised, for moments of them."""
        chosen = np.linspace(0, len(self.images) - 1, min(count, len(self.images))).astype(int)
        return np.asarray(standardise(self.images[chosen], self.mean, self.std))

    @functools.cached_property
    def sketches(self) -> dict[str, Any]:
        """By which the data are known again."""
        arrays = {
            "labels": self.labels,
            "test labels": self.test_labels,
            # Of the images of both tasks, of which only one is here.
            "channel moments": np.stack([self.mean, self.std]),
        }
        images = {"images": self.images, "test images": self.test_images}
        return {name: sketch.sketch_of_images(x) for name, x in images.items()} | {
            name: sketch.sketch(x) for name, x in arrays.items() if x is not None
        }

    @property
    def tested(self) -> bool:
        """Whether test labels mean something."""
        return self.test_labels is not None

    def put(self, layout: Layout) -> dict[str, Examples]:
        """The examples on the devices: "train", and "test" where test labels mean something."""
        assert isinstance(self.images, np.ndarray)  # see `streaming` for those on disk
        assert isinstance(self.test_images, np.ndarray)
        sets = {"train": put_examples(layout, self.images, self.labels, self.mean, self.std)}
        if self.test_labels is not None:
            test = put_examples(layout, self.test_images, self.test_labels, self.mean, self.std)
            sets["test"] = test
        return sets


@dataclasses.dataclass(frozen=True)
class Setup:
    """What `prepare` makes of a checked config. Making one writes nothing."""

    config: ConfigDict
    task: Task
    table: list[Network]
    model: nn.Module
    layout: Layout
    vectorize: str
    steps_per_epoch: int  # updates; the remainder of the examples is dropped
    total_steps: int  # updates in the whole run
    state: Tree  # host arrays, leading axis `network`
    memory: Plan
    sources: dict[str, Any]  # `EarlierRun.identity` of the run that networks start from, or {}

    @functools.cached_property
    def identity(self) -> dict[str, Any]:
        """{"data", "model", "sources"}: by which checkpoints know what they were trained on."""
        shape = self.task.images.shape[1:]
        model = identity_of(self.config, build(self.config), shape)
        return {"data": self.task.sketches, "model": model, "sources": self.sources}


def prepare(config: ConfigDict) -> Setup:
    """Load the data and the earlier run, and build the population, before anything is written.

    Each process loads the data for itself; the earlier run is read by the first.

    Raises:
        InputError: if the data or the earlier run cannot be used, or memory does not suffice.
    """
    earlier: EarlierRun | None = None

    def read_table() -> list[Network]:
        nonlocal earlier
        earlier = open_earlier_run(config)
        return network_table(config, earlier.healthy_networks if earlier else ())

    table = hosts.from_first(read_table)
    extent = measure(config)
    layout = _layout(config, len(table), extent.shape)
    model = build(config, layout.axis_name, layout.groups)
    vectorize = choose_vectorize(config.population.vectorize, facts_of(model).in_turn, layout)
    memory = plan(config, len(table), layout, vectorize, extent)
    task = load_task(config, table)
    if hosts.several():
        hosts.check_same(f"the data of {config.data.name}", proofs.digest_of(task.sketches))
    # Not the model of the devices, whose axis is known to compiled programs alone.
    variables = hosts.from_first(lambda: _start(config, table, build(config), task, earlier))
    steps_per_epoch = len(task.images) // config.train.batch_size
    total_steps = steps_per_epoch * config.train.epochs
    return Setup(
        config=config,
        task=task,
        table=table,
        model=model,
        layout=layout,
        vectorize=vectorize,
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
        state=_initial_state(config, table, variables, total_steps),
        memory=memory,
        sources=earlier.identity(config) if earlier else {},
    )


def measure(config: ConfigDict) -> sources.Extent:
    """How large the data of a run are, which are not loaded.

    Raises:
        InputError: if there are none, or the model takes no such inputs.
    """
    extent, model = sources.measure(config.data), build(config)
    check_inputs(config, model, extent.shape)
    check_own_model(config, model, extent.shape)
    return extent


def _layout(config: ConfigDict, num_networks: int, shape: tuple[int, ...]) -> Layout:
    """Where networks and batches of inputs [*shape] go, among the devices of all processes."""
    return choose_layout(
        config.population.devices,
        num_networks,
        config.train.batch_size,
        tuple(jax.devices()),
        how_it_splits(config, shape),
    )


def plan(
    config: ConfigDict, networks: int, layout: Layout, vectorize: str, extent: sources.Extent
) -> Plan:
    """What memory a run of so many networks takes; nothing of it is allocated.

    Raises:
        InputError: if there is not so much.
    """
    found = plan_memory(config, build(config), networks, extent, layout, vectorize)
    check_memory(found, config, layout)
    return found


def load_task(config: ConfigDict, table: Sequence[Network]) -> Task:
    """The images of config.train.task, and the labels each network of the table learns."""
    data = open_task(config)
    labels, test_labels = labels_of_networks(config.labels, data, table)
    return Task(data.images, labels, data.test_images, test_labels, data.mean, data.std)


def _start(
    config: ConfigDict,
    table: Sequence[Network],
    model: nn.Module,
    task: Task,
    earlier: EarlierRun | None,
) -> Tree:
    """The variables {"params", "batch_stats"} with which each network starts, by its arm."""
    example = np.zeros((1, *task.images.shape[1:]), np.float32)
    variables = initial_variables(model, table, config.train.task, example)
    inputs = LayerInputs(with_fields(model, dtype=jnp.float32), task.sample(config.init.images))
    params = start_networks(config, table, variables, earlier, inputs)
    if earlier is None:
        return variables | {"params": params}
    flow = flow_of(model, example.shape[1:])
    variables = take_over_norms(table, variables | {"params": params}, earlier, flow)
    if is_import_path(config.model.name):
        warn_of_changed_functions(
            inputs.model, table, variables, earlier, flow, next(inputs.batches())
        )
    return variables


def _initial_state(
    config: ConfigDict, table: Sequence[Network], variables: Tree, total_steps: int
) -> Tree:
    params = variables["params"]

    def init(network: Tree, params: Tree) -> Tree:
        return make_optimizer(config, total_steps, network).init(params)

    opt_state = jax.vmap(init)(hyperparameters(table), params)
    return {
        "params": params,
        "batch_stats": variables.get("batch_stats", {}),
        "opt_state": jax.tree.map(np.array, opt_state),
        "step": np.zeros(len(table), np.int32),
    }
