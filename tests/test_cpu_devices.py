"""A CPU is a device for each core, unless something else is asked for."""

import os
import subprocess
import sys

import pytest

STARTED = """
import os
if {cores}: os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:{cores}])
import jax
if {early}: jax.devices()
from randlabels.backend import check_backend
check_backend()
print(len(jax.devices()))
"""


def devices(cores=0, early=False, **environment):
    """How many devices a process has after `check_backend`."""
    known = {"JAX_NUM_CPU_DEVICES", "XLA_FLAGS"}
    inherited = {name: value for name, value in os.environ.items() if name not in known}
    done = subprocess.run(
        [sys.executable, "-c", STARTED.format(cores=cores, early=early)],
        env=inherited | {"JAX_PLATFORMS": "cpu"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


def test_a_device_for_each_core_that_may_be_used():
    assert devices() == len(os.sched_getaffinity(0))
    assert devices(cores=1) == 1


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"JAX_NUM_CPU_DEVICES": "3"}, 3),
        ({"XLA_FLAGS": "--xla_force_host_platform_device_count=5"}, 5),
    ],
)
def test_what_is_asked_for_is_left(environment, expected):
    assert devices(**environment) == expected


def test_where_jax_runs_already_nothing_changes():
    assert devices(early=True) == 1
