"""Training and evaluation of a population on images that stay on disk.

The batches of a whole run, those of training and those of evaluation in the order in which they are
used, are one sequence, of which each element is a pure function of its number: workers decode ahead
across the ends of epochs, and a run that continues begins in its middle. Consecutive batches make a
chunk, which lies on the devices while a program scans over it; the next one is put together
meanwhile. The step is that of training in memory, on the same numbers.
"""

import bisect
import contextlib
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from randlabels.data import splits
from randlabels.data.ahead import ahead
from randlabels.data.streamed import StreamedImages, processes_for
from randlabels.training.chunks import steps_of_chunk
from randlabels.training.evaluate import (
    Record,
    batch_size_of,
    evaluation_batches,
    make_evaluate,
    record_of,
)
from randlabels.training.population import hyperparameters
from randlabels.training.setup import Setup
from randlabels.training.step import make_train_epoch

Tree = Any


@dataclasses.dataclass(frozen=True)
class Pass:
    """One way through images of a task.

    Attributes:
        name: "epoch 3", or of the set that is evaluated.
        images: of the task.
        order: () -> positions int32 [steps, batch], PAD where there is none; small when pickled.
        steps: batches.
        crops: seed of random crops, with which and the position each picture is cut out; () is
            none.
    """

    name: str
    images: StreamedImages
    order: Callable[[], np.ndarray]
    steps: int
    crops: tuple[int, ...] = ()


