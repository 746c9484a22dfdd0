"""The eigen-analysis beside NumPy, and scikit-learn where it is installed, on the same arrays.

Two pieces of work: the covariance of all 5x5 patches of 50,000 images of 32x32x3; and the analysis
of the first layers of 60 checkpoints of 16 networks, 256 filters of 3x3x3: misalignment to the data
basis and to 200 random bases, and the eigenvalue map. NumPy does the same by batched products, in
chunks that fit in memory.
"""

import importlib.util
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.speed.timing import interleaved, median_ratio
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

Row = dict[str, Any]


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


def measure(repeats: int) -> list[Row]:
    """A row for each piece of work: seconds of both, the ratio, and how far the results agree."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50_000, 32, 32, 3), np.uint8)
    kernels = rng.standard_normal((60, 16, 3, 3, 3, 256), np.float32)
    vectors = descending_eigh(patch_statistics(images[:100], 3).covariance)[1]
    pieces: dict[str, dict[str, Callable[[], Any]]] = {
        "patch covariance, 50,000 images, 5x5x3": {
            "ours": lambda: [patch_statistics(images, 5).covariance],
            "numpy": lambda: [numpy_patch_covariance(images)],
        },
        "analysis, 60 checkpoints x 16 networks, 27x256": {
            "ours": lambda: analysis(kernels, vectors),
            "numpy": lambda: numpy_analysis(kernels, vectors),
        },
    }
    if importlib.util.find_spec("sklearn") is not None:
        pieces["patch covariance, 2,000 images, 5x5x3"] = {
            "ours": lambda: [patch_statistics(images[:2000], 5).covariance],
            "sklearn": lambda: [sklearn_patch_covariance(images[:2000])],
        }
    return [_row(name, works, repeats) for name, works in pieces.items()]


def sklearn_patch_covariance(images: np.ndarray) -> np.ndarray:
    """The same covariance by scikit-learn's patches and its covariance."""
    from sklearn.covariance import empirical_covariance
    from sklearn.feature_extraction.image import PatchExtractor

    patches = PatchExtractor(patch_size=(5, 5)).transform(images.astype(np.float64))
    covariance: np.ndarray = empirical_covariance(patches.reshape(len(patches), -1))
    return covariance


def _row(name: str, works: dict[str, Callable[[], Any]], repeats: int) -> Row:
    results: dict[str, list[np.ndarray]] = {}

    def runner(who: str) -> Callable[[], None]:
        def run() -> None:
            results[who] = works[who]()

        return run

    taken = interleaved({who: runner(who) for who in works}, repeats)
    peer = next(who for who in works if who != "ours")
    error = max(
        np.max(np.abs(a - b)) / np.max(np.abs(b))
        for a, b in zip(results["ours"], results[peer], strict=True)
    )
    return {
        "case": name,
        "seconds": statistics.median(taken["ours"]),
        "peer": peer,
        "peer_seconds": statistics.median(taken[peer]),
        "times_peer": median_ratio(taken[peer], taken["ours"]),
        "largest_relative_difference": float(error),
    }
