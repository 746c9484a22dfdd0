"""Training of one run: a population on one task, from a config to a workdir.

The order within an epoch is a contract: train, evaluate, write the metrics, save. A checkpoint of
step s is therefore on disk only after the metrics of step s, and a resumed run continues exactly
where the checkpoint left off.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging
from ml_collections import ConfigDict
from tqdm import tqdm

from randlabels.data import splits
from randlabels.training import checkpoints, workdir
from randlabels.training.check import check
from randlabels.training.evaluate import make_evaluator
from randlabels.training.population import hyperparameters, mark_diverged
from randlabels.training.setup import Setup, prepare
from randlabels.training.step import make_train_epoch

Tree = Any


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
    tqdm.write(f"{directory.name}: {setup.memory}.", file=sys.stderr)
    workdir.write_config(directory, config)
    workdir.write_status(directory, "running")
    try:
        diverged = run_epochs(setup, directory)
    except BaseException as error:
        workdir.write_status(directory, "failed", error=f"{type(error).__name__}: {error}")
        raise
    state = "diverged" if len(diverged) == len(setup.table) else "done"
    workdir.write_status(directory, state, diverged=diverged)


def run_epochs(setup: Setup, directory: Path) -> list[int]:
    """Train from the newest checkpoint (or the start) to the end; return who diverged."""
    settings, per_epoch = setup.config.train, setup.steps_per_epoch
    first, state = _resume(setup, directory)  # epoch 0 is the evaluation of the start
    state = setup.layout.spread(state)
    train_epoch, evaluate = _programs(setup)
    kept = [epoch * per_epoch for epoch in (*settings.checkpoint_epochs, settings.epochs)]
    evaluated = {*(settings.eval_epochs or range(settings.epochs + 1)), settings.epochs}
    saved_at = time.monotonic()
    progress = tqdm(
        total=settings.epochs,
        initial=max(first - 1, 0),
        unit="epoch",
        desc=directory.name,
        mininterval=0.1 if sys.stderr.isatty() else 10,  # seconds; a log needs no animation
    )
    with progress, checkpoints.open_manager(directory, kept) as manager:
        for step in [s for s in manager.all_steps() if s >= first * per_epoch]:
            manager.delete(step)  # damaged: training continues from before them
        for epoch in range(first, settings.epochs + 1):
            metrics: dict[str, Any] = {}
            if epoch > 0:
                state, metrics = train_epoch(epoch, state)
                progress.update()
            if epoch in evaluated:
                metrics |= evaluate(state)
                record = {"epoch": epoch, "step": epoch * per_epoch, **metrics}
                workdir.append_metrics(directory, record)
                _show(progress, metrics)
            _note_divergence(setup, directory, metrics, epoch)
            due = time.monotonic() - saved_at >= settings.resume_seconds
            if epoch * per_epoch in kept or due:
                checkpoints.save(manager, epoch * per_epoch, epoch, setup.layout.gather(state))
                saved_at = time.monotonic()
    return [row.network for row in setup.table if not row.healthy]


def _programs(setup: Setup) -> tuple[Callable[[int, Tree], tuple[Tree, Tree]], Any]:
    """(epoch, state) -> (state, mean metrics), and state -> metrics, on the same examples.

    The examples are put on the devices once, for both; a state is on the devices, metrics are host
    arrays [network].
    """
    config, model, layout = setup.config, setup.model, setup.layout
    sets = setup.task.put(layout)
    network = layout.spread(hyperparameters(setup.table)) | {"labels": sets["train"].labels}
    run_steps = make_train_epoch(model, config, setup.total_steps, layout, setup.vectorize)
    evaluate = make_evaluator(
        model, config.train.loss, layout, setup.vectorize, sets, config.train.batch_size
    )

    def train_epoch(epoch: int, state: Tree) -> tuple[Tree, Tree]:
        state, sums = run_steps(sets["train"].data, _batches(setup, epoch), network, state)
        return state, layout.gather(sums)

    return train_epoch, evaluate


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
