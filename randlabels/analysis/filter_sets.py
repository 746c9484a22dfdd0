"""Statistics of sets of filters that are written in the eigenbasis of their inputs.

A set is the filters of one network at one checkpoint, or of several networks pooled. In the
eigenbasis V of the inputs, w' = V^T w and Sigma_w' = V^T Sigma_w V. The data basis is then the
identity: M(V, Sigma_w) = M(I, Sigma_w'), because v_i^T Sigma_w v_i = e_i^T Sigma_w' e_i, and the
same for inverses, as V is orthogonal. Uniformly random bases stay uniformly random.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from randlabels.analysis.input_spectrum import (
    closed_form_entry,
    eigenspace_misalignments,
    leading_overlaps,
)
from randlabels.eigen.alignment import misalignment
from randlabels.eigen.filters import filter_covariance
from randlabels.eigen.nulls import (
    misalignment_floor,
    permutation_p_value,
    random_basis_misalignment,
)
from randlabels.eigen.resampling import bootstrap_misalignment
from randlabels.eigen.shrinkage import shrunk_covariance
from randlabels.eigen.spectra import descending_eigh

FLOOR_SAMPLES = 200

# With fewer filters per dimension, the shrunk estimate is given beside the plain one.
FEW_FILTERS = 10

# Shrunk estimates are compared with hundreds of bases, and intervals take a thousand inversions:
# both are left out for larger layers.
MAX_SHRUNK_DIM = 1024
MAX_INTERVAL_DIM = 256

# Smallest over largest eigenvalue below which a Sigma_w counts as singular: float32 weights carry
# 7 digits, so eigenvalues that are further apart are rounding.
SINGULAR = 1e-12

# Float64 numbers of filters or covariances that are held at once (128 MiB).
_MAX_NUMBERS = 2**24


def is_shrunk(dim: int, num_filters: int) -> bool:
    """Whether the filters are so few, and the layer so small, that a shrunk estimate is given."""
    return 1 < num_filters < FEW_FILTERS * dim and dim <= MAX_SHRUNK_DIM


def describe_sets(
    filters: np.ndarray, eigenvalues: np.ndarray, random_bases: int, seed: int = 0
) -> list[dict[str, Any]]:
    """The statistics of each set of filters [set, d, m], one dict for each.

    `eigenvalues` [set, d] are those of the Sigma_x of each set, descending. What is compared with
    them is described at `input_spectrum`: `closed_form` (and `closed_form_reason`),
    `misalignment_eigenspaces` and `subspace_overlap`.

    Misalignments are None where Sigma_w is singular, and `reason` says what to do about it; tau and
    the eigenvalues are always there. `floor` holds misalignments of as many isotropic filters.
    Where filters are few, `misalignment_shrunk` is that of the Ledoit-Wolf estimate, to be set
    beside `misalignment_shrunk_random`, the same estimate against the same random bases.
    `filter_eigenvectors` [d, min(d, m)] are columns in the coordinates of the filters.
    """
    _, dim, num_filters = filters.shape
    floor = None
    if num_filters > dim:
        floor = misalignment_floor(dim, num_filters, FLOOR_SAMPLES, seed + 1)
    size = max(1, _MAX_NUMBERS // (dim * max(dim, num_filters)))
    described = []
    for start in range(0, len(filters), size):
        part = slice(start, start + size)
        described += _describe(filters[part], eigenvalues[part], random_bases, seed)
    return [{"dim": dim, "num_filters": num_filters, "floor": floor} | one for one in described]


def bootstrap(filters: np.ndarray, seed: int = 0) -> list[dict[str, Any]]:
    """{"interval": [low, high], "interval_bias"} of the misalignment of all networks pooled.

    `filters` is [network, set, d, m], the result has one dict for each set. The 95% basic interval
    over networks is one for the misalignment of infinitely many networks: it lies below that of the
    pooled filters by about `interval_bias`, the floor, and is cut off at 0. Both are None for a
    single network, for more than 256 dimensions, and where a resample of the networks is singular.
    """
    num_networks, _, dim, _ = filters.shape
    found: list[dict[str, Any]] = []
    for of_set in np.moveaxis(filters, 1, 0):
        found.append({"interval": None, "interval_bias": None})
        if num_networks < 2 or dim > MAX_INTERVAL_DIM:
            continue
        sigma_w = filter_covariance(of_set, spatial=False)
        # A resample that repeats one network often may have too few different filters.
        with contextlib.suppress(ValueError):
            drawn = bootstrap_misalignment(np.eye(dim), sigma_w, seed=seed)
            found[-1] = {
                "interval": np.array([drawn.low, drawn.high]),
                "interval_bias": float(drawn.bias),
            }
    return found


def _describe(
    filters: np.ndarray, eigenvalues: np.ndarray, random_bases: int, seed: int
) -> list[dict[str, Any]]:
    num_sets, dim, num_filters = filters.shape
    values, vectors = _spectra(filters)
    taus = np.sqrt(np.square(filters).mean(-1))  # the eigenvalue map: v_i is a unit vector
    regular = (values[:, -1] > SINGULAR * values[:, 0]) & (num_filters > dim)
    plain = _misalignments(filter_covariance, filters, regular, random_bases, seed)
    spaces = eigenspace_misalignments(filters, eigenvalues, regular, random_bases, seed)
    few = np.full(num_sets, is_shrunk(dim, num_filters))
    shrunk = _misalignments(shrunk_covariance, filters, few, random_bases, seed)
    reason = (
        f"Sigma_w of {num_filters} filters in {dim} dimensions is singular; pool networks until "
        f"there are more than {dim} filters, give --leading for fewer dimensions, or read "
        "misalignment_shrunk where it is given."
    )
    return [
        {
            "misalignment_data": plain[i][0],
            "misalignment_random": plain[i][1],
            "p_value": plain[i][2],
            "reason": None if regular[i] else reason,
            "misalignment_eigenspaces": spaces[i],
            "misalignment_shrunk": shrunk[i][0],
            "misalignment_shrunk_random": shrunk[i][1],
            "tau": taus[i],
            "filter_eigenvalues": values[i],
            "filter_eigenvectors": vectors[i],
            "subspace_overlap": leading_overlaps(vectors[i]),
        }
        | closed_form_entry(eigenvalues[i], taus[i])
        for i in range(num_sets)
    ]


def _spectra(filters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues [set, d] and leading eigenvectors [set, d, min(d, m)] of Sigma_w."""
    num_sets, dim, num_filters = filters.shape
    if num_filters >= dim:
        return descending_eigh(filter_covariance(filters, spatial=False))
    # Of few filters, singular values take less time and memory than a d x d matrix.
    vectors, roots, _ = np.linalg.svd(filters / np.sqrt(num_filters), full_matrices=False)
    values = np.zeros((num_sets, dim))
    values[:, :num_filters] = np.square(roots)
    return values, vectors


def _misalignments(
    covariance: Callable[..., np.ndarray],
    filters: np.ndarray,
    wanted: np.ndarray,
    random_bases: int,
    seed: int,
) -> list[tuple[Any, Any, Any]]:
    """(to the data basis, to random bases [random_bases], p-value) of each wanted set, or Nones."""
    found: list[tuple[Any, Any, Any]] = [(None, None, None)] * len(filters)
    if wanted.any():
        sigma_w = covariance(filters[wanted], spatial=False)
        data = misalignment(np.eye(filters.shape[1]), sigma_w)
        null = random_basis_misalignment(sigma_w, random_bases, seed)
        p_values = permutation_p_value(data, null)
        for row, i in enumerate(np.flatnonzero(wanted)):
            found[i] = float(data[row]), null[row], float(p_values[row])
    return found
