"""Closed form of the eigenvalue map of a linear network (Chowers & Weiss, arXiv:2206.02454)."""

from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.special
from jax.typing import ArrayLike

from randlabels.eigen.matrices import real_array

# x of the maximum of (1 - exp(-x)) / sqrt(x): exp(x) = 1 + 2 x, so x = -1/2 - W_-1(-e^-1/2 / 2).
PEAK = float(-0.5 - scipy.special.lambertw(-0.5 * np.exp(-0.5), -1).real)  # 1.2564...

# Grid of eta t over which the first search goes, per factor of 10.
_GRID_PER_DECADE = 10


@dataclass(frozen=True)
class ClosedFormFit:
    """Least-squares fit tau_i ~ amplitude * (1 - exp(-eta_t sigma_i^2)) / sigma_i."""

    amplitude: float
    eta_t: float
    peak_sigma: float  # where the fitted curve is largest, sqrt(PEAK / eta_t)
    at_bound: bool  # eta_t not determined: the data only rise as sigma, or only fall as 1/sigma
    r_squared: float  # share of the variance of tau that is explained; negative: less than the mean
    pearson_r: float  # correlation of fit and tau; 0 if the fit is constant
    residual: float  # root mean square, in units of tau


def closed_form(sigma: ArrayLike, eta: float, steps: int) -> np.ndarray:
    """f_t(sigma) = |1 - (1 - eta sigma^2)^t| / sigma of `steps` steps of size `eta`, like sigma.

    Full-batch gradient descent on 1/(2n) sum (w.x - y)^2 from w = 0 gives, along eigenvector v_i
    of the second moment 1/n sum x x^T with eigenvalue sigma_i^2,
    w.v_i = (1 - (1 - eta sigma_i^2)^t) / sigma_i^2 * c_i with c_i = 1/n sum y (x.v_i). Labels that
    are independent of the inputs, of variance 1, have E[c_i^2] = sigma_i^2 / n, so
    sqrt(E[(w.v_i)^2]) = f_t(sigma_i) / sqrt(n). 0 at sigma = 0.

    Raises ValueError for negative or non-finite sigma, eta <= 0, and steps that are not a whole
    number >= 0.
    """
    roots = _roots(sigma)
    if not eta > 0 or int(steps) != steps or steps < 0:
        raise ValueError(f"eta {eta} must be positive and steps {steps} a whole number >= 0.")
    rate = eta * roots**2
    # expm1 keeps the digits of small rates; past 1 the iterates alternate and lose none.
    slow = -np.expm1(steps * np.log1p(-np.where(rate < 1, rate, 0)))
    with np.errstate(over="ignore"):  # rates above 2 diverge, in the formula as in training
        progress = np.where(rate < 1, slow, 1 - (1 - rate) ** int(steps))
    return np.abs(progress) / np.where(roots > 0, roots, 1)


def closed_form_limit(sigma: ArrayLike, eta_t: float) -> np.ndarray:
    """(1 - exp(-eta_t sigma^2)) / sigma, the limit of `closed_form` for small steps, like sigma.

    Rises as eta_t sigma, peaks at sqrt(PEAK / eta_t), falls as 1 / sigma (whitening). Raises
    ValueError for negative or non-finite sigma and eta_t <= 0.
    """
    roots = _roots(sigma)
    return -np.expm1(-_positive(eta_t) * roots**2) / np.where(roots > 0, roots, 1)


def predicted_peak(eta_t: float) -> float:
    """sigma = sqrt(PEAK / eta_t) where `closed_form_limit` is largest: it moves left as t grows."""
    return float(np.sqrt(PEAK / _positive(eta_t)))


def fit_closed_form(sigma: ArrayLike, tau: ArrayLike) -> ClosedFormFit:
    """Fit amplitude and eta_t of `closed_form_limit` to a measured map, sigma [d] and tau [d].

    For each eta_t the best amplitude is a projection, so the search has one dimension: a grid, 10
    values per decade, from eta_t sigma_max^2 = .001 (pure rise) to eta_t sigma_min^2 = 10 (pure
    fall), then bounded minimisation around the best. All points weigh the same.

    Raises ValueError unless sigma and tau are vectors of one length, 3 or more, sigma is positive
    and not constant, and tau is non-negative and not constant.
    """
    roots, heights = _roots(sigma), real_array(tau, "tau")
    if roots.ndim != 1 or roots.shape != heights.shape or roots.size < 3:
        raise ValueError(
            f"sigma {roots.shape} and tau {heights.shape} must be vectors of one length, 3 or more."
        )
    if roots.min() == 0 or np.ptp(roots) == 0 or heights.min() < 0 or np.ptp(heights) == 0:
        raise ValueError(
            "sigma must be positive, tau non-negative, and neither constant; leave out components "
            "of no variance."
        )
    low, high = np.log(1e-3 / roots.max() ** 2), np.log(10 / roots.min() ** 2)
    grid = np.linspace(low, high, int(_GRID_PER_DECADE * (high - low) / np.log(10)) + 2)
    losses = [_loss(log_eta_t, roots, heights) for log_eta_t in grid]
    best = int(np.argmin(losses))
    refined = scipy.optimize.minimize_scalar(
        _loss,
        bounds=(grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]),
        args=(roots, heights),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return _describe(float(np.exp(refined.x)), best in (0, grid.size - 1), roots, heights)


def _loss(log_eta_t: float, sigma: np.ndarray, tau: np.ndarray) -> float:
    """Sum of squares left by the best amplitude."""
    curve = closed_form_limit(sigma, np.exp(log_eta_t))
    return float(tau @ tau - (curve @ tau) ** 2 / (curve @ curve))


def _describe(eta_t: float, at_bound: bool, sigma: np.ndarray, tau: np.ndarray) -> ClosedFormFit:
    curve = closed_form_limit(sigma, eta_t)
    amplitude = float(curve @ tau / (curve @ curve))
    squares = np.square(tau - amplitude * curve)
    deviations = curve - curve.mean(), tau - tau.mean()
    lengths = np.linalg.norm(deviations[0]) * np.linalg.norm(deviations[1])
    return ClosedFormFit(
        amplitude=amplitude,
        eta_t=eta_t,
        peak_sigma=predicted_peak(eta_t),
        at_bound=at_bound,
        r_squared=float(1 - squares.sum() / np.square(deviations[1]).sum()),
        pearson_r=float(deviations[0] @ deviations[1] / lengths) if lengths > 0 else 0.0,
        residual=float(np.sqrt(squares.mean())),
    )


def _roots(sigma: ArrayLike) -> np.ndarray:
    roots = real_array(sigma, "sigma")
    if (roots < 0).any():
        raise ValueError("sigma has negative entries; give the roots of the eigenvalues.")
    return roots


def _positive(eta_t: float) -> float:
    if not 0 < eta_t < np.inf:
        raise ValueError(f"eta_t is {eta_t}; give a positive number.")
    return float(eta_t)
