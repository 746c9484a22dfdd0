"""Smoke runs of studies: most of their time is compilation and the pixels of figures."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import matplotlib
import pytest

from randlabels.studies.declare import Results, Study
from randlabels.studies.run import run_study


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


def _run_smoke(study: Study[Any], workdir: Path) -> tuple[Results, Any]:
    kept = []

    def read(results: Results) -> Any:
        kept.append((results, study.read(results)))
        return kept[-1][1]

    with _quick():
        run_study(dataclasses.replace(study, read=read), workdir, "smoke")
    return kept[-1]


@pytest.fixture(scope="session")
def run_smoke() -> Callable[[Study[Any], Path], tuple[Results, Any]]:
    """A function: study, folder -> results of a smoke run and the reading its page was made of."""
    return _run_smoke
