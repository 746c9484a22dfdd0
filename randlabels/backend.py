"""Refuses to begin where JAX does not start, or would compute something else."""

import contextlib
import os

from randlabels import progress
from randlabels.errors import InputError

# Settings of JAX that its environment variables change, and what they may be.
_BREAKING: dict[str, tuple[object, ...]] = {
    "jax_debug_infs": (False,),
    "jax_debug_nans": (False,),  # networks that diverge are counted
    "jax_no_execution": (False,),
    "jax_no_tracing": (False,),
    "jax_numpy_rank_promotion": ("allow", "warn"),
} | dict.fromkeys(
    [
        "jax_transfer_guard",
        "jax_transfer_guard_device_to_device",
        "jax_transfer_guard_device_to_host",
        "jax_transfer_guard_host_to_device",
    ],
    (None, "allow", "log"),
)
_USUAL = {
    "jax_default_matmul_precision": (None, "default"),
    "jax_disable_jit": (False,),  # nor would training come to an end
    "jax_enable_x64": (False,),
    "jax_random_seed_offset": (0,),
    "jax_threefry_partitionable": (True,),
} | _BREAKING
_CPU_DEVICES = "jax_num_cpu_devices"  # -1: nobody has asked for a number
_machine_named: list[bool] = []  # not empty once a line has named it
_BROKEN = "training would end in the middle"
_DRAWN = "numbers would be drawn and rounded otherwise than those of other runs"


def machine() -> str:
    """What JAX runs on, in a few words: "1 x cpu (2 cores)", "8 x TPU v4 (96 cores)"."""
    import jax

    devices, others = jax.local_devices(), jax.process_count()
    each = f", each of {others} processes" if others > 1 else ""
    return f"{len(devices)} x {devices[0].device_kind} ({os.cpu_count()} cores{each})"


def say_machine(begun: str, plan: str = "") -> None:
    """Say on standard error what JAX runs on, and what it will take there.

    Args:
        begun: what is begun, in a few words, such as the folder of a run.
        plan: what it takes. Without one, nothing is said if this process has named its machine.
    """
    if plan or not _machine_named:
        progress.say(f"{begun}, on {machine()}{f': {plan}' if plan else ''}.")
        _machine_named.append(True)


def check_backend() -> None:
    """Start JAX on its devices; a CPU gets a virtual one for each core, see `_spread_over_cores`.

    Raises:
        InputError: if what its environment variables ask for is not there, or if they change what
            is computed from the same config.
    """
    try:
        import jax

        _spread_over_cores()
        jax.devices()
    except (ValueError, RuntimeError, AssertionError) as error:
        said = (str(error).strip() or "there is no such device").splitlines()[0].rstrip(".")
        raise InputError(
            f"JAX does not start: {said}; see to the environment variables JAX_*."
        ) from error
    for name, usual in _USUAL.items():
        found = getattr(jax.config, name)
        if found not in usual:
            why = _BROKEN if name in _BREAKING else _DRAWN
            raise InputError(f"{name.upper()} is {found}, with which {why}; unset it.")


def _spread_over_cores() -> None:
    """Have JAX see a CPU as a device for each core, unless the environment or the caller says more.

    The networks of a population run side by side then, a deep one in two thirds of the time
    (benchmarks/NOTES.md); one network alone still has all cores.
    """
    import jax

    asked = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if asked or getattr(jax.config, _CPU_DEVICES) != -1:
        return
    with contextlib.suppress(RuntimeError):  # JAX has started already
        jax.config.update(_CPU_DEVICES, _cores())


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
