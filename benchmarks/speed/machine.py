"""What the machine can do at most: its measured rate of matrix products and its bandwidth."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

REPEATS = 5


def rates(dtype: Any) -> dict[str, float]:
    """{"flops": of a large matrix product in `dtype`, "bytes": of a large copy}, both a second.

    The best of some repeats, since nothing makes a machine faster than it is.
    """
    on_cpu = jax.default_backend() == "cpu"
    side, size = (2048, 2**25) if on_cpu else (8192, 2**28)
    a = jnp.ones((side, side), dtype)
    product = _seconds(jax.jit(lambda a: a @ a), a)
    x = jnp.ones(size, jnp.float32)
    # Read once and written once.
    copy = _seconds(jax.jit(lambda x: x + 1), x)
    return {"flops": 2 * side**3 / product, "bytes": 2 * x.nbytes / copy}


def _seconds(function: Callable[[jax.Array], jax.Array], x: jax.Array) -> float:
    function(x).block_until_ready()
    taken = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        function(x).block_until_ready()
        taken.append(time.perf_counter() - begun)
    return min(taken)
