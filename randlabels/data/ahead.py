"""Work that is done ahead of its use, in order: by worker processes where there is much of it.

Grain's workers are processes that are started anew (spawn), one for each core that is left; arrays
come back through shared memory. Few items are computed by threads of this process, as a worker
takes seconds to start.
"""

import contextlib
import gc
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from absl import flags

from randlabels.errors import InputError

T = TypeVar("T")

_MOST_WORKERS = 32
_KILLED = (
    "a process that decodes images was killed, as systems do that have no memory left; give it "
    "more, and start the same command again, which continues after the last checkpoint."
)
_BUFFERED = 2  # items of each worker
WORKER_BYTES = 300 * 10**6  # that a worker takes before it decodes anything


def workers() -> int:
    """Worker processes: one for each core but this process's own, at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(max((cores or 1) - 1, 1), _MOST_WORKERS)


def items_held(processes: int) -> int:
    """Items that are computed, or being computed, before they are used."""
    return processes * (_BUFFERED + 2) if processes else _threads() + 1


def _threads() -> int:
    return workers() + 1


@contextlib.contextmanager
def ahead(
    function: Callable[[int], T], count: int, first: int = 0, processes: int = 0
) -> Iterator[Iterator[T]]:
    """An iterator of function(first), ..., function(count - 1), computed ahead, in this order.

    Args:
        function: of arrays, or trees of them; with worker processes it is pickled.
        count: of all items.
        first: that is wanted.
        processes: workers; 0 is threads of this process.

    Raises:
        InputError: if Grain is not installed, or a worker was killed; the iterator raises what the
            function raises.
    """
    grain = _grain()
    threads, buffered = (1, 1) if processes else (_threads(), _threads())
    reading = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=buffered)
    items = grain.MapDataset.source(_Items(function, first, count)).to_iter_dataset(reading)
    if processes:
        if not flags.FLAGS.is_parsed():  # in a notebook or a test; Grain reads flags of its own
            flags.FLAGS.mark_as_parsed()
        options = grain.MultiprocessingOptions(
            num_workers=min(processes, count - first), per_worker_buffer_size=_BUFFERED
        )
        items = items.mp_prefetch(options, worker_init_fn=_begin_worker)
    iterator = iter(items)
    try:
        yield _used(iterator)
    finally:
        iterator.close()
        # What an exception kept of it would be closed once more while Python ends, and complain.
        del iterator, items
        gc.collect()


def _used(iterator: Iterator[T]) -> Iterator[T]:
    """The items of an iterator of Grain; exceptions are those of the function, not where from."""
    failed: Exception
    while True:
        try:
            yield next(iterator)
            continue
        except StopIteration:
            return
        except RuntimeError as error:
            killed = "terminated unexpectedly" in str(error)
            failed = InputError(_KILLED) if killed else error
        except Exception as error:
            failed = error
        break
    del iterator
    raise failed.with_traceback(None) from None


class _Items:
    """What Grain calls a random access source: item k is function(first + k)."""

    def __init__(self, function: Callable[[int], Any], first: int, count: int) -> None:
        self._function, self._first, self._count = function, first, count

    def __len__(self) -> int:
        return self._count - self._first

    def __getitem__(self, item: int) -> Any:
        return self._function(self._first + item)


def _begin_worker(number: int, count: int) -> None:
    """Ctrl-C is for the process that trains; it ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _grain() -> Any:
    try:
        import grain
    except ImportError as error:
        raise InputError(
            "config.data.stream needs Grain, which is not installed; run "
            "`pip install randlabels[stream]`."
        ) from error
    return grain
