"""Float64 for the whole eigen-analysis, and the checks that its functions make of matrices."""

import contextlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike


def float64_devices() -> list[jax.Device]:
    """This process's devices that compute in float64: the default ones, or the CPU beside a TPU."""
    return jax.local_devices(backend=None if jax.default_backend() in ("cpu", "gpu") else "cpu")


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """Run JAX in float64 inside the block, on a device that has it; local to block and thread."""
    default = jax.default_backend() in ("cpu", "gpu")
    device = contextlib.nullcontext() if default else jax.default_device(float64_devices()[0])
    with jax.enable_x64(True), device:
        yield


def real_array(array: ArrayLike, name: str) -> np.ndarray:
    """`array` as finite float64 of the same shape.

    Raises ValueError if it holds complex numbers, objects, infinities or NaN.
    """
    values = np.asarray(array)
    # bfloat16 and its kin have no NumPy kind of their own: they report "V".
    if values.dtype.kind in "cOSUM":
        raise ValueError(f"{name} holds {values.dtype} values; give real numbers.")
    result = values.astype(np.float64)
    if not np.isfinite(result).all():
        raise ValueError(f"{name} holds infinite or NaN values; drop diverged networks first.")
    return result


def input_epsilon(array: ArrayLike) -> float:
    """Spacing of the floating type that `array` came in: the precision its values can claim."""
    dtype = np.asarray(array).dtype
    return float(jnp.finfo(dtype if jnp.issubdtype(dtype, np.floating) else np.float64).eps)


def square_matrices(array: ArrayLike, name: str) -> np.ndarray:
    """`array` [..., d, d] as finite float64; ValueError unless its last two axes are equal."""
    matrices = real_array(array, name)
    if matrices.ndim < 2 or matrices.shape[-1] != matrices.shape[-2] or matrices.shape[-1] == 0:
        raise ValueError(f"{name} has shape {matrices.shape}; give square matrices [..., d, d].")
    return matrices


def symmetric_matrices(array: ArrayLike, name: str) -> np.ndarray:
    """`array` [..., d, d] as finite float64, made exactly symmetric.

    Raises ValueError if an entry differs from its mirror image by more than half of the digits of
    the type it came in, relative to the largest entry of its matrix.
    """
    matrices = square_matrices(array, name)
    mirrored = matrices.swapaxes(-1, -2)
    asymmetry = np.abs(matrices - mirrored).max((-2, -1), initial=0)
    allowed = np.sqrt(input_epsilon(array)) * np.abs(matrices).max((-2, -1), initial=0)
    if (asymmetry > allowed).any():
        raise ValueError(
            f"{name} is not symmetric (entries differ from their mirror images by up to "
            f"{asymmetry.max():.3g}); give covariance matrices."
        )
    return (matrices + mirrored) / 2


def cholesky_factors(matrices: np.ndarray, epsilon: float, name: str) -> np.ndarray:
    """Lower Cholesky factors [..., d, d] of symmetric matrices with entries good to `epsilon`.

    Raises ValueError where a squared pivot is lost in the rounding of the largest variance.
    """
    dim = matrices.shape[-1]
    with float64():
        factors = np.asarray(jnp.linalg.cholesky(matrices, symmetrize_input=False))
    pivots = np.diagonal(factors, axis1=-2, axis2=-1) ** 2
    largest = np.diagonal(matrices, axis1=-2, axis2=-1).max(-1)
    definite = pivots.min(-1) > 10 * dim * epsilon * largest  # a failed factor is NaN: False
    if not definite.all():
        raise ValueError(
            f"{name} is singular in {np.size(definite) - np.count_nonzero(definite)} of "
            f"{np.size(definite)} cases and its inverse is needed; use more than {dim} filters "
            "per covariance by pooling networks (pool_networks), or shrinkage (shrunk_covariance)."
        )
    return factors


def orthonormal_bases(array: ArrayLike, name: str) -> np.ndarray:
    """`array` [..., d, d], orthonormal columns, as float64.

    Raises ValueError if a product of two columns is off by more than half of the digits of the
    type it came in.
    """
    bases = square_matrices(array, name)
    products = bases.swapaxes(-1, -2) @ bases
    error = np.abs(products - np.eye(bases.shape[-1])).max(initial=0)
    if error > np.sqrt(input_epsilon(array)):
        raise ValueError(
            f"{name} is not orthonormal (products of columns are off by {error:.3g}); give "
            "eigenvectors as columns, such as descending_eigh returns."
        )
    return bases


def same_dimension(first: np.ndarray, second: np.ndarray, names: str) -> None:
    """Raise ValueError unless both are [..., d, d] with one d and leading axes that broadcast."""
    if first.shape[-1] != second.shape[-1]:
        raise ValueError(
            f"{names} have dimensions {first.shape[-1]} and {second.shape[-1]}; give both for the "
            "same layer, flattened in the order row, column, channel."
        )
    try:
        np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    except ValueError:
        raise ValueError(
            f"{names} have leading axes {first.shape[:-2]} and {second.shape[:-2]}, which do not "
            "broadcast; add axes of length 1."
        ) from None
