"""Eigen-analysis of data and weights: arrays in, float64 arrays out."""

from randlabels.eigen.alignment import eigenvalue_map, misalignment
from randlabels.eigen.filters import filter_covariance, flatten_kernel, pool_networks
from randlabels.eigen.nulls import (
    misalignment_floor,
    permutation_p_value,
    random_bases,
    random_basis_misalignment,
)
from randlabels.eigen.patches import PatchStatistics, input_statistics, patch_statistics
from randlabels.eigen.spectra import descending_eigh, eigenspaces

__all__ = [
    "PatchStatistics",
    "descending_eigh",
    "eigenspaces",
    "eigenvalue_map",
    "filter_covariance",
    "flatten_kernel",
    "input_statistics",
    "misalignment",
    "misalignment_floor",
    "patch_statistics",
    "permutation_p_value",
    "pool_networks",
    "random_bases",
    "random_basis_misalignment",
]
