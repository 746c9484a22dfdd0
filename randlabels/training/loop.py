"""Training of one run: a population on one task, from a config to a workdir.

The order within an epoch is a contract: train, evaluate, write the metrics, save. A checkpoint of
step s is therefore on disk only after the metrics of step s, and a resumed run continues exactly
where the checkpoint left off.
"""

import dataclasses
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from ml_collections import ConfigDict
from tqdm import tqdm

from randlabels.analysis.layers import LayerInputs
from randlabels.config import check
from randlabels.data import splits
from randlabels.data.standardise import standardise
from randlabels.data.tasks import labels_of_networks, open_task
from randlabels.errors import InputError
from randlabels.models import build
from randlabels.networks import Network
from randlabels.training import checkpoints, workdir
from randlabels.training.devices import Layout, choose_layout
from randlabels.training.evaluate import evaluation_batches, make_evaluate, summarise
from randlabels.training.population import (
    hyperparameters,
    initial_variables,
    mark_diverged,
    network_table,
)
from randlabels.training.step import choose_vectorize, make_optimizer, make_train_epoch
from randlabels.transfer.earlier_run import open_earlier_run
from randlabels.transfer.norms import take_over_norms
from randlabels.transfer.start import start_networks

Tree = Any


@dataclasses.dataclass(frozen=True)
class Task:
    """The examples of one task as every network sees them."""

    images: np.ndarray  # uint8 [n, h, w, c] or float32 [n, d]
    labels: np.ndarray  # int32 [network, n]
    test_images: np.ndarray
    test_labels: np.ndarray | None  # int32 [network, n]; None where test labels mean nothing
    mean: np.ndarray  # [c], of the whole training set on the scale 0 to 1
    std: np.ndarray  # [c]


@dataclasses.dataclass(frozen=True)
class Setup:
    """Everything that is known before the first step. Making one writes nothing."""

    config: ConfigDict
    task: Task
    table: list[Network]
    model: nn.Module
    layout: Layout
    vectorize: str
    state: Tree  # host arrays, leading axis `network`

    @property
    def steps_per_epoch(self) -> int:
        """Updates in one epoch; the remainder of the examples is dropped."""
        return len(self.task.images) // self.config.train.batch_size

    @property
    def total_steps(self) -> int:
        """Updates in the whole run."""
        return self.steps_per_epoch * self.config.train.epochs


def train(config: ConfigDict, directory: str | Path) -> None:
    """Train a population and write its workdir; continue where an earlier call was stopped.

    Raises:
        InputError: if the config, the data or the workdir cannot be used; nothing is written then.
    """
    config = check(config)
    directory = Path(directory)
    workdir.claim(directory, config)
    if workdir.is_finished(directory):
        tqdm.write(f"{directory} is finished already.", file=sys.stderr)
        return
    setup = prepare(config)
    workdir.write_config(directory, config)
    workdir.write_status(directory, "running")
    try:
        diverged = run_epochs(setup, directory)
    except BaseException as error:
        workdir.write_status(directory, "failed", error=f"{type(error).__name__}: {error}")
        raise
    state = "diverged" if len(diverged) == len(setup.table) else "done"
    workdir.write_status(directory, state, diverged=diverged)


def prepare(config: ConfigDict) -> Setup:
    """Load the data and the earlier run, and build the population, before anything is written."""
    earlier = open_earlier_run(config)
    table = network_table(config, earlier.healthy_networks if earlier else ())
    layout = choose_layout(
        config.population.devices, len(table), config.train.batch_size, tuple(jax.local_devices())
    )
    task = load_task(config, table)
    _check_image_size(config, task.images)
    model = build(config, layout.axis_name)
    example = np.zeros((1, *task.images.shape[1:]), np.float32)
    variables = initial_variables(model, table, config.train.task, example)
    inputs = LayerInputs(model.clone(dtype=jnp.float32), _sample(config, task))
    params = start_networks(config, table, variables, earlier, inputs)
    variables = take_over_norms(table, variables | {"params": params}, earlier)
    vectorize = choose_vectorize(config, len(table), layout)
    setup = Setup(config, task, table, model, layout, vectorize, state={})
    return dataclasses.replace(setup, state=_initial_state(setup, variables))


