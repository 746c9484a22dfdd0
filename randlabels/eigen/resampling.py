"""Bootstrap over networks: how far pooled estimates would move with other training seeds."""

import dataclasses
from collections.abc import Callable

import numpy as np
from jax.typing import ArrayLike

from randlabels.eigen.alignment import misalignment
from randlabels.eigen.matrices import square_matrices

# Float64 numbers of resampled covariances held at once (64 MiB).
_MAX_NUMBERS = 2**23


@dataclasses.dataclass(frozen=True)
class BootstrapInterval:
    """A pooled estimate with its basic bootstrap interval over networks; all float64, one shape."""

    estimate: np.ndarray  # of the networks as they are, pooled
    bias: np.ndarray  # mean of the resampled estimates less the estimate
    low: np.ndarray
    high: np.ndarray


def bootstrap_misalignment(
    vectors: ArrayLike,
    sigma_w: ArrayLike,
    groups: ArrayLike | None = None,
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> BootstrapInterval:
    """Interval [...] of the misalignment of all networks pooled, from sigma_w [network, ..., d, d].

    The pooled Sigma_w is the mean over networks, exact for uncentred covariances of equally many
    filters. Networks are drawn with replacement, the same for all leading axes.

    A covariance of m filters has M too large by about dim (dim - 1) / (2 m), its floor. A resample
    repeats networks and holds fewer independent filters, so its M is larger again by about as
    much. The basic interval 2 estimate - quantile subtracts this bias once: it is an interval for
    M of infinitely many networks, lies below the estimate by the floor, and holds 0 when Sigma_w
    is aligned. The percentile interval would lie above the estimate and miss it. Both ends are cut
    off at 0, as M is never negative: that takes nothing away that could be true, and no interval is
    empty. (The same interval of log M is positive, too, but the bias is added to M, not multiplied:
    it never holds the 0 of aligned weights.) Measured coverage of 95% intervals (d = 6, 48 filters
    a network, 400 repetitions) with 4, 8 and 16 networks: M = 1.81 .83, .90, .91; M = .54 .87, .89,
    .94; aligned .99 to 1, where that of log M covers .00. With fewer than 8 networks read them as
    too short.

    Raises ValueError for fewer than 2 networks, resamples < 2, a level outside (0, 1), and as
    `misalignment` does; sigma_w may be singular in one network but not in a resample.
    """
    drawn = bootstrap_interval(
        lambda pooled: misalignment(vectors, pooled, groups), sigma_w, num_resamples, level, seed
    )
    low, high = np.maximum(drawn.low, 0), np.maximum(drawn.high, 0)
    return dataclasses.replace(drawn, low=low, high=high)


def bootstrap_interval(
    statistic: Callable[[np.ndarray], np.ndarray],
    sigma_w: ArrayLike,
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> BootstrapInterval:
    """Interval [...] of a statistic of all networks pooled, from sigma_w [network, ..., d, d].

    `statistic` takes pooled covariances [resample, ..., d, d], as `eigenvalue_map` with its basis
    given does. Raises ValueError as `bootstrap_misalignment`.
    """
    covariances = square_matrices(sigma_w, "sigma_w")
    num_networks = covariances.shape[0]
    if covariances.ndim < 3 or num_networks < 2:
        raise ValueError(
            f"sigma_w has shape {covariances.shape}; give [network, ..., d, d] with 2 or more "
            "networks to resample."
        )
    if num_resamples < 2 or not 0 < level < 1:
        raise ValueError(
            f"num_resamples {num_resamples} and level {level} must be above 1 and between 0 and 1."
        )
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(num_networks, np.full(num_networks, 1 / num_networks), num_resamples)
    batch = max(1, _MAX_NUMBERS // covariances[0].size)
    resampled = np.concatenate(
        [
            statistic(np.tensordot(counts[start : start + batch] / num_networks, covariances, 1))
            for start in range(0, num_resamples, batch)
        ]
    )
    estimate = statistic(covariances.mean(0))
    lower, upper = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return BootstrapInterval(
        estimate, resampled.mean(0) - estimate, 2 * estimate - upper, 2 * estimate - lower
    )
