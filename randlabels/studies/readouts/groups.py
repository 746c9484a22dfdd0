"""Disjoint groups of networks, whose filters are pooled: one independent value for each group.

A single network may have too few filters for a covariance that can be inverted, and its leading
eigenvectors are noisy. All networks together give one value, which no interval can be put around.
"""

from collections.abc import Sequence

import numpy as np

from randlabels.analysis.input_bases import InputBasis
from randlabels.analysis.layer_inputs import open_inputs, read_kernels
from randlabels.eigen import flatten_kernel, pool_networks
from randlabels.runs import Run
from randlabels.studies.readouts.alignment import LAYER

FILTERS_PER_DIMENSION = 1.5  # in a group, at least


def disjoint_groups(networks: Sequence[int], filters: int, least: float) -> list[list[int]]:
    """Networks in as many groups of one size as there are, each with `least` filters or more.

    Networks that are left over belong to no group; without enough for one group there is none.

    Args:
        networks: their numbers.
        filters: of one network.
        least: filters of a group.
    """
    size = int(np.ceil(least / filters))
    return [list(networks[i : i + size]) for i in range(0, len(networks) - size + 1, size)]


def data_basis(run: Run) -> InputBasis:
    """The eigenbasis of the patches that the first layer of a run sees, padded as it pads them."""
    return InputBasis.of(open_inputs(run).of_data)


def pooled_filters(run: Run, step: int, groups: Sequence[Sequence[int]]) -> np.ndarray:
    """First-layer filters [group, d, m] of the networks of each group, at one checkpoint."""
    kernels = read_kernels(run, step, LAYER)
    return np.stack([flatten_kernel(pool_networks(kernels[list(group)])) for group in groups])
