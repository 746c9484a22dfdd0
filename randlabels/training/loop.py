"""Training of one run: a population on one task, from a config to a workdir.

The order within an epoch is a contract: train, evaluate, write the metrics, save. A checkpoint of
step s is therefore on disk only after the metrics of step s, and a resumed run continues exactly
where the checkpoint left off.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from absl import logging
from ml_collections import ConfigDict
from tqdm import tqdm

from randlabels import disk, hosts, interrupts, progress, proofs, records, runs, states
from randlabels.analysis.layer_inputs import check_model
from randlabels.backend import check_backend, say_machine
from randlabels.data import splits
from randlabels.data.errors import DataError
from randlabels.folders import check_can_hold_checkpoints, check_folder
from randlabels.networks import Network
from randlabels.training import checkpoints, mending, workdir, writers
from randlabels.training.check import check
from randlabels.training.evaluate import Record, make_evaluator
from randlabels.training.losses import LOSSES
from randlabels.training.population import hyperparameters
from randlabels.training.saving import kept_steps, saving
from randlabels.training.setup import Setup, prepare
from randlabels.training.step import make_train_epoch
from randlabels.training.streaming import streamed_programs

Tree = Any


def train(config: ConfigDict, directory: str | Path, log: str = "none") -> runs.Run:
    """Train a population and write its workdir; continue where an earlier call was stopped.

    Args:
        config: of the run.
        directory: its workdir.
        log: tensorboard or wandb, to have the metrics there, too (see `writers`).

    Returns:
        The run, as it can be read from the workdir.

    Raises:
        InputError: if the config, the data, JAX or the workdir cannot be used (nothing is written
            then), the workdir is in use, or the disk is full.
        AllLostError: if all networks diverged or died, unless this is a part of a run; the workdir
            is written all the same.
        Interrupted: if a signal has come; the run can be continued.
    """
    check_backend()
    config = check(config)
    if hosts.several():
        hosts.check_same("the configs", proofs.digest_of(config.to_dict()))
    writers.check_writer(log)
    directory = Path(directory)
    check_folder("workdir", directory)
    check_can_hold_checkpoints(directory)
    finished = hosts.from_first(
        lambda: not disk.writable(directory) and _is_finished(config, directory)
    )
    if not finished:
        with hosts.first_owns(directory):
            finished = hosts.from_first(lambda: _claimed_and_finished(config, directory))
            if not finished:
                _train(config, directory, log)
    if finished:
        _check_own_model(directory)
    run = hosts.from_first(lambda: runs.load_run(directory))
    if not config.population.shard:  # a part may be lost where the whole is not
        states.refuse_if_all_lost(directory, run.networks)
    return run


def _claimed_and_finished(config: ConfigDict, directory: Path) -> bool:
    """Make sure that a workdir is of a config; returns whether its run has come to its end."""
    workdir.claim(directory, config)
    disk.remove_temporaries(directory)
    return _is_finished(config, directory)


def _check_own_model(directory: Path) -> None:
    """Make sure that a model of the user's own is what it was, as far as that needs no data."""
    with contextlib.suppress(DataError):
        hosts.from_first(lambda: check_model(runs.load_run(directory)))


def _is_finished(config: ConfigDict, directory: Path) -> bool:
    size = config.data[f"{config.train.task}_size"]
    per_epoch = size // config.train.batch_size
    finished = mending.is_finished(directory, config, kept_steps(config, per_epoch), per_epoch)
    if finished:
        progress.say(f"{directory} is finished already.")
    return finished


def _train(config: ConfigDict, directory: Path, log: str) -> None:
    identity = proofs.digest_of(config.to_dict())

    def mark(state: str, **details: Any) -> None:
        if hosts.is_first():
            workdir.write_status(directory, state, config_digest=identity, **details)

    def mark_interrupted() -> None:
        if (directory / "status.json").exists():
            mark("interrupted")

    with interrupts.ending_with(interrupts.AT_ONCE, mark_interrupted):
        try:
            setup = prepare(config)
            if hosts.is_first():
                say_machine(directory.name, str(setup.memory))
            found = hosts.from_first(lambda: _begin(setup, directory))
            mark("running")
            with _failure_noted(directory, mark):
                table, saved = setup.table, records.plain(config.to_dict())
                kind = log if hosts.is_first() else "none"
                with writers.opened(kind, directory, saved, table) as write:
                    run_epochs(setup, directory, found, write)
        except KeyboardInterrupt:
            mark_interrupted()
            raise
    state = "lost" if all(row.lost for row in setup.table) else "done"
    mark(state, networks=states.counts(setup.table))
    said = f"Interrupted after the last epoch; {directory} is {state}, "
    with interrupts.ending_with(f"{said}and the same command continues what follows."):
        interrupts.raise_if_requested()


def _begin(setup: Setup, directory: Path) -> mending.Agreed:
    """From where a run goes on; writes config.json."""
    _check_space(setup, directory)
    found = agreed(setup, directory)
    workdir.write_config(directory, setup.config)
    return found


@contextlib.contextmanager
def _failure_noted(directory: Path, mark: Callable[..., None]) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        said = disk.sentence_about(error, directory) or f"{type(error).__name__}: {error}"
        with contextlib.suppress(OSError):  # a full disk may have no room for it
            mark("failed", error=said)
        raise


def _check_space(setup: Setup, directory: Path) -> None:
    """Refuse a run whose checkpoints the disk cannot hold."""
    there = len(runs.checkpoint_steps(directory))
    count = max(1, setup.memory.kept - there)  # one more is written before one goes
    disk.check_space(directory, checkpoints.size_of(setup.state), count)


