"""How many batches of images on disk lie on the devices at once, and what memory that takes."""

from ml_collections import ConfigDict

from randlabels.data.ahead import WORKER_BYTES, items_held
from randlabels.data.sources import Extent
from randlabels.data.streamed import processes_for
from randlabels.training.devices import Layout

CHUNK_BYTES = 64 * 10**6  # of the images of a chunk, on one device
_CHUNKS = 3  # one in use, one waiting on the devices, one being put together


def steps_of_chunk(batch: int, example_bytes: int) -> int:
    """How many batches of so many examples, on one device, make the longest chunk."""
    return max(1, CHUNK_BYTES // (batch * example_bytes))


def bytes_on_device(config: ConfigDict, extent: Extent, layout: Layout) -> int:
    """What chunks of images take on a device."""
    batch = config.train.batch_size // layout.parts
    longest = max(extent.task(config.train.task), extent.test) // config.train.batch_size
    steps = min(steps_of_chunk(batch, extent.example_bytes), max(longest, 1))
    return _CHUNKS * steps * batch * extent.example_bytes


def bytes_on_host(config: ConfigDict, extent: Extent, layout: Layout) -> int:
    """What workers, decoded batches and a chunk that is being put together take."""
    columns, parts = layout.columns
    processes = processes_for(extent.task(config.train.task) * config.train.epochs)
    of_column = config.train.batch_size // parts * extent.example_bytes
    waiting = items_held(processes) * len(columns) * of_column
    chunk = bytes_on_device(config, extent, layout) // _CHUNKS * len(columns)
    return processes * WORKER_BYTES + waiting + chunk
