"""Misalignment of filters to the data's eigenvectors beside control bases, chance and exactness."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from randlabels.analysis.control_bases import Controls
from randlabels.analysis.filter_sets import SINGULAR
from randlabels.eigen.alignment import misalignment
from randlabels.eigen.filters import filter_covariance, pool_networks
from randlabels.eigen.nulls import random_basis_misalignment
from randlabels.eigen.sign_flips import flip_filters, flip_networks


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ControlledAlignment:
    """Misalignments of the filters of groups of networks; NaN where a covariance is singular.

    Attributes:
        data: to the data's eigenvectors [group].
        controls: to each control basis [group].
        symmetries: names of controls that do not count, see `Controls`.
        random: to random bases [group, basis].
        null: under exact alignment, [group, sample]: signs of each filter and coordinate flipped
            in the data's eigenbasis (`flip_filters`).
        exact_p: how likely exact alignment gives as much as `data` [group].
        network_null: the same with one vector of signs for each network (`flip_networks`), exact
            under Proposition 1; NaN for a group of one network, which these flips leave as it is.
        network_p: as `exact_p`, NaN likewise.
        f: eigenvalue map [group, d], in the order of descending eigenvalues; never NaN.
        reasons: why a group's misalignments are NaN [group], None where they are not.
    """

    data: np.ndarray
    controls: Mapping[str, np.ndarray]
    symmetries: tuple[str, ...]
    random: np.ndarray
    null: np.ndarray
    exact_p: np.ndarray
    network_null: np.ndarray
    network_p: np.ndarray
    f: np.ndarray
    reasons: tuple[str | None, ...]

    @property
    def best_control(self) -> np.ndarray:
        """Least misalignment to any basis that is not the data's, [group].

        The least of all control bases that count and of all random bases, chosen for each group:
        in favour of the controls.
        """
        counted = [of for name, of in self.controls.items() if name not in self.symmetries]
        return np.min([*counted, self.random.min(axis=1)], axis=0)

    @property
    def log_ratio(self) -> np.ndarray:
        """log(best_control / data) [group]; above 0 the data's eigenvectors beat every control."""
        return np.log(self.best_control / self.data)

    @property
    def specificity(self) -> np.ndarray:
        """(best_control - data) / (best_control - mean of null) [group].

        1: as aligned as exactly aligned filters of these norms; 0: no better than the best control;
        NaN where the best control is no worse than exact alignment, so that nothing can be told.
        """
        best, exact = self.best_control, self.null.mean(axis=1)
        room = np.where(best > exact, best - exact, np.nan)
        return (best - self.data) / room


def compare(
    filters: Sequence[np.ndarray],
    vectors: np.ndarray,
    controls: Controls,
    *,
    random_bases: int = 200,
    flips: int = 200,
    seed: int = 0,
) -> ControlledAlignment:
    """The misalignments of groups of networks, pooled in each group.

    Args:
        filters: of each group, float64 [network, d, m], of equally many filters in each network.
        vectors: eigenvectors of Sigma_x as columns [d, d].
        controls: from `control_bases`.
        random_bases: how many.
        flips: samples of each null of exact alignment.
        seed: of both.
    """
    bases = np.stack([vectors, *controls.bases.values()])
    sizes = len(bases), random_bases, flips, 1, flips, 1
    rows = [_compare_group(own, bases, sizes, seed) for own in filters]
    found = [np.stack(of) for of in zip(*(row[0] for row in rows), strict=True)]
    to_bases, random, null, exact_p, network_null, network_p = found
    maps = [np.sqrt(np.square(vectors.T @ pool_networks(own)).mean(-1)) for own in filters]
    return ControlledAlignment(
        data=to_bases[:, 0],
        controls=dict(zip(controls.bases, to_bases[:, 1:].T, strict=True)),
        symmetries=controls.symmetries,
        random=random,
        null=null,
        exact_p=exact_p[:, 0],
        network_null=network_null,
        network_p=network_p[:, 0],
        f=np.stack(maps),
        reasons=tuple(row[1] for row in rows),
    )


def _compare_group(
    filters: np.ndarray, bases: np.ndarray, sizes: tuple[int, ...], seed: int
) -> tuple[list[np.ndarray], str | None]:
    """Of one group [network, d, m]: arrays of these sizes, NaN where they are not to be had."""
    empty = [np.full(size, np.nan) for size in sizes]
    pooled = pool_networks(filters)
    dim, num_filters = pooled.shape
    sigma_w = filter_covariance(pooled)
    values = np.linalg.eigvalsh(sigma_w)
    if num_filters <= dim or not values[0] > SINGULAR * values[-1]:
        moving = int(np.count_nonzero(np.abs(pooled).max(axis=0)))
        return empty, (
            f"Sigma_w of {num_filters} filters, {moving} of them not 0, in {dim} dimensions is "
            f"singular; pool networks until there are more than {dim} that are not."
        )
    _, num_random, flips, *_ = sizes
    by_filter = flip_filters(bases[0], pooled, flips, seed)
    found = [
        misalignment(bases, sigma_w),
        random_basis_misalignment(sigma_w, num_random, seed),
        by_filter.null,
        by_filter.p_value[None],
    ]
    if len(filters) == 1:
        return [*found, *empty[4:]], None
    by_network = flip_networks(bases[0], filter_covariance(filters, spatial=False), flips, seed)
    return [*found, by_network.null, by_network.p_value[None]], None
