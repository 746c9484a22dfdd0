"""Several processes, usually one a machine, that train one population on all of their devices.

Process 0 alone reads and writes the workdir; the others are told what it finds, and send it what
is to be written. All of them run the same program at the same time: whatever one process does that
waits for the others, all have to do in the same order.
"""

import contextlib
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from randlabels.errors import AllLostError, InputError, shown
from randlabels.owner import owned

Tree = Any
T = TypeVar("T")

AUTO = "auto"
_FORM = re.compile(r"([^,\s]+:\d{1,5}),([1-9]\d{0,4}),(\d{1,5})")
_GONE = ("Gloo", "closed by peer", "UNAVAILABLE", "coordination service", "heartbeat")
_HEARTBEAT = 15  # seconds after which a process that is not heard from is given up
_LEAVING = 10  # seconds for all of them to leave


def check(where: str) -> None:
    """Make sure that --distributed is "", auto, or ADDRESS:PORT,COUNT,INDEX.

    Raises:
        InputError: if it is something else.
    """
    if where not in ("", AUTO):
        _parsed(where)


def _parsed(where: str) -> tuple[str, int, int]:
    found = _FORM.fullmatch(where)
    if not found or int(found[3]) >= int(found[2]):
        raise InputError(
            f"--distributed is {shown(where)}; give auto on a TPU slice, under SLURM or Open MPI, "
            "else the address of process 0, how many processes there are and which this is, from "
            "0, such as 10.0.0.1:8476,2,0."
        )
    return found[1], int(found[2]), int(found[3])


def join(where: str, wait: int = 300) -> None:
    """Wait for the other processes of a run; before anything else is done with JAX.

    One that does not come in time ends this one, by SIGABRT.

    Args:
        where: "" for no others; "auto" where JAX finds its cluster by itself (a TPU slice, SLURM,
            Open MPI, Kubernetes); else the address of process 0, their number, and that of this
            one, "10.0.0.1:8476,2,0".
        wait: seconds in which they have to come.

    Raises:
        InputError: if it is none of these, or there is no cluster to be found.
    """
    if not where:
        return
    # Otherwise SIGTERM would be swallowed, and a run would not end when it is told to.
    jax.config.update("jax_enable_preemption_service", False)
    address, count, index = (None, None, None) if where == AUTO else _parsed(where)
    try:
        jax.distributed.initialize(
            address,
            count,
            index,
            initialization_timeout=wait,
            heartbeat_timeout_seconds=_HEARTBEAT,
            shutdown_timeout_seconds=_LEAVING,
        )
    except ValueError as error:
        raise InputError(
            f"--distributed={where} found no other processes ({error}); give the address of "
            "process 0, how many there are and which this is, such as 10.0.0.1:8476,2,0."
        ) from error


def several() -> bool:
    """Whether there are other processes."""
    return jax.process_count() > 1


def is_first() -> bool:
    """Whether this is process 0, which alone reads and writes the workdir."""
    return jax.process_index() == 0


def from_first(make: Callable[[], T]) -> T:
    """What `make` returns in process 0, where alone it is called.

    Raises:
        InputError: that it raised there, in all processes.
    """
    if not several():
        return make()
    made: Any = None
    if is_first():
        try:
            made = True, make()
        except InputError as error:
            made = False, error
    fine, value = pickle.loads(_broadcast(pickle.dumps(made)))
    if not fine:
        value.of_all = True
        raise value
    return made[1] if is_first() else value


def _broadcast(content: bytes) -> bytes:
    """The bytes of process 0, in all of them."""
    size = np.array(divmod(len(content), 2**30), np.int32)
    high, low = multihost_utils.broadcast_one_to_all(size)
    length = int(high) * 2**30 + int(low)
    ours = np.frombuffer(content, np.uint8) if is_first() else np.zeros(length, np.uint8)
    return bytes(np.asarray(multihost_utils.broadcast_one_to_all(ours)))


def largest(*values: int) -> tuple[int, ...]:
    """The largest that any process has of each value, below 2^31."""
    if not several():
        return values
    found = multihost_utils.process_allgather(np.array(values, np.int32))
    return tuple(int(one) for one in found.max(0))


def joined(tree: Tree) -> Tree:
    """Host arrays [...] of all processes, as [process, ...]; of equal shapes and types in all.

    They travel as bytes: JAX would make 64-bit numbers 32-bit ones.
    """
    if not several():
        return jax.tree.map(lambda x: x[None], tree)

    def exchange(x: np.ndarray) -> np.ndarray:
        found = multihost_utils.process_allgather(
            np.ascontiguousarray(x).reshape(-1).view(np.uint8)
        )
        return np.asarray(found).view(x.dtype).reshape(-1, *x.shape)

    return jax.tree.map(exchange, tree)


def of_all(make: Callable[[], T]) -> list[T]:
    """What `make` returns in each process, in their order; in all of them.

    Raises:
        InputError: that it raised in one of them, in all.
    """
    if not several():
        return [make()]
    made: Any = None
    try:
        made = True, make()
    except InputError as error:
        made = False, error
    content = np.frombuffer(pickle.dumps(made), np.uint8)
    (length,) = largest(len(content))
    padded = np.zeros(length, np.uint8)
    padded[: len(content)] = content
    found = [pickle.loads(bytes(one)) for one in joined(padded)]  # ignores what fills up
    for fine, value in found:
        if not fine:
            value.of_all = True
            raise value
    return [value for _, value in found]


@contextlib.contextmanager
def first_owns(directory: Path) -> Iterator[None]:
    """Own a workdir, in process 0; the others wait until it does.

    Raises:
        InputError: in all processes, as `owner.owned` in process 0.
    """
    with contextlib.ExitStack() as until_done:
        from_first(lambda: until_done.enter_context(owned(directory)))
        yield


def check_same(what: str, digest: str) -> None:
    """Make sure that all processes have the same of something, by its digest.

    Raises:
        InputError: in all processes, if one has another.
    """
    differs = from_first(lambda: digest) != digest
    if largest(differs)[0]:
        error = InputError(f"{what} differ between the processes; give all of them the same.")
        error.of_all = True
        raise error


def is_of_all(error: Exception) -> bool:
    """Whether all processes end with this error, so that each can wait for the others to leave."""
    return isinstance(error, AllLostError) or (isinstance(error, InputError) and error.of_all)


def came_of_others(error: BaseException) -> bool:
    """Whether an error says that another process is gone."""
    if not several():
        return False
    return isinstance(error, jax.errors.JaxRuntimeError) and any(
        word in str(error) for word in _GONE
    )


def orbax_options() -> ocp.options.MultiprocessingOptions:
    """By which Orbax works in this process alone, and waits for no other."""
    if not several():
        return ocp.options.MultiprocessingOptions()
    own = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"process{own}"
    )


def leave() -> None:
    """Tell the others that this process has come to its end."""
    if several():
        with contextlib.suppress(RuntimeError):
            jax.distributed.shutdown()
