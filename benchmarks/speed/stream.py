"""Images that stay on disk: how fast they are decoded, and whether training keeps up with them.

JPEG pictures of many sizes are drawn first. Then, with the same workers, they are decoded for
nothing, and for two networks: one that is faster than the decoding, which should reach nearly its
rate, and one that is slower, which should hardly wait. What the second would take without waiting
is measured on images in memory.
"""

import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import jax

from randlabels.configs import base
from randlabels.data import drawn
from randlabels.data.ahead import ahead, workers
from randlabels.data.streamed import processes_for
from randlabels.training import loop
from randlabels.training.check import check
from randlabels.training.setup import Setup, prepare
from randlabels.training.streaming import Batches, passes_of

Row = dict[str, Any]

EPOCHS = 3  # the first compiles and is not counted
TEST = 256
FAST = {"model.name": "simple_cnn", "model.filters": 2, "model.widths": (4,)}
SLOW = {"model.name": "conv_net", "model.channels": (32, 32, 64, 64), "model.widths": (64,)}


def measure(pictures: int, data_dir: str) -> list[Row]:
    """A row for the pipeline alone and for each network.

    Args:
        pictures: of training.
        data_dir: where they are, or are written to; "" is a folder that is removed again.
    """
    # On a CPU one core computes and the others decode, so that neither waits for the other's core.
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    with tempfile.TemporaryDirectory() as folder:
        where = data_dir or folder
        if not (Path(where) / drawn.NAME).exists():
            drawn.write(where, pictures, TEST)
        alone = _pipeline(where, pictures)
        rows = [{"what": "pipeline alone", "workers": workers(), "images_per_second": alone}]
        for name, fields in (("fast", FAST), ("slow", SLOW)):
            streamed, peaks = _training(_config(where, pictures, fields, stream=True))
            in_memory, _ = _training(_config(where, min(pictures, 10_000), fields, stream=False))
            rows.append(
                {
                    "what": f"{name} network ({fields['model.name']})",
                    "images_per_second": streamed,
                    "share_of_pipeline": streamed / alone,
                    "in_memory_per_second": in_memory,
                    "share_waiting": max(0.0, 1 - streamed / in_memory),
                    "peak_after_first_epoch": peaks[0],
                    "peak_at_end": peaks[-1],
                }
            )
    return rows


def _config(data_dir: str, pictures: int, fields: dict[str, Any], stream: bool) -> Any:
    config = base.get_config()
    config.update_from_flattened_dict(
        {
            "data.name": drawn.NAME,
            "data.data_dir": data_dir,
            "data.short_side": 40,
            "data.image_size": 32,
            "data.stream": stream,
            "data.upstream_size": pictures,
            "data.downstream_size": 0,
            "data.test_size": TEST,
            "labels.num_classes": 10,
            "optimizer.learning_rate": 0.001,
            "train.epochs": EPOCHS,
            "train.eval_epochs": (EPOCHS,),
            "train.batch_size": 64,
            "population.seeds": 1,
        }
        | fields
    )
    return check(config)


def _pipeline(data_dir: str, pictures: int) -> float:
    """Images that the workers decode in a second, their start not counted."""
    setup = prepare(_config(data_dir, pictures, FAST, stream=True))
    batches = Batches(passes_of(setup, range(1, 2), set()), setup.layout.columns)
    with ahead(batches, len(batches), processes=processes_for(pictures * EPOCHS)) as found:
        for _ in range(workers() * 4):
            next(found)
        begun, images = time.perf_counter(), 0
        for batch in found:
            images += len(batch)
        return images / (time.perf_counter() - begun)


def _training(config: Any) -> tuple[float, list[int]]:
    """Images trained on in a second, and peaks of this process's memory after each epoch."""
    setup: Setup = prepare(config)
    state = setup.layout.spread(setup.state)
    taken, peaks = [], []
    with loop.programs(setup, range(1, EPOCHS + 1), set()) as (train_epoch, _):
        for epoch in range(1, EPOCHS + 1):
            begun = time.perf_counter()
            state, _ = train_epoch(epoch, state)
            jax.block_until_ready(state)
            taken.append(time.perf_counter() - begun)
            peaks.append(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    steps = setup.steps_per_epoch * config.train.batch_size
    return steps / min(taken[1:]), peaks
