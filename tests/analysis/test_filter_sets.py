"""What is said of sets of filters, against NumPy and planted truth."""

import dataclasses

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize

from randlabels.analysis import input_spectrum
from randlabels.analysis.filter_sets import describe_sets
from randlabels.eigen.closed_form import closed_form_limit
from randlabels.eigen.nulls import random_bases

SPECTRUM = np.array([9.0, 8.5, 3.0, 1.0, 0.95, 0.92, 0.3, 0.1, 0.05, 0.02, 0.01, 0.005])
SPACES = [[0, 1], [2], [3, 4, 5], [6], [7], [8], [9], [10], [11]]  # gaps of at most 10%


def random_filters(num_sets, num_filters, dim=12, seed=0):
    """Correlated filters [set, d, m]."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((dim, dim))
    return mixing @ rng.standard_normal((num_sets, dim, num_filters))


@pytest.mark.parametrize(("num_filters", "given"), [(5, False), (6, True)])
def test_misalignment_is_given_where_its_floor_is(num_filters, given):
    filters = np.random.default_rng(0).standard_normal((1, 5, num_filters))
    (described,) = describe_sets(filters, np.ones((1, 5)), 3)
    keys = ("misalignment_data", "misalignment_random", "p_value", "floor")
    assert [described[key] is not None for key in keys] == [given] * 4
    assert (described["reason"] is None) == given


def test_planted_closed_form_is_found_and_agrees_with_a_least_squares_fit():
    rng = np.random.default_rng(0)
    sigma = np.sqrt(SPECTRUM)
    tau = 0.3 * (1 - np.exp(-1.7 * SPECTRUM)) / sigma
    whitened = np.linalg.qr(rng.standard_normal((40, 12)))[0].T * np.sqrt(40)
    noisy = np.exp(0.1 * rng.standard_normal(12)) * tau
    filters = np.stack([tau[:, None] * whitened, noisy[:, None] * whitened])
    planted, fitted = describe_sets(filters, np.stack([SPECTRUM] * 2), 3)
    found = planted["closed_form"]
    assert planted["closed_form_reason"] is None
    assert (found.amplitude, found.eta_t) == pytest.approx((0.3, 1.7), rel=1e-4)
    assert found.peak_sigma == pytest.approx(np.sqrt(1.25643 / 1.7), rel=1e-4)
    assert (found.r_squared, found.pearson_r) == pytest.approx((1, 1))
    assert (found.at_bound, found.residual) == (False, pytest.approx(0, abs=1e-6))

    def curve(sigma, amplitude, eta_t):
        return amplitude * (1 - np.exp(-eta_t * sigma**2)) / sigma

    best = scipy.optimize.curve_fit(curve, sigma, noisy, (0.3, 1.7))[0]
    found = fitted["closed_form"]
    assert (found.amplitude, found.eta_t) == pytest.approx(tuple(best), rel=1e-4)
    left = noisy - curve(sigma, *best)
    assert found.residual == pytest.approx(np.sqrt(np.mean(left**2)), rel=1e-6)
    assert found.r_squared == pytest.approx(1 - np.mean(left**2) / noisy.var(), rel=1e-6)
    assert found.r_squared < 0.999


@pytest.mark.parametrize("nothing", [0, -1e-15, 1e-15])
def test_components_without_variance_do_not_matter_to_the_fit(nothing):
    """Whatever weights there are along them."""
    tau = closed_form_limit(np.sqrt(SPECTRUM), 0.3)
    found = input_spectrum.closed_form_entry(np.append(SPECTRUM, nothing), np.append(tau, 77.0))
    assert found["closed_form"].eta_t == pytest.approx(0.3, rel=1e-4)
    assert found["closed_form"].r_squared > 0.9999


@pytest.mark.parametrize(
    ("eigenvalues", "tau"),
    [
        (SPECTRUM, np.ones(12)),  # constant map
        (SPECTRUM[:2], SPECTRUM[:2]),
        (np.append(SPECTRUM[:2], [0, 0, 1e-15]), SPECTRUM[:5]),  # 3 components without variance
    ],
)
def test_no_closed_form_comes_with_a_reason(eigenvalues, tau):
    found = input_spectrum.closed_form_entry(eigenvalues, tau)
    assert found["closed_form"] is None
    assert "must be" in found["closed_form_reason"]


def block_misalignment(sigma_w, spaces):
    """Each block by the root of B_b C_b itself, which is not symmetric."""
    inverse = np.linalg.inv(sigma_w)
    blocks = [np.ix_(g, g) for g in spaces]
    roots = [scipy.linalg.sqrtm(sigma_w[block] @ inverse[block]) for block in blocks]
    return sum(np.trace(root) for root in roots) - len(sigma_w)


def test_misalignment_by_eigenspaces_uses_each_sets_own_spectrum():
    filters = random_filters(3, 30)
    separate = np.geomspace(9, 0.01, 12)
    described = describe_sets(filters, np.stack([SPECTRUM, separate, SPECTRUM]), 19)
    for i, spaces in enumerate([SPACES, [[k] for k in range(12)], SPACES]):
        found = described[i]["misalignment_eigenspaces"]
        assert (found.num_eigenspaces, found.tolerance) == (len(spaces), 0.1)
        sigma_w = filters[i] @ filters[i].T / 30
        assert found.misalignment == pytest.approx(block_misalignment(sigma_w, spaces))
        turned = [basis.T @ sigma_w @ basis for basis in random_bases(12, 19, 0)]
        null = [block_misalignment(one, spaces) for one in turned]
        assert found.random == pytest.approx(np.mean(null))
        closer = np.sum(null <= block_misalignment(sigma_w, spaces))
        assert found.p_value == (1 + closer) / 20
    assert described[1]["misalignment_eigenspaces"].misalignment == pytest.approx(
        described[1]["misalignment_data"]
    )
    single = describe_sets(random_filters(1, 12), SPECTRUM[None], 3)[0]  # singular
    assert single["misalignment_eigenspaces"] is None


def test_near_ties_are_aligned_as_far_as_chance_goes_whatever_the_basis_within(monkeypatch):
    rng = np.random.default_rng(3)
    mixed = np.eye(12)
    mixed[3:6, 3:6] = rng.standard_normal((3, 3))  # all within the tie of .92 to 1
    aligned = mixed @ (np.geomspace(3, 0.1, 12)[:, None] * rng.standard_normal((12, 60)))
    tilted = random_filters(1, 60)[0]
    sets = np.stack([aligned, tilted])
    ours, theirs = (
        one["misalignment_eigenspaces"]
        for one in describe_sets(sets, SPECTRUM * np.ones((2, 1)), 99)
    )
    assert ours.p_aligned > 0.05
    assert 0.5 < ours.misalignment / ours.aligned < 2
    assert ours.p_value == theirs.p_aligned == 0.01
    assert theirs.p_value > 0.05
    monkeypatch.setattr(input_spectrum, "MAX_NULL_DIM", 11)
    without = describe_sets(sets, SPECTRUM * np.ones((2, 1)), 9)[0]["misalignment_eigenspaces"]
    assert without.misalignment == ours.misalignment
    assert (without.random, without.p_value, without.aligned, without.p_aligned) == (None,) * 4


def test_misalignment_by_eigenspaces_does_not_depend_on_the_basis_within_them():
    filters, turn = random_filters(1, 30), np.eye(12)
    turn[3:6, 3:6] = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    plain, turned = describe_sets(
        np.stack([filters[0], turn.T @ filters[0]]), SPECTRUM * np.ones((2, 1)), 3
    )
    values = [one["misalignment_eigenspaces"].misalignment for one in (plain, turned)]
    assert values[0] == pytest.approx(values[1], rel=1e-9)
    assert abs(plain["misalignment_data"] - turned["misalignment_data"]) > 0.1


@pytest.mark.parametrize(("num_filters", "ranks"), [(30, [1, 2, 5, 10]), (6, [1, 2, 5])])
def test_overlaps_agree_with_projections(num_filters, ranks):
    """In the coordinates of the data, and away from them, with projections onto both spaces."""
    filters = random_filters(1, num_filters)
    found = describe_sets(filters, SPECTRUM[None], 3)[0]["subspace_overlap"]
    assert found.k == tuple(ranks)
    assert found.chance == tuple(k / 12 for k in ranks)
    basis = np.linalg.qr(np.random.default_rng(2).standard_normal((12, 12)))[0]
    weights = np.linalg.svd(basis @ filters[0])[0]
    for k, overlap in zip(ranks, found.overlap, strict=True):
        ours, theirs = weights[:, :k], basis[:, :k]
        projected = np.trace(ours @ ours.T @ theirs @ theirs.T) / k
        assert overlap == pytest.approx(projected, rel=1e-9)


def test_overlaps_leave_out_the_whole_space():
    found = describe_sets(random_filters(1, 30, dim=5), np.ones((1, 5)), 3)[0]["subspace_overlap"]
    assert found.k == (1, 2)


def test_profile_agreement_is_over_pairs_of_different_networks():
    profiles = np.random.default_rng(0).uniform(0.1, 1, (4, 12))
    found = input_spectrum.profile_agreement(profiles)
    pairs = [np.corrcoef(profiles[i], profiles[j])[0, 1] for i in range(4) for j in range(i)]
    expected = (np.mean(pairs), min(pairs), max(pairs))
    assert dataclasses.astuple(found) == pytest.approx(expected)
    assert input_spectrum.profile_agreement(profiles[:1]) is None
    assert input_spectrum.profile_agreement(np.ones((2, 12))) is None