def _sample(config: ConfigDict, task: Task) -> np.ndarray:
    """Images of the task, evenly spaced and standardised, of which moments are taken."""
    count = min(config.init.images, len(task.images))
    chosen = np.linspace(0, len(task.images) - 1, count).astype(int)
    return np.asarray(standardise(task.images[chosen], task.mean, task.std))


def load_task(config: ConfigDict, table: Sequence[Network]) -> Task:
    """The images of config.train.task, and the labels each network of the table learns."""
    data = open_task(config)
    labels, test_labels = labels_of_networks(config.labels, data, table)
    return Task(data.images, labels, data.test_images, test_labels, data.mean, data.std)


def _check_image_size(config: ConfigDict, images: np.ndarray) -> None:
    """A smaller image would leave nothing behind a VALID convolution or the poolings."""
    poolings = 2 ** len(config.model.channels)
    needed = {"simple_cnn": config.model.kernel_size, "conv_net": poolings, "vgg16": 32}
    least = needed.get(config.model.name, 1)
    pixels = min(images.shape[1:3])
    if pixels < least:
        raise InputError(
            f"The images are only {pixels} pixels wide or high, but {config.model.name} needs "
            f"{least} (config.data.image_size, config.model.kernel_size or channels)."
        )


def _initial_state(setup: Setup, variables: Tree) -> Tree:
    params = variables["params"]

    def init(network: Tree, params: Tree) -> Tree:
        return make_optimizer(setup.config, setup.total_steps, network).init(params)

    opt_state = jax.vmap(init)(hyperparameters(setup.table), params)
    count = len(setup.table)
    return {
        "params": params,
        "batch_stats": variables.get("batch_stats", {}),
        "opt_state": jax.tree.map(np.array, opt_state),
        "step": np.zeros(count, np.int32),
    }


