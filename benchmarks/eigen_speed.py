"""Speed of the eigen-analysis beside plain NumPy: `python -m benchmarks.eigen_speed`.

Two pieces of work, each once after compilation, with NumPy doing the same in chunks that fit in
memory: patch statistics of 50,000 images of 32x32x3 with 5x5 patches (at most 30 s on 4 cores),
and the analysis of the first layer of simple_cnn, 60 checkpoints of 16 networks with 256 filters
of 3x3x3, misalignment to the data basis and 200 random bases and eigenvalue map (at most 60 s).
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from randlabels.eigen import (
    descending_eigh,
    eigenvalue_map,
    filter_covariance,
    misalignment,
    patch_statistics,
    random_bases,
    random_basis_misalignment,
)

NUM_BASES = 200


def numpy_patch_covariance(images: np.ndarray) -> np.ndarray:
    """Covariance of 5x5 patches with sliding windows, 128 images at a time."""
    total, gram, count = np.zeros(75), np.zeros((75, 75)), 0
    for start in range(0, len(images), 128):
        chunk = images[start : start + 128].astype(np.float64)
        windows = np.lib.stride_tricks.sliding_window_view(chunk, (5, 5), axis=(1, 2))
        patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 75)
        total, gram = total + patches.sum(0), gram + patches.T @ patches
        count += len(patches)
    mean = total / count
    return gram / count - np.outer(mean, mean)


def analysis(kernels: np.ndarray, vectors: np.ndarray) -> list[np.ndarray]:
    """Misalignment to the data and to random bases, and the map, with this package."""
    sigma_w = filter_covariance(kernels)
    null = random_basis_misalignment(sigma_w, NUM_BASES)
    return [misalignment(vectors, sigma_w), null, eigenvalue_map(vectors, sigma_w)]


def numpy_analysis(kernels: np.ndarray, vectors: np.ndarray) -> list[np.ndarray]:
    """The same with NumPy's batched products, checkpoint by checkpoint."""
    dim = len(vectors)
    bases = np.concatenate([vectors[None], random_bases(dim, NUM_BASES, 0)])
    columns = bases.transpose(1, 0, 2).reshape(dim, -1)
    data, null, tau = [], [], []
    for step in kernels:
        filters = step.reshape(len(step), dim, -1).astype(np.float64)
        sigma_w = filters @ filters.swapaxes(-1, -2) / filters.shape[-1]
        forward, backward = (
            (columns * (matrix @ columns)).sum(-2).reshape(len(step), -1, dim)
            for matrix in (sigma_w, np.linalg.inv(sigma_w))
        )
        scores = np.sqrt(forward * backward).sum(-1) - dim
        data.append(scores[:, 0])
        null.append(scores[:, 1:])
        tau.append(np.sqrt(forward[:, 0]))
    return [np.stack(data), np.stack(null), np.stack(tau)]


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Wall time of one call and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def report(name: str, limit: float, ours: float, numpys: float, error: float) -> None:
    """One line of the table."""
    print(
        f"{name:<46} {ours:6.1f} s   limit {limit:.0f} s   NumPy {numpys:6.1f} s   "
        f"NumPy / ours {numpys / ours:.2f}   largest relative difference {error:.0e}",
        flush=True,
    )


def main() -> None:
    """Time both pieces of work and print the table."""
    rng = np.random.default_rng(0)
    print(f"{jax.local_device_count()} {jax.default_backend()} device(s), jax {jax.__version__}")
    images = rng.integers(0, 256, (50_000, 32, 32, 3), np.uint8)
    patch_statistics(images[:256], 5)
    ours, statistics = seconds(lambda: patch_statistics(images, 5).covariance)
    numpys, expected = seconds(lambda: numpy_patch_covariance(images))
    error = np.abs(np.subtract(statistics, expected)).max() / np.abs(expected).max()
    report("patch statistics, 50,000 images, 5x5x3", 30, ours, numpys, error)

    kernels = rng.standard_normal((60, 16, 3, 3, 3, 256), np.float32)
    vectors = descending_eigh(patch_statistics(images[:100], 3).covariance)[1]
    analysis(kernels, vectors)
    ours, results = seconds(lambda: analysis(kernels, vectors))
    numpys, expected = seconds(lambda: numpy_analysis(kernels, vectors))
    error = max(np.abs(a / b - 1).max() for a, b in zip(results, expected, strict=True))
    report("analysis, 60 checkpoints x 16 networks, 27x256", 60, ours, numpys, error)


if __name__ == "__main__":
    main()
