"""Sets of filters beside the spectrum of their inputs, in the eigenbasis of the inputs.

As in `filter_sets`, filters are w' = V^T w, the eigenvectors of Sigma_x are unit vectors, and the
i-th coordinate belongs to the i-th largest eigenvalue sigma_i^2 of Sigma_x.
"""

from typing import Any

import numpy as np

from randlabels.analysis.records import (
    EigenspaceMisalignment,
    ProfileCorrelation,
    SubspaceOverlap,
)
from randlabels.eigen.closed_form import fit_closed_form
from randlabels.eigen.eigenspace_alignment import (
    eigenspace_misalignment,
    random_eigenspace_misalignment,
)
from randlabels.eigen.filters import filter_covariance
from randlabels.eigen.nulls import permutation_p_value
from randlabels.eigen.profiles import profile_correlation
from randlabels.eigen.sign_flips import flip_filters
from randlabels.eigen.spectra import eigenspaces

# Eigenvalues of the inputs this close, relative to the larger, count as one eigenspace: patches of
# images have them in pairs, of horizontal and vertical waves.
EIGENSPACE_TOLERANCE = 0.1

# Nulls of eigenspaces take an inversion for each sample and set: larger layers have none.
# 7 x 7 patches of 3 channels do.
MAX_NULL_DIM = 150

# Numbers of leading eigenvectors whose spaces are compared.
OVERLAP_RANKS = (1, 2, 5, 10)

# Smallest over largest variance of the inputs that is told from zero: activations are float32, with
# 7 digits.
_NO_VARIANCE = 1e-12


def closed_form_entry(eigenvalues: np.ndarray, tau: np.ndarray) -> dict[str, Any]:
    """{"closed_form", "closed_form_reason"}: tau [d] against sigma [d], or why it cannot be fitted.

    The former is a `ClosedFormFit` over the components along which the inputs vary: a unit that is
    dead below leaves some along which they do not. It is None, and the reason given, where tau is
    constant or fewer than 3 components are left.
    """
    varying = eigenvalues > _NO_VARIANCE * eigenvalues.max()
    try:
        fit = fit_closed_form(np.sqrt(eigenvalues[varying]), tau[varying])
    except ValueError as error:
        return {"closed_form": None, "closed_form_reason": str(error)}
    return {"closed_form": fit, "closed_form_reason": None}


def eigenspace_misalignments(
    filters: np.ndarray, eigenvalues: np.ndarray, regular: np.ndarray, num_nulls: int, seed: int
) -> list[EigenspaceMisalignment | None]:
    """Misalignment of each set of filters [set, d, m] to the eigenspaces of its Sigma_x.

    Near-equal eigenvalues [set, d], within EIGENSPACE_TOLERANCE of the largest of their eigenspace,
    leave the basis within it open, and `eigenspace_misalignment` takes all bases for equal. It is
    at most that of single eigenvectors, whose nulls are no measure for it; so it has its own, of
    `num_nulls` random bases in blocks of the same sizes (what has nothing to do with the weights)
    and of as many sign flips of whole eigenspaces (what is exactly aligned). Layers of more than
    MAX_NULL_DIM dimensions have none. An entry is None where `regular` [set] is False.
    """
    groups = np.stack([eigenspaces(values, EIGENSPACE_TOLERANCE) for values in eigenvalues])
    found: list[EigenspaceMisalignment | None] = [None] * len(filters)
    for pattern in np.unique(groups[regular], axis=0):
        chosen = np.flatnonzero(regular & (groups == pattern).all(1))
        sigma_w = filter_covariance(filters[chosen], spatial=False)
        observed = eigenspace_misalignment(np.eye(pattern.size), sigma_w, pattern)
        nulls: list[dict[str, float]] = [{}] * len(chosen)
        if pattern.size <= MAX_NULL_DIM:
            nulls = _eigenspace_nulls(filters[chosen], observed, pattern, num_nulls, seed)
        number = int(pattern[-1]) + 1
        for i, value, own in zip(chosen, observed, nulls, strict=True):
            found[i] = EigenspaceMisalignment(float(value), number, EIGENSPACE_TOLERANCE, **own)
    return found


def _eigenspace_nulls(
    filters: np.ndarray, observed: np.ndarray, pattern: np.ndarray, num_nulls: int, seed: int
) -> list[dict[str, float]]:
    """The fields of each set's EigenspaceMisalignment that are about chance."""
    sigma_w = filter_covariance(filters, spatial=False)
    random = random_eigenspace_misalignment(sigma_w, pattern, num_nulls, seed)
    flips = flip_filters(np.eye(pattern.size), filters, num_nulls, seed, pattern, spatial=False)
    columns = {
        "random": random.mean(-1),
        "p_value": permutation_p_value(observed, random),
        "aligned": flips.null.mean(-1),
        "p_aligned": flips.p_value,
    }
    return [{name: float(of[i]) for name, of in columns.items()} for i in range(len(filters))]


def leading_overlaps(vectors: np.ndarray) -> SubspaceOverlap:
    """Overlaps of the k leading eigenvectors of Sigma_w with the k leading of Sigma_x.

    `vectors` [d, n] are the former, n of them, in descending order. Since the latter are unit
    vectors, ||U_k^T V_k||_F^2 / k is the sum of squares of the upper left block. k runs through
    those of OVERLAP_RANKS that are below d and at most n; by chance the overlap is k / d.
    """
    dim, count = vectors.shape
    ranks = tuple(k for k in OVERLAP_RANKS if k < dim and k <= count)
    overlaps = tuple(float(np.square(vectors[:k, :k]).sum() / k) for k in ranks)
    return SubspaceOverlap(ranks, overlaps, tuple(k / dim for k in ranks))


def profile_agreement(profiles: np.ndarray) -> ProfileCorrelation | None:
    """Pearson's r over all pairs of networks' maps tau [network, d].

    None for a single network and where a map is constant.
    """
    if len(profiles) < 2:
        return None
    try:
        correlations = profile_correlation(profiles)
    except ValueError:
        return None
    pairs = correlations[np.triu_indices(len(profiles), 1)]
    return ProfileCorrelation(float(pairs.mean()), float(pairs.min()), float(pairs.max()))