def agreed(setup: Setup, directory: Path) -> mending.Agreed:
    """The newest point at which all files of a workdir agree; nothing is written.

    Raises:
        InputError: if what the run was trained on there is not what the setup has.
    """
    kept = kept_steps(setup.config, setup.steps_per_epoch)
    found = mending.agreed(directory, setup.config, kept, setup.steps_per_epoch)
    mending.check_resumable(directory, found, setup.identity, setup.table)
    return found


def run_epochs(
    setup: Setup,
    directory: Path,
    found: mending.Agreed,
    write: writers.Write = writers.nowhere,
) -> None:
    """Train from a checkpoint (or the start) to the end; write states into the table.

    Args:
        setup: of the run.
        directory: its workdir.
        found: from where it goes on, see `agreed`.
        write: takes the record of each evaluated epoch, too.

    Raises:
        Interrupted: if a signal has come; then what was trained is saved.
    """
    settings, per_epoch = setup.config.train, setup.steps_per_epoch
    watch = states.Watch(setup.table, _chance(setup))
    # Epoch 0 is the evaluation of the start.
    first, state, journal = _resume(setup, directory, found, watch)
    state = setup.layout.spread(state)
    evaluated = {*(settings.eval_epochs or range(settings.epochs + 1)), settings.epochs}
    bar = progress.bar(
        disable=not hosts.is_first(),
        total=settings.epochs,
        initial=max(first - 1, 0),
        unit="epoch",
        desc=directory.name,
    )
    with bar, contextlib.ExitStack() as until_saved:
        until_saved.enter_context(interrupts.ending_after(max(first - 1, 0)))
        epochs = range(first, settings.epochs + 1)
        train_epoch, evaluate = until_saved.enter_context(programs(setup, epochs, evaluated))
        saver = until_saved.enter_context(saving(setup, directory, found, journal))
        for epoch in epochs:
            metrics: dict[str, Any] = {}
            if epoch > 0:
                state, metrics = train_epoch(epoch, state)
                bar.update()
            metrics |= evaluate(state) if epoch in evaluated else {}
            if epoch == max(first, 1):  # what takes long is compiled: from now on epochs end
                until_saved.enter_context(interrupts.finishing())
            if epoch in evaluated:
                record = {"epoch": epoch, "step": epoch * per_epoch, **metrics}
                if journal:
                    journal.append(record)
                write(record)
                _show(bar, metrics)
                _note(setup, directory, watch.see(record), epoch)
            if epoch == settings.epochs:
                _note(setup, directory, watch.finish(), epoch)
            saver.after(epoch, state)
        saver.wait()


@contextlib.contextmanager
def programs(
    setup: Setup, epochs: range, evaluated: set[int]
) -> Iterator[tuple[Callable[[int, Tree], tuple[Tree, Tree]], Callable[[Tree], Record]]]:
    """(epoch, state) -> (state, mean metrics), and state -> metrics, on the same examples.

    A state is on the devices, metrics are host arrays [network].

    Args:
        setup: of the run.
        epochs: that will be trained (0 is the start, which is only evaluated).
        evaluated: epochs after which networks are evaluated.
    """
    if setup.config.data.stream:
        with streamed_programs(setup, epochs, evaluated) as found:
            yield found
    else:
        yield programs_in_memory(setup)


def programs_in_memory(
    setup: Setup,
) -> tuple[Callable[[int, Tree], tuple[Tree, Tree]], Callable[[Tree], Record]]:
    """`programs` of examples that are put on the devices once."""
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


def _chance(setup: Setup) -> states.Chance:
    """What networks achieve on the training examples that have learned nothing."""
    classes = setup.config.labels.num_classes
    equal = LOSSES[setup.config.train.loss](jnp.zeros((1, classes)), jnp.zeros(1, jnp.int32))
    return states.Chance.of(setup.task.labels, float(equal[0]))


def _resume(
    setup: Setup, directory: Path, found: mending.Agreed, watch: states.Watch
) -> tuple[int, Tree, proofs.Journal | None]:
    """(next epoch, state, metrics.jsonl) after the newest point at which all files agree.

    The state is that of all networks; metrics.jsonl is process 0's alone.
    """

    def adopted() -> tuple[list[Network], Tree]:
        mending.adopt(directory, found, setup.table)
        if found.step < 0:
            return setup.table, setup.state
        progress.say(f"Continuing {directory} after epoch {found.epoch}.")
        return setup.table, checkpoints.restore(directory, found.step, setup.state)

    table, state = hosts.from_first(adopted)
    setup.table[:] = table
    for line in found.metrics.splitlines():
        watch.see(json.loads(line))
    if found.epoch == setup.config.train.epochs:  # no evaluation will follow
        watch.finish()
    journal = None
    if hosts.is_first():
        # Before metrics.jsonl: without the evaluations that changed it, a reader would refuse it.
        workdir.write_table(directory, setup.table)
        journal = proofs.Journal(directory / "metrics.jsonl", found.metrics)
    return found.epoch + 1, state, journal


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


def _note(setup: Setup, directory: Path, changed: Sequence[Network], epoch: int) -> None:
    """Write the table if states have changed, and say which networks are lost since."""
    if not changed or not hosts.is_first():
        return
    workdir.write_table(directory, setup.table)
    for state, meaning in (("diverged", "diverged"), ("dead", "died: a layer has no live unit")):
        networks = [row.network for row in changed if row.state == state]
        if networks:
            logging.warning("Epoch %d: networks %s %s.", epoch, networks, meaning)


def _show(bar: tqdm, metrics: dict[str, Any]) -> None:
    shown = {
        name.replace("_accuracy", ""): f"{np.nanmean(metrics[name]):.3f}"
        for name in ("train_accuracy", "test_accuracy")
        if name in metrics
    }
    bar.set_postfix(shown, refresh=False)
