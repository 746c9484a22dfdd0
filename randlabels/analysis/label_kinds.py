"""Whether two kinds of labels teach a layer another Sigma_w, beside what seeds alone change."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jax.typing import ArrayLike

from randlabels.eigen.distances import affine_invariant, bures_wasserstein
from randlabels.eigen.matrices import symmetric_matrices

Distance = Callable[[ArrayLike, ArrayLike], np.ndarray]
DISTANCES: dict[str, Distance] = {
    "bures_wasserstein": bures_wasserstein,
    "affine_invariant": affine_invariant,
}


@dataclass(frozen=True)
class KindDistances:
    """Distances between pooled Sigma_w of two runs, and within each, by one measure.

    Every split gives two values of each: the halves S and T of the networks are drawn at random,
    disjoint and equally large. Splits share networks, so their spread is not that of new seeds.
    """

    pooled: float  # all networks of one run to all networks of the other
    between: np.ndarray  # S of one run to T of the other, and T to S, [2 * split]
    within: np.ndarray  # the null: S to T of the first run, and of the second, [2 * split]


def compare_label_kinds(
    first: ArrayLike, second: ArrayLike, num_splits: int = 50, seed: int = 0
) -> dict[str, KindDistances]:
    """Distances between Sigma_w of two runs that learned other labels, each beside its null.

    `first` and `second` are uncentred [network, d, d], at the same layer and step, of equally many
    filters; pooling is the mean over networks. The n-th networks may share their initial weights
    and batches (`pooled` is then small for that reason): S and T have no network in common, so
    that `between` and `within` have equally many filters and equally independent seeds. Label kinds
    matter where `between` lies above `within`.

    Returns:
        {"bures_wasserstein", "affine_invariant"}, and the same with "_unit_trace" of both matrices
        divided by their traces. Bures-Wasserstein is in the units of a weight; affine-invariant
        has none, but sees how far one matrix is larger than the other. With unit trace, both see
        shapes alone.

    Raises:
        ValueError: for matrices that are not symmetric, of another shape, of fewer than 2 networks,
            for num_splits < 1, and as `affine_invariant` does where half of the networks have too
            few filters.
    """
    kinds = symmetric_matrices(first, "first"), symmetric_matrices(second, "second")
    shape = kinds[0].shape
    if shape != kinds[1].shape or len(shape) != 3 or shape[0] < 2:
        raise ValueError(
            f"first {shape} and second {kinds[1].shape} must both be [network, d, d] of the same 2 "
            "or more networks."
        )
    if num_splits < 1:
        raise ValueError(f"num_splits is {num_splits}; give at least 1.")
    pooled = [kind.mean(0) for kind in kinds]
    halves = [_halves(kind, num_splits, seed) for kind in kinds]
    found = {}
    for name, distance in DISTANCES.items():
        found[name] = _distances(distance, pooled, halves)
        found[f"{name}_unit_trace"] = _distances(
            distance, [_unit_trace(x) for x in pooled], [_unit_trace(x) for x in halves]
        )
    return found


def _halves(kind: np.ndarray, num_splits: int, seed: int) -> np.ndarray:
    """Pooled Sigma_w [half, split, d, d] of disjoint halves, the same for both kinds."""
    rng = np.random.default_rng(seed)
    size = len(kind) // 2
    orders = np.stack([rng.permutation(len(kind)) for _ in range(num_splits)])
    return np.stack([kind[orders[:, :size]].mean(1), kind[orders[:, size : 2 * size]].mean(1)])


def _distances(
    distance: Distance, pooled: list[np.ndarray], halves: list[np.ndarray]
) -> KindDistances:
    (s_first, t_first), (s_second, t_second) = halves
    return KindDistances(
        pooled=float(distance(*pooled)),
        between=np.concatenate([distance(s_first, t_second), distance(t_first, s_second)]),
        within=np.concatenate([distance(s_first, t_first), distance(s_second, t_second)]),
    )


def _unit_trace(matrices: np.ndarray) -> np.ndarray:
    return matrices / np.trace(matrices, axis1=-2, axis2=-1)[..., None, None]
