"""Initial filters that other work proposes, to be compared with aligned ones.

Each gives a kernel [kh, kw, cin, cout] or [d, m], float64, whose scale means nothing yet.
"""

import jax
import jax.numpy as jnp
import numpy as np


def normal(key: jax.Array, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal numbers, the same for a key on every backend up to rounding; float64."""
    return np.asarray(jax.random.normal(key, shape, jnp.float32), np.float64)


def orthogonal(key: jax.Array, shape: tuple[int, ...]) -> np.ndarray:
    """A uniformly random semi-orthogonal [d, m] matrix as a kernel (Saxe et al., arXiv:1312.6120).

    Filters are orthonormal where there are at most d of them, else the rows are.
    """
    matrix = normal(key, (int(np.prod(shape[:-1])), shape[-1]))
    wide = matrix.shape[0] < matrix.shape[1]
    q, r = np.linalg.qr(matrix.T if wide else matrix)
    q = q * np.sign(np.diag(r))  # makes the draw uniform
    return (q.T if wide else q).reshape(shape)


def smooth(key: jax.Array, shape: tuple[int, ...]) -> np.ndarray:
    """Filters in which neighbouring pixels covary and energy sits in the centre.

    After the idea of Trockman et al. (arXiv:2210.03651), whose own covariance is for depthwise
    filters of many pixels: here pixels p and q (relative to the centre) have the covariance
    exp(-|p - q|^2 / 2 w^2) exp(-(|p|^2 + |q|^2) / 4 w^2), with w a third of the filter's side, and
    input channels are independent. A dense kernel has one pixel, so it is isotropic.
    """
    rows, columns = shape[:2] if len(shape) == 4 else (1, 1)
    centre = (rows - 1) / 2, (columns - 1) / 2
    pixels = np.array([(r - centre[0], c - centre[1]) for r in range(rows) for c in range(columns)])
    width = max(rows, columns) / 3
    between = np.square(pixels[:, None] - pixels[None]).sum(-1)
    from_centre = np.square(pixels).sum(-1)
    covariance = np.exp(-between / (2 * width**2)) * np.exp(
        -(from_centre[:, None] + from_centre[None]) / (4 * width**2)
    )
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    noise = normal(key, (len(pixels), int(np.prod(shape)) // len(pixels)))
    return (root @ noise).reshape(shape)


def patch_whitening(
    values: np.ndarray, vectors: np.ndarray, shape: tuple[int, ...], epsilon: float = 1e-3
) -> np.ndarray:
    """Whitening eigenvectors and their negatives as filters: +-v_i / sqrt(sigma_i^2 + epsilon).

    As in the fixed first layer of fast CIFAR-10 training (Jordan, arXiv:2404.00498). The leading
    eigenvectors come first; where there are more than 2 d filters they come again.

    Args:
        values: eigenvalues sigma_i^2 of Sigma_x [d], descending.
        vectors: eigenvectors as columns [d, d].
        shape: of the kernel.
        epsilon: relative to the mean eigenvalue.
    """
    columns = vectors / np.sqrt(np.maximum(values, 0) + epsilon * values.mean())
    filters = np.stack([columns, -columns], axis=-1).reshape(len(columns), -1)
    return filters[:, np.arange(shape[-1]) % filters.shape[1]].reshape(shape)