class Batches:
    """The images of batch k of a run, for k from 0 to the sum of the steps of its passes.

    Attributes:
        passes: in their order.
        columns: of the batches that this process reads, `Layout.columns`; and how many there are.
    """

    def __init__(self, passes: Sequence[Pass], columns: tuple[tuple[int, ...], int]) -> None:
        self.passes, self.columns = tuple(passes), columns
        self._ends = list(itertools.accumulate(one.steps for one in passes))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __call__(self, number: int) -> np.ndarray:
        """Decode a batch: uint8 [examples of this process, h, w, c]."""
        which = bisect.bisect_right(self._ends, number)
        step = number - self._ends[which] + self.passes[which].steps
        columns, parts = self.columns
        indices = self._order(which)[step].reshape(parts, -1)[list(columns)].ravel()
        now = self.passes[which]
        seeds = [(*now.crops, int(index)) for index in indices] if now.crops else ()
        positions = now.images.positions[np.maximum(indices, 0)]
        return now.images.records.read(positions, seeds)[0]

    def _order(self, which: int) -> np.ndarray:
        # A worker needs the orders one after the other.
        known: dict[int, np.ndarray] = self.__dict__.setdefault("_known", {})
        if which not in known:
            for old in [one for one in known if one < which]:
                known.pop(old, None)
            known[which] = self.passes[which].order()
        return known[which]


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Consecutive batches: positions int32 [s, batch], images uint8 [s, examples, h, w, c]."""

    order: np.ndarray
    images: np.ndarray


class Reader:
    """Hands out the passes of a run, chunk by chunk, in their order."""

    def __init__(self, passes: Sequence[Pass], batches: Iterator[np.ndarray], longest: int) -> None:
        self._passes, self._batches, self._longest = iter(passes), batches, longest

    def chunks(self, name: str) -> Iterator[Chunk]:
        """Those of the next pass, which has to be of this name."""
        now = next(self._passes)
        if now.name != name:
            raise RuntimeError(f"the stream has {now.name} where {name} is asked for")
        order = now.order()
        for part in np.array_split(order, math.ceil(now.steps / self._longest)):
            images = list(itertools.islice(self._batches, len(part)))
            yield Chunk(part, np.stack(images))


def passes_of(setup: Setup, epochs: range, evaluated: set[int]) -> list[Pass]:
    """What a run reads from an epoch on, in the order of `loop.run_epochs`."""
    config, task, layout = setup.config, setup.task, setup.layout
    size, batch = len(task.images), config.train.batch_size
    sets = {"train": task.images} | ({"test": task.test_images} if task.tested else {})
    in_order = {}
    for name, images in sets.items():
        assert isinstance(images, StreamedImages)
        order = functools.partial(
            evaluation_batches, len(images), batch_size_of(len(images), batch, layout)
        )
        in_order[name] = Pass(name, images, order, len(order()))
    passes = []
    for epoch in epochs:
        if epoch > 0:
            order = functools.partial(splits.epoch_order, config.data.seed, epoch, size, batch)
            images = in_order["train"].images
            cropped = config.data.augment == "resized_crop_flip"
            crops = (config.data.seed, epoch) if cropped else ()
            passes.append(Pass(f"epoch {epoch}", images, order, setup.steps_per_epoch, crops))
        passes += in_order.values() if epoch in evaluated else ()
    return passes


@contextlib.contextmanager
def streamed_programs(
    setup: Setup, epochs: range, evaluated: set[int]
) -> Iterator[tuple[Callable[[int, Tree], tuple[Tree, Tree]], Callable[[Tree], Record]]]:
    """`loop.programs` of images on disk; to be called in the order of the epochs.

    Args:
        setup: of the run.
        epochs: that will be trained (0 is the start, which is only evaluated).
        evaluated: epochs after which networks are evaluated.
    """
    config, layout, task = setup.config, setup.layout, setup.task
    passes = passes_of(setup, epochs, evaluated)
    batches = Batches(passes, layout.columns)
    pictures = sum(one.steps for one in passes) * config.train.batch_size
    share = config.train.batch_size // layout.parts
    longest = steps_of_chunk(share, math.prod(task.images.shape[1:]))
    moments = layout.replicate({"mean": task.mean, "std": task.std})
    labels = {"train": layout.spread(task.labels)}
    if task.test_labels is not None:
        labels["test"] = layout.spread(task.test_labels)
    network = layout.spread(hyperparameters(setup.table)) | {"labels": labels["train"]}
    seed = layout.replicate(np.uint32(config.data.seed))
    run_steps = make_train_epoch(setup.model, config, setup.total_steps, layout, setup.vectorize)
    sums_of = make_evaluate(setup.model, config.train.loss, layout, setup.vectorize)

    def put(chunk: Chunk) -> tuple[jax.Array, jax.Array]:
        return layout.split_batches(chunk.order, shared=True), layout.split_images(chunk.images)

    with ahead(batches, len(batches), processes=processes_for(pictures)) as found:
        reader = Reader(passes, found, longest)

        def train_epoch(epoch: int, state: Tree) -> tuple[Tree, Tree]:
            means: list[Tree] = []
            steps: list[int] = []
            for chunk in reader.chunks(f"epoch {epoch}"):
                indices, images = put(chunk)
                batch = {"indices": indices, "images": images, "seed": seed}
                state, metrics = run_steps(moments, batch, network, state)
                _wait(means)
                means.append(metrics)
                steps.append(len(chunk.order))
            weights = np.array(steps) / sum(steps)
            return state, _weighted([layout.gather(mean) for mean in means], weights)

        def evaluate(state: Tree) -> Record:
            variables = {"params": state["params"], "batch_stats": state["batch_stats"]}
            found = {}
            for name in labels:
                sums: list[Tree] = []
                for chunk in reader.chunks(name):
                    indices, images = put(chunk)
                    data = moments | {"batches": images}
                    _wait(sums)
                    sums.append(sums_of(data, indices, labels[name], variables))
                found[name] = _added([layout.gather(one) for one in sums])
            return record_of(found)

        yield train_epoch, evaluate


def _wait(results: Sequence[Tree]) -> None:
    """Let no more than one chunk wait behind the one that is in use."""
    if results:
        jax.block_until_ready(results[-1])


def _weighted(means: Sequence[Tree], weights: np.ndarray) -> Tree:
    """The mean of all steps from those of chunks."""
    return jax.tree.map(
        lambda *values: np.average(values, axis=0, weights=weights).astype(values[0].dtype), *means
    )


def _added(sums: Sequence[Tree]) -> Tree:
    """Sums of chunks as those of all examples; the norm is of weights, the same in each."""
    total = jax.tree.map(lambda *values: np.sum(np.asarray(values, values[0].dtype), 0), *sums)
    return total | {"norm": sums[-1]["norm"]}
