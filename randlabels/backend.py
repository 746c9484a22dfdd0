"""Refuses to begin where JAX does not start, or would compute something else."""

from randlabels.errors import InputError

_DRAWN = "numbers would be drawn and rounded otherwise than those of other runs"


def check_backend() -> None:
    """Start JAX on its devices.

    Raises:
        InputError: if what its environment variables ask for is not there, or if they change what
            is computed from the same config.
    """
    try:
        import jax

        jax.devices()
    except (ValueError, RuntimeError, AssertionError) as error:
        said = (str(error).strip() or "there is no such device").splitlines()[0].rstrip(".")
        raise InputError(
            f"JAX does not start: {said}; see to the environment variables JAX_*."
        ) from error
    if jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise InputError(f"JAX_ENABLE_X64 is set, with which {_DRAWN}; unset it.")
    if jax.config.jax_random_seed_offset:  # type: ignore[attr-defined]
        raise InputError(f"JAX_RANDOM_SEED_OFFSET is set, with which {_DRAWN}; unset it.")
    if not jax.config.jax_threefry_partitionable:  # type: ignore[attr-defined]
        raise InputError(f"JAX_THREEFRY_PARTITIONABLE is off, with which {_DRAWN}; unset it.")
