"""Choices of the eigenvalue map f for weights made from data alone (the paper's Section 2.5).

A curve takes sigma, the roots of the eigenvalues of Sigma_x, and gives the standard deviation tau
of weights along each eigenvector. Layers differ in the scale of their inputs and weights are scaled
afterwards, so a named curve depends on sigma only relative to its root mean square, and its height
means nothing.
"""

from collections.abc import Callable

import numpy as np

from randlabels.eigen import closed_form_limit, fit_closed_form
from randlabels.eigen.closed_form import PEAK
from randlabels.errors import InputError

Curve = Callable[[np.ndarray], np.ndarray]

FORMS = (
    "closed_form:PEAK, power:EXPONENT, whitening:EPSILON, piecewise:SIGMA=TAU,SIGMA=TAU,..., "
    "measured, fitted"
)

# Directions of (nearly) no variance count as this part of the root mean square: inputs that are
# constant, such as dead units, would get infinite weights from a curve that falls.
SMALLEST = 1e-3


def relative(sigma: np.ndarray) -> np.ndarray:
    """sigma [d] over its root mean square, at least SMALLEST."""
    return np.maximum(sigma / np.sqrt(np.mean(np.square(sigma))), SMALLEST)


def parse_curve(text: str) -> Curve:
    """The curve that a text names; s is sigma relative to its root mean square.

    * closed_form:P is (1 - exp(-a s^2)) / s, Chowers & Weiss, with its peak at s = P.
    * power:P is s^P: power:0 is isotropic, power:-1 whitening, power:1 follows the data.
    * whitening:E is 1 / sqrt(s^2 + E), whitening that spares directions of variance below E.
    * piecewise:S=T,S=T,... is linear in log s between these points and constant outside.

    Raises:
        InputError: if the text names no curve, or one that is read off a run.
    """
    name, _, rest = text.partition(":")
    try:
        if name == "piecewise":
            points = [point.split("=") for point in rest.split(",")]
            return _piecewise(*np.array(points, float).T)
        value = float(rest)
        if not np.isfinite(value) or (name != "power" and value <= 0):
            raise ValueError
        makers = {"closed_form": _closed_form, "power": _power, "whitening": _whitening}
        return makers[name](value)
    except (KeyError, TypeError, ValueError):
        raise InputError(f"The curve {text!r} is none of {FORMS}.") from None


def measured_curve(sigma: np.ndarray, tau: np.ndarray) -> Curve:
    """tau as measured at sigma [d], linear in log sigma between, constant outside."""
    return _piecewise(relative(sigma), tau)


def fitted_curve(sigma: np.ndarray, tau: np.ndarray) -> Curve:
    """The closed form with the peak that fits tau measured at sigma [d] best."""
    return _closed_form(fit_closed_form(relative(sigma), tau).peak_sigma)


# Values of init.curve that are read off an earlier run: of (sigma [d], tau [d]) measured there.
CURVES_FROM_RUN: dict[str, Callable[[np.ndarray, np.ndarray], Curve]] = {
    "measured": measured_curve,
    "fitted": fitted_curve,
}


def _closed_form(peak: float) -> Curve:
    return lambda sigma: closed_form_limit(relative(sigma), PEAK / peak**2)


def _power(exponent: float) -> Curve:
    return lambda sigma: relative(sigma) ** exponent


def _whitening(epsilon: float) -> Curve:
    return lambda sigma: 1 / np.sqrt(np.square(relative(sigma)) + epsilon)


def _piecewise(at: np.ndarray, tau: np.ndarray) -> Curve:
    order = np.argsort(at)
    if not (at > 0).all() or not (tau >= 0).all() or not tau.any():
        raise ValueError("a piecewise curve needs positive sigma and non-negative tau.")
    return lambda sigma: np.interp(np.log(relative(sigma)), np.log(at[order]), tau[order])