class _Evaluator:
    """Evaluates the population on its task and on the test set."""

    def __init__(self, setup: Setup):
        layout, task = setup.layout, setup.task
        self._layout = layout
        self._evaluate = make_evaluate(
            setup.model, setup.config.train.loss, layout, setup.vectorize
        )
        self._sets = {"train": self._put(setup, task.images, task.labels)}
        if task.test_labels is not None:
            self._sets["test"] = self._put(setup, task.test_images, task.test_labels)

    def _put(self, setup: Setup, images: np.ndarray, labels: np.ndarray) -> tuple[Tree, ...]:
        layout = self._layout
        size = min(setup.config.train.batch_size, len(images))
        size = -(-size // len(layout.devices)) * len(layout.devices)
        indices = evaluation_batches(len(images), size)
        data = {"images": images, "mean": setup.task.mean, "std": setup.task.std}
        return (
            layout.replicate(data),
            layout.split_batches(indices, shared=True),
            layout.spread(labels),
        )

    @property
    def train_data(self) -> tuple[Tree, Tree]:
        """(data, labels) of the task, on the devices."""
        data, _, labels = self._sets["train"]
        return data, labels

    def __call__(self, state: Tree) -> dict[str, Any]:
        """{"train_loss", "train_accuracy", "dead", "test_loss", ...}, arrays [network]."""
        variables = {"params": state["params"], "batch_stats": state["batch_stats"]}
        record: dict[str, Any] = {}
        for name, (data, indices, labels) in self._sets.items():
            sums = self._layout.gather(self._evaluate(data, indices, labels, variables))
            summary = summarise(sums)
            record[f"{name}_loss"] = summary["loss"]
            record[f"{name}_accuracy"] = summary["accuracy"]
            if name == "train":
                record["dead"] = summary["dead"]
        return record


def run_epochs(setup: Setup, directory: Path) -> list[int]:
    """Train from the newest checkpoint (or the start) to the end; return who diverged."""
    config, layout, per_epoch = setup.config, setup.layout, setup.steps_per_epoch
    first, state = _resume(setup, directory)  # epoch 0 is the evaluation of the start
    state = layout.spread(state)
    evaluator = _Evaluator(setup)
    data, labels = evaluator.train_data
    network = layout.spread(hyperparameters(setup.table)) | {"labels": labels}
    train_epoch = make_train_epoch(setup.model, config, setup.total_steps, layout, setup.vectorize)
    kept = [epoch * per_epoch for epoch in (*config.train.checkpoint_epochs, config.train.epochs)]
    evaluated = {*(config.train.eval_epochs or range(config.train.epochs + 1)), config.train.epochs}
    saved_at = time.monotonic()
    progress = tqdm(
        total=config.train.epochs,
        initial=max(first - 1, 0),
        unit="epoch",
        desc=directory.name,
        mininterval=0.1 if sys.stderr.isatty() else 10,  # seconds; a log needs no animation
    )
    with progress, checkpoints.open_manager(directory, kept) as manager:
        for step in [s for s in manager.all_steps() if s >= first * per_epoch]:
            manager.delete(step)  # damaged: training continues from before them
        for epoch in range(first, config.train.epochs + 1):
            metrics: dict[str, Any] = {}
            if epoch > 0:
                state, sums = train_epoch(data, _batches(setup, epoch), network, state)
                metrics = layout.gather(sums)
                progress.update()
            if epoch in evaluated:
                metrics |= evaluator(state)
                record = {"epoch": epoch, "step": epoch * per_epoch, **metrics}
                workdir.append_metrics(directory, record)
                _show(progress, metrics)
            _note_divergence(setup, directory, metrics, epoch)
            due = time.monotonic() - saved_at >= config.train.resume_seconds
            if epoch * per_epoch in kept or due:
                checkpoints.save(manager, epoch * per_epoch, epoch, layout.gather(state))
                saved_at = time.monotonic()
    return [row.network for row in setup.table if not row.healthy]


def _resume(setup: Setup, directory: Path) -> tuple[int, Tree]:
    """(next epoch, state) after the newest checkpoint, or (0, start); the records fit to it."""
    found = checkpoints.restore_newest(directory, setup.state)
    step, state = found if found else (-1, setup.state)
    workdir.truncate_metrics(directory, step)
    done = step // setup.steps_per_epoch  # -1 if nothing was saved
    if found:
        tqdm.write(f"Continuing {directory} after epoch {done}.", file=sys.stderr)
        for saved in workdir.read_table(directory):
            if saved.diverged_epoch is not None and saved.diverged_epoch <= done:
                setup.table[saved.network] = saved
    workdir.write_table(directory, setup.table)
    return done + 1, state


def _batches(setup: Setup, epoch: int) -> Tree:
    """The batches of an epoch on the devices: a pure function of the seeds and the epoch."""
    config, layout = setup.config, setup.layout
    size, batch = len(setup.task.images), config.train.batch_size
    if config.population.shared_batches:
        order = splits.epoch_order(config.data.seed, epoch, size, batch)
        seed = layout.replicate(np.uint32(config.data.seed))
    else:
        seeds = [row.seed for row in setup.table]
        order = np.stack([splits.epoch_order(s, epoch, size, batch) for s in seeds])
        seed = layout.spread(np.asarray(seeds, np.uint32))
    shared = config.population.shared_batches
    return {"indices": layout.split_batches(order, shared), "seed": seed}


def _note_divergence(setup: Setup, directory: Path, metrics: dict[str, Any], epoch: int) -> None:
    new = mark_diverged(setup.table, metrics, epoch)
    if new:
        logging.warning("Networks %s diverged in epoch %d; the others go on.", new, epoch)
        workdir.write_table(directory, setup.table)


def _show(progress: tqdm, metrics: dict[str, Any]) -> None:
    shown = {
        name.replace("_accuracy", ""): f"{np.nanmean(metrics[name]):.3f}"
        for name in ("train_accuracy", "test_accuracy")
        if name in metrics
    }
    progress.set_postfix(shown, refresh=False)
