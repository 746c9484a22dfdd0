"""The closed form against linear networks trained by gradient descent, and its fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from randlabels.eigen import (
    closed_form,
    closed_form_limit,
    descending_eigh,
    eigenvalue_map,
    filter_covariance,
    fit_closed_form,
    input_statistics,
    misalignment,
    predicted_peak,
)


def train_linear_network(inputs, targets, eta, steps):
    """Full-batch gradient descent by automatic differentiation, from zero: weights [d, m]."""
    with jax.enable_x64(True):
        x, y = jnp.asarray(inputs), jnp.asarray(targets)

        def loss(w):
            return jnp.sum((x @ w - y) ** 2) / (2 * len(x))

        start = jnp.zeros((x.shape[1], y.shape[1]))
        descend = jax.jit(
            lambda w: jax.lax.fori_loop(0, steps, lambda _, w: w - eta * jax.grad(loss)(w), w)
        )
        return np.asarray(descend(start))


def correlated_inputs(n=60, dim=8):
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((dim, dim)) * np.geomspace(1.5, 0.1, dim)
    return rng.standard_normal((n, dim)) @ mixing


@pytest.mark.parametrize("steps", [1, 10, 300])
@pytest.mark.parametrize("top_rate", [0.2, 0.9, 1.6])  # eta times the largest eigenvalue
def test_linear_network_with_labels_of_every_kind_has_the_map_of_the_closed_form(steps, top_rate):
    """One output per example that labels it alone: the mean over outputs is that over i.i.d.

    labels of variance 1, exactly. The weights' eigenvalue map is then f_t / sqrt(n), and they are
    aligned with the data.
    """
    inputs = correlated_inputs()
    second_moment = input_statistics(inputs).second_moment
    values, vectors = descending_eigh(second_moment)
    eta = top_rate / values[0]
    weights = train_linear_network(inputs, np.sqrt(len(inputs)) * np.eye(len(inputs)), eta, steps)
    sigma_w = filter_covariance(weights)
    expected = closed_form(np.sqrt(values), eta, steps) / np.sqrt(len(inputs))
    np.testing.assert_allclose(eigenvalue_map(vectors, sigma_w), expected, rtol=1e-6)
    assert misalignment(vectors, sigma_w) < 1e-6


def test_linear_network_with_random_labels_has_it_in_expectation():
    inputs = correlated_inputs()
    values, vectors = descending_eigh(input_statistics(inputs).second_moment)
    labels = np.random.default_rng(1).choice([-1.0, 1.0], (len(inputs), 20000))
    weights = train_linear_network(inputs, labels, 0.5 / values[0], 40)
    expected = closed_form(np.sqrt(values), 0.5 / values[0], 40) / np.sqrt(len(inputs))
    # Relative error of the root of a mean of 20,000 squares: 1 / sqrt(2 * 20,000) = .005.
    np.testing.assert_allclose(
        eigenvalue_map(vectors, filter_covariance(weights)), expected, rtol=0.02
    )


def test_single_weight_iteration():
    sigma, eta, w = 0.7, 0.3, 0.0
    for steps in range(6):
        np.testing.assert_allclose(closed_form(sigma, eta, steps), w * sigma, atol=1e-15)
        w -= eta * (sigma**2 * w - 1)  # gradient descent towards 1 / sigma^2


def test_small_rates_keep_their_digits_and_zero_is_allowed():
    np.testing.assert_allclose(closed_form([0.0, 1e-9], 1.0, 5), [0, 5e-9], rtol=1e-12)
    np.testing.assert_allclose(closed_form_limit([0.0, 1e-9], 5.0), [0, 5e-9], rtol=1e-12)
    np.testing.assert_allclose(closed_form([1.0, 2.0], 1.0, 3), [1.0, 14.0], rtol=1e-14)


def test_limit_of_small_steps_and_of_long_training():
    sigma = np.geomspace(0.05, 3, 40)
    errors = [
        np.abs(closed_form(sigma, 2 / steps, steps) - closed_form_limit(sigma, 2.0)).max()
        for steps in (100, 1000)
    ]
    assert errors[1] < 0.11 * errors[0] < 0.01
    np.testing.assert_allclose(closed_form_limit(sigma, 1e5), 1 / sigma, rtol=1e-12)


@pytest.mark.parametrize("eta_t", [0.03, 1.0, 50.0])
def test_peak_is_the_maximum_of_the_limit(eta_t):
    found = scipy.optimize.minimize_scalar(
        lambda log_sigma: -closed_form_limit(np.exp(log_sigma), eta_t),
        bracket=(np.log(0.3 / np.sqrt(eta_t)), np.log(3 / np.sqrt(eta_t))),
    )
    np.testing.assert_allclose(predicted_peak(eta_t), np.exp(found.x), rtol=1e-6)
    np.testing.assert_allclose(predicted_peak(eta_t) ** 2, 1.2564 / eta_t, rtol=1e-4)


@pytest.mark.parametrize(("amplitude", "eta_t"), [(0.2, 0.5), (3.0, 40.0), (1e-3, 1.1)])
def test_fit_recovers_planted_parameters(amplitude, eta_t):
    sigma = np.geomspace(4, 0.05, 27)
    fit = fit_closed_form(sigma, amplitude * closed_form_limit(sigma, eta_t))
    np.testing.assert_allclose([fit.amplitude, fit.eta_t], [amplitude, eta_t], rtol=1e-6)
    np.testing.assert_allclose(fit.peak_sigma, predicted_peak(eta_t), rtol=1e-6)
    assert fit.r_squared > 1 - 1e-10
    assert fit.pearson_r > 1 - 1e-10
    assert fit.residual < 1e-6 * amplitude
    assert not fit.at_bound


def test_fit_of_noisy_map_is_the_least_squares_of_scipy():
    sigma = np.geomspace(4, 0.05, 27)
    noise = np.random.default_rng(0).standard_normal(27)
    tau = np.abs(0.3 * closed_form_limit(sigma, 2.0) * (1 + 0.1 * noise))
    fit = fit_closed_form(sigma, tau)
    (amplitude, log_eta_t), _ = scipy.optimize.curve_fit(
        lambda s, a, r: a * closed_form_limit(s, np.exp(r)), sigma, tau, p0=(0.3, np.log(2.0))
    )
    np.testing.assert_allclose(
        [fit.amplitude, fit.eta_t], [amplitude, np.exp(log_eta_t)], rtol=1e-4
    )
    left = tau - amplitude * closed_form_limit(sigma, np.exp(log_eta_t))
    np.testing.assert_allclose(fit.residual, np.sqrt(np.mean(left**2)), rtol=1e-6)
    np.testing.assert_allclose(fit.r_squared, 1 - np.var(left) / np.var(tau), rtol=1e-2)
    curve = closed_form_limit(sigma, fit.eta_t)
    np.testing.assert_allclose(fit.pearson_r, np.corrcoef(curve, tau)[0, 1], rtol=1e-10)
    assert 0.8 < fit.r_squared < 0.999


def test_fit_follows_training():
    """The peak of maps from a linear network moves left as 1 / sqrt(t), and the fit follows."""
    sigma = np.geomspace(3, 0.02, 40)
    peaks = [fit_closed_form(sigma, closed_form(sigma, 0.01, t)).peak_sigma for t in (100, 400)]
    np.testing.assert_allclose(peaks[0] / peaks[1], 2, rtol=0.01)


@pytest.mark.parametrize("tau_of", [lambda s: 0.1 * s, lambda s: 0.1 / s])
def test_fit_says_when_there_is_no_peak(tau_of):
    sigma = np.geomspace(2, 0.1, 20)
    fit = fit_closed_form(sigma, tau_of(sigma))
    assert fit.at_bound
    assert fit.r_squared > 0.9999
    assert not sigma.min() < fit.peak_sigma < sigma.max()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: closed_form([-1.0], 0.1, 3), "negative"),
        (lambda: closed_form([np.nan], 0.1, 3), "NaN"),
        (lambda: closed_form([1.0], 0.0, 3), "eta 0.0"),
        (lambda: closed_form([1.0], 0.1, 2.5), "whole number"),
        (lambda: closed_form_limit([1.0], -1.0), "positive"),
        (lambda: predicted_peak(np.inf), "positive"),
        (lambda: fit_closed_form([1.0, 2.0], [1.0, 2.0]), "3 or more"),
        (lambda: fit_closed_form([1.0, 2.0, 3.0], [1.0, 2.0]), "one length"),
        (lambda: fit_closed_form([0.0, 2.0, 3.0], [1.0, 2.0, 1.0]), "no variance"),
        (lambda: fit_closed_form([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]), "constant"),
        (lambda: fit_closed_form([1.0, 2.0, 3.0], [1.0, -2.0, 1.0]), "non-negative"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
