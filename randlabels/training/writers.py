"""Metrics for TensorBoard or Weights & Biases, beside metrics.jsonl; only where they are asked for.

Each arm's mean over its networks that are fine, at each evaluated epoch.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from randlabels.errors import InputError
from randlabels.networks import Network

KINDS = ("none", "tensorboard", "wandb")

Write = Callable[[dict[str, Any]], None]  # a record of metrics.jsonl


def nowhere(record: dict[str, Any]) -> None:
    """Writes nothing."""


def check_writer(kind: str) -> None:
    """Make sure, before training, that what is asked for is installed.

    Raises:
        InputError: if it is not, or is unknown.
    """
    if kind not in KINDS:
        raise InputError(f"log is {kind!r}; it may be {', '.join(KINDS)}.")
    module = {"tensorboard": "tensorboardX", "wandb": "wandb"}.get(kind)
    try:
        if module:
            __import__(module)
    except ImportError as error:
        raise InputError(f"--log={kind} needs {module}; install it by pip.") from error


@contextlib.contextmanager
def opened(
    kind: str, directory: Path, config: dict[str, Any], table: Sequence[Network]
) -> Iterator[Write]:
    """What takes a record of each evaluated epoch.

    Args:
        kind: one of KINDS, see `check_writer`.
        directory: workdir of the run; TensorBoard's files go to tensorboard/ in it.
        config: of the run, as JSON holds it.
        table: of the run, whose states may change.
    """
    if kind == "tensorboard":
        from tensorboardX import SummaryWriter

        with SummaryWriter(str(directory / "tensorboard")) as writer:

            def write(record: dict[str, Any]) -> None:
                for name, value in scalars(record, table).items():
                    writer.add_scalar(name, value, record["epoch"])
                writer.flush()

            yield write
    elif kind == "wandb":
        import wandb

        with wandb.init(project="randlabels", name=directory.name, config=config) as run:
            yield lambda record: run.log(scalars(record, table), step=record["epoch"])
    else:
        yield nowhere


def scalars(record: dict[str, Any], table: Sequence[Network]) -> dict[str, float]:
    """{"arm/metric": mean over the healthy networks of the arm} of a record, where finite."""
    found: dict[str, float] = {}
    for arm in dict.fromkeys(row.arm for row in table):
        own = [row.network for row in table if row.arm == arm and row.healthy]
        for name, values in record.items():
            if own and np.ndim(values) == 1 and len(values) == len(table):
                mean = float(np.mean(np.asarray(values, float)[own]))
                found |= {f"{arm}/{name}": mean} if np.isfinite(mean) else {}
    return found
