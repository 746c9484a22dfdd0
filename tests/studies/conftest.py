"""Smoke runs of studies: most of their time is compilation and the pixels of figures."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import matplotlib
import pytest


@contextlib.contextmanager
def _quick() -> Iterator[None]:
    jax.config.update("jax_disable_most_optimizations", True)
    try:
        with matplotlib.rc_context({"savefig.dpi": 40}):
            yield
    finally:
        jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def quick() -> Callable[[], Any]:
    """A context in which programs compile quickly, and run slowly, and figures are small."""
    return _quick
