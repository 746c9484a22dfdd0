"""Filters redrawn from the covariance of trained filters (the paper's Figure 5)."""

import jax
import jax.numpy as jnp
import numpy as np


def draw_filters(key: jax.Array, sigma_w: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Draw filters w ~ N(0, Sigma_w), independently of each other.

    Args:
        key: a JAX PRNG key.
        sigma_w: [d, d], symmetric, positive semi-definite.
        shape: of the kernel, [kh, kw, cin, cout] or [d, m]; the product of all but the last axis
            is d, flattened in the order (row, column, channel).

    Returns:
        A kernel of that shape, float32; columns of its [d, m] form are the filters.

    Raises:
        ValueError: if the shapes do not fit or sigma_w is not a covariance.
    """
    dim, num_filters = int(np.prod(shape[:-1])), shape[-1]
    sigma_w = np.asarray(sigma_w, np.float64)
    if sigma_w.shape != (dim, dim):
        raise ValueError(
            f"Filters of shape {shape} have {dim} weights, but sigma_w has shape {sigma_w.shape}."
        )
    if not np.isfinite(sigma_w).all() or not np.allclose(sigma_w, sigma_w.T):
        raise ValueError("sigma_w must be finite and symmetric to draw filters from it.")
    values, vectors = np.linalg.eigh(sigma_w)  # any square root serves, so order does not matter
    if values[0] < -1e-8 * max(values[-1], 0.0) or values[-1] <= 0:
        raise ValueError(
            f"sigma_w must be positive semi-definite; its eigenvalues go from {values[0]:.3g} "
            f"to {values[-1]:.3g}."
        )
    normal = np.asarray(jax.random.normal(key, (dim, num_filters), jnp.float32), np.float64)
    filters = (vectors * np.sqrt(np.maximum(values, 0.0))) @ normal
    return filters.reshape(shape).astype(np.float32)
