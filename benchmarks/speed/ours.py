"""A population's training and evaluation as the package runs them, ready to be timed."""

import resource
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache

from randlabels.training import loop
from randlabels.training.setup import Setup, prepare


class Population:
    """A population of a case whose epochs are trained one after the other.

    Attributes:
        setup: of the run.
        compile_cold: seconds of the first epoch and evaluation less those of a warm one, with an
            empty compilation cache.
        compile_warm: the same once the cache is filled.
        peak: bytes of memory at most, above what the process held before.
    """

    def __init__(self, config: Any) -> None:
        before = peak_memory()
        self.setup: Setup = prepare(config)
        with tempfile.TemporaryDirectory() as folder:
            compilation_cache.reset_cache()
            jax.config.update("jax_compilation_cache_dir", folder)
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
            cold = self._begin()
            jax.clear_caches()
            warm = self._begin()
        jax.config.update("jax_compilation_cache_dir", None)
        compilation_cache.reset_cache()
        steady = _seconds(self.train) + _seconds(self.evaluate)
        self.compile_cold, self.compile_warm = cold - steady, warm - steady
        self.peak = device_peak() or peak_memory() - before

    def _begin(self) -> float:
        """Seconds until an epoch and an evaluation are through, compilation included."""
        self._state = self.setup.layout.spread(self.setup.state)
        self._epoch = 0
        begun = time.perf_counter()
        self._train, self._evaluate = loop.programs_in_memory(self.setup)
        self.train()
        self.evaluate()
        return time.perf_counter() - begun

    def train(self) -> None:
        """An epoch of all networks, its metrics fetched as in a run."""
        self._epoch += 1
        self._state, metrics = self._train(self._epoch, self._state)
        if not np.all(np.isfinite(metrics["loss"])):
            raise RuntimeError("A network diverged, so times mean nothing; choose another rate.")

    def evaluate(self) -> None:
        """An evaluation of all networks on all examples."""
        self._evaluate(self._state)

    @property
    def network_steps(self) -> int:
        """Updates of all networks in an epoch."""
        return self.setup.steps_per_epoch * len(self.setup.table)

    @property
    def evaluated(self) -> int:
        """Examples of all networks in an evaluation."""
        task = self.setup.task
        tested = 0 if task.test_labels is None else len(task.test_images)
        return (len(task.images) + tested) * len(self.setup.table)


def peak_memory() -> int:
    """The most bytes of memory that this process has had."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def device_peak() -> int:
    """The most bytes that the first device's allocator has held; 0 where it does not say."""
    return (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0)


def _seconds(function: Callable[[], None]) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun
