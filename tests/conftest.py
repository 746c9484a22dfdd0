"""Eight virtual CPU devices for every test, fixed before JAX starts a backend; a tiny config.

Most of the time of these tests is compilation of programs that an earlier test compiled too, so
each process keeps what it compiled, and what the commands compile that it starts, in a folder that
goes away with it.
"""

import atexit
import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import pytest
from ml_collections import ConfigDict

from randlabels.analysis.records import AlignmentRecord
from randlabels.configs import base

CACHE = tempfile.mkdtemp(prefix="randlabels-tests-")
atexit.register(shutil.rmtree, CACHE, ignore_errors=True)
os.environ.setdefault("MPLCONFIGDIR", os.path.expanduser("~/.cache/matplotlib"))  # list of fonts
os.environ["XDG_CACHE_HOME"] = CACHE

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_compilation_cache_dir", f"{CACHE}/jax")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)

TINY = {
    "data.upstream_size": 50,
    "data.downstream_size": 48,
    "data.test_size": 50,  # as many as upstream: one program evaluates both
    "data.image_size": 8,
    "labels.num_classes": 3,
    "model.init_scale": 1.0,
    "model.filters": 6,
    "model.widths": (5,),
    "optimizer.learning_rate": 0.05,
    "train.epochs": 2,
    "train.batch_size": 16,
    "population.seeds": 2,
}


@pytest.fixture(scope="module")
def quick_programs() -> Iterator[None]:
    """Programs compile quickly and run slowly: for tests most of whose time is compilation."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def alignment_record() -> Callable[..., AlignmentRecord]:
    """A function: fields -> a record with these, and with nothing measured where none is given."""

    def make(**fields: Any) -> AlignmentRecord:
        empty = {field.name: None for field in dataclasses.fields(AlignmentRecord)}
        place = {"layer": "conv1", "step": 5, "epoch": 1.0, "group": {}, "networks": ()}
        if fields.get("network") is not None:
            place["networks"] = (fields["network"],)
        return AlignmentRecord(**empty | place | fields)

    return make


@pytest.fixture(scope="session")
def tiny_config() -> Callable[..., ConfigDict]:
    """A function: changes {"group.field": value} -> configs/base.py at the size of a test."""

    def make(changes: dict[str, Any] | None = None) -> ConfigDict:
        config = base.get_config()
        config.update_from_flattened_dict(TINY | (changes or {}))
        return config

    return make
