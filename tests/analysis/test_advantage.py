"""The jackknife of all networks together, against NumPy, and with a wrong basis for the data's."""

import numpy as np
import pytest
from test_alignment_of_run import misalignment_of, small_config
from test_learned import OTHER, STEP, eigenvectors, write_learned

from randlabels.analysis.advantage import NEAREST_RANDOM, Advantage, learned_advantage
from randlabels.analysis.control_bases import DCT
from randlabels.analysis.learned import first_layer_bases
from randlabels.studies.inference import t_p
from randlabels.studies.readouts.learned import SPECIFIC, advantage_rows, specific_claim
from randlabels.studies.verdicts import judge

NETWORKS = 8
WRONG = (DCT, OTHER, "patches ordered channel, row, column", "patches ordered row, channel, column")


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """(run, bases, vectors) of networks whose learned filters are aligned with the data."""
    config = small_config(**{"population.seeds": NETWORKS, "data.upstream_size": 256})
    vectors = eigenvectors(config)
    run = write_learned(tmp_path_factory.mktemp("advantage"), config, vectors, NETWORKS)
    return run, first_layer_bases(run), vectors


def outcome(found):
    claim = specific_claim("c", "the layer", "Figure 2", lambda reading: reading)
    (verdict,) = judge([claim], {"c": SPECIFIC}, found)
    return verdict.outcome


def test_the_claim_holds_with_the_datas_eigenvectors(planted):
    run, bases, _ = planted
    found = learned_advantage(run, STEP, bases)
    assert outcome(found) == "supported"
    assert set(found.controls) > {*WRONG, NEAREST_RANDOM}
    assert found.values.shape == (NETWORKS,)
    assert (found.single.mean(axis=1) > 0).all()


@pytest.mark.parametrize("control", WRONG)
def test_and_fails_with_a_wrong_basis_in_their_place(planted, control):
    run, bases, _ = planted
    assert outcome(learned_advantage(run, STEP, bases.mistaken(control))) != "supported"


def test_pseudo_values_equal_numpy(planted):
    run, bases, vectors = planted
    found = learned_advantage(run, STEP, bases)
    kernels = run.params(STEP)["conv1"]["kernel"].astype(float) - run.params(0)["conv1"]["kernel"]
    filters = kernels.reshape(NETWORKS, 27, -1)
    dct = bases.controls.bases[DCT]

    def difference(networks):
        w = np.concatenate([filters[n] for n in networks], axis=1)
        sigma_w = w @ w.T / w.shape[1]
        return misalignment_of(dct, sigma_w) - misalignment_of(vectors, sigma_w)

    everyone = list(range(NETWORKS))
    whole = difference(everyone)
    expected = [
        NETWORKS * whole - (NETWORKS - 1) * difference([n for n in everyone if n != left])
        for left in everyone
    ]
    row = found.controls.index(DCT)
    assert found.pooled[row] == pytest.approx(whole, rel=1e-3)
    np.testing.assert_allclose(found.single[row], expected, rtol=2e-3)


def test_the_control_is_the_one_whose_interval_begins_lowest():
    rng = np.random.default_rng(0)
    far, noisy, near = 5 + rng.normal(0, 1, 8), 5 + rng.normal(0, 9, 8), 0.5 + rng.normal(0, 0.1, 8)
    found = Advantage(("far", "noisy", "near"), np.zeros(3), np.stack([far, noisy, near]))
    assert found.hardest == "noisy"
    np.testing.assert_array_equal(found.values, noisy)
    assert t_p(found.values) >= max(t_p(far), t_p(near))
    # Of controls that are all beaten for certain, it is the nearest.
    tight = Advantage(("far", "near"), np.zeros(2), np.stack([far, near]))
    assert tight.hardest == "near"
    itself = Advantage(("far", "itself"), np.zeros(2), np.stack([far, np.zeros(8)]))
    assert itself.hardest == "itself"
    assert outcome(itself) != "supported"
    rows = advantage_rows({"planted": found})
    assert [row["hardest"] for row in rows] == ["", "yes", ""]


def test_jackknife_removes_what_chance_adds_and_its_interval_covers():
    """Filters aligned with one basis, against one that is turned: D has a value without noise."""
    rng = np.random.default_rng(1)
    dim, filters, networks = 8, 16, 8
    scales = np.geomspace(3, 0.3, dim)
    turn, _ = np.linalg.qr(np.eye(dim) + 0.15 * rng.standard_normal((dim, dim)))
    truth = misalignment_of(turn, np.diag(scales))
    means, covered = [], []
    for _ in range(300):
        w = np.sqrt(scales)[:, None] * rng.standard_normal((networks, dim, filters))
        each = w @ w.swapaxes(1, 2)

        def difference(sigma_w):
            return misalignment_of(turn, sigma_w) - misalignment_of(np.eye(dim), sigma_w)

        whole = difference(each.sum(0))
        without = np.array([difference(each.sum(0) - own) for own in each])
        values = networks * whole - (networks - 1) * without
        means.append(values.mean())
        covered.append(t_p(values - truth) > 0.05)
    error = np.std(means) / np.sqrt(len(means))
    assert abs(np.mean(means) - truth) < 4 * error
    assert 0.91 < np.mean(covered) < 0.99
