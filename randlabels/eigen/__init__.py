"""Eigen-analysis of data and weights: arrays in, float64 arrays out."""

from randlabels.eigen.alignment import eigenvalue_map, misalignment
from randlabels.eigen.closed_form import (
    ClosedFormFit,
    closed_form,
    closed_form_limit,
    fit_closed_form,
    predicted_peak,
)
from randlabels.eigen.controls import dct_opponent_basis, permuted_flattenings
from randlabels.eigen.distances import affine_invariant, bures_wasserstein
from randlabels.eigen.eigenspace_alignment import (
    eigenspace_misalignment,
    random_eigenspace_misalignment,
)
from randlabels.eigen.filters import filter_covariance, flatten_kernel, pool_networks
from randlabels.eigen.nulls import (
    misalignment_floor,
    permutation_p_value,
    random_bases,
    random_basis_misalignment,
)
from randlabels.eigen.patches import PatchStatistics, input_statistics, patch_statistics
from randlabels.eigen.profiles import energy_profile, profile_correlation
from randlabels.eigen.resampling import (
    BootstrapInterval,
    bootstrap_interval,
    bootstrap_misalignment,
)
from randlabels.eigen.shrinkage import shrunk_covariance
from randlabels.eigen.sign_flips import SignFlips, flip_filters, flip_networks
from randlabels.eigen.spectra import descending_eigh, eigenspaces
from randlabels.eigen.subspaces import principal_angles, subspace_overlap
from randlabels.eigen.torch_order import from_torch

__all__ = [
    "BootstrapInterval",
    "ClosedFormFit",
    "PatchStatistics",
    "SignFlips",
    "affine_invariant",
    "bootstrap_interval",
    "bootstrap_misalignment",
    "bures_wasserstein",
    "closed_form",
    "closed_form_limit",
    "dct_opponent_basis",
    "descending_eigh",
    "eigenspace_misalignment",
    "eigenspaces",
    "eigenvalue_map",
    "energy_profile",
    "filter_covariance",
    "fit_closed_form",
    "flatten_kernel",
    "flip_filters",
    "flip_networks",
    "from_torch",
    "input_statistics",
    "misalignment",
    "misalignment_floor",
    "patch_statistics",
    "permutation_p_value",
    "permuted_flattenings",
    "pool_networks",
    "predicted_peak",
    "principal_angles",
    "profile_correlation",
    "random_bases",
    "random_basis_misalignment",
    "random_eigenspace_misalignment",
    "shrunk_covariance",
    "subspace_overlap",
]
