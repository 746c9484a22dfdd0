"""Studies fig2, fig3, fig4 and kernel_size: their measures on planted truth."""

import numpy as np
import pytest

from randlabels.eigen import closed_form_limit, fit_closed_form, misalignment, misalignment_floor
from randlabels.figures.closed_form_maps import CheckpointMap
from randlabels.figures.joined_maps import pool
from randlabels.runs import Run
from randlabels.studies.families.label_kinds import paper_steps
from randlabels.studies.paper import fig4
from randlabels.studies.questions import kernel_size
from randlabels.studies.readouts.groups import disjoint_groups


def noisy(truth, networks, filters, rng):
    """Maps [network, d] of Gaussian filters whose standard deviation along v_i is truth [d]."""
    weights = truth[:, None] * rng.standard_normal((networks, len(truth), filters))
    return np.sqrt(np.square(weights).mean(-1))


def test_rise_and_fall_are_not_biased_by_the_choice_of_the_peak():
    single = noisy(np.ones(27), 400, 64, np.random.default_rng(0))
    for of_end in fig4.rise_and_fall(single):
        assert of_end.mean() == pytest.approx(1, abs=0.02)
    biased = single.max(1) / single[:, -1]
    assert biased.mean() > 1.15


def test_a_planted_peak_is_found():
    truth = np.array([1.0, 3.0, 2.0, 0.5])
    rises, falls = fig4.rise_and_fall(noisy(truth, 200, 1000, np.random.default_rng(1)))
    assert rises.mean() == pytest.approx(6, rel=0.01)
    assert falls.mean() == pytest.approx(3, rel=0.01)


def test_networks_are_pooled_by_their_filters_variance():
    rng = np.random.default_rng(2)
    weights = rng.standard_normal((3, 5, 7)) * np.array([1, 2, 3])[:, None, None]
    together = np.sqrt(np.square(weights.transpose(1, 0, 2).reshape(5, 21)).mean(-1))
    np.testing.assert_allclose(pool(np.sqrt(np.square(weights).mean(-1))), together)


def test_peak_moves_in_proportion_to_the_steps_of_a_linear_network():
    eigenvalues = np.geomspace(20, 0.01, 27)
    maps = [
        CheckpointMap(0, eigenvalues, closed_form_limit(np.sqrt(eigenvalues), eta_t)[None])
        for eta_t in (0.2, 1.6)
    ]
    ratio = fig4.peak_ratio(maps[0].single_fits, maps[1].single_fits)
    np.testing.assert_allclose(ratio, 8, rtol=1e-4)
    assert maps[1].peak == pytest.approx(1.2564 / 1.6, rel=0.3)  # the grid's nearest eigenvalue


def test_a_fit_without_a_peak_has_no_ratio():
    eigenvalues = np.geomspace(20, 0.01, 27)
    falling = fit_closed_form(np.sqrt(eigenvalues), 1 / np.sqrt(eigenvalues))
    peaked = fit_closed_form(np.sqrt(eigenvalues), closed_form_limit(np.sqrt(eigenvalues), 1.0))
    np.testing.assert_array_equal(
        np.isnan(fig4.peak_ratio([falling, peaked], [peaked] * 2)), [1, 0]
    )


def make_run(steps):
    return Run(None, {}, [], [], {}, steps)


def test_paper_epochs_are_the_nearest_checkpoints():
    steps = paper_steps(make_run((0, 496, 992, 1922, 3906, 7440, 7812)))
    assert steps == {5: 992, 10: 1922, 20: 3906, 40: 7812}


def test_a_short_run_stands_for_the_last_epoch_only():
    assert paper_steps(make_run((0, 2, 4))) == {40: 4}


def test_groups_are_disjoint_and_large_enough():
    assert disjoint_groups([0, 1, 3, 4, 5, 6, 7], filters=16, least=40) == [[0, 1, 3], [4, 5, 6]]
    assert disjoint_groups([0, 1], filters=16, least=40) == []


@pytest.mark.parametrize("num_filters", [120, 200, 400])
def test_correction_for_the_floor_recovers_the_misalignment_of_infinitely_many_filters(num_filters):
    rng = np.random.default_rng(3)
    dim = 60
    rotation = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    root = rotation * np.geomspace(3, 0.3, dim)
    truth = float(misalignment(np.eye(dim), root @ root.T))
    filters = root @ rng.standard_normal((20, dim, num_filters))
    estimates = misalignment(np.eye(dim), filters @ filters.swapaxes(-1, -2) / num_filters)
    floor = misalignment_floor(dim, num_filters, 200, seed=0)
    corrected = kernel_size.without_floor(estimates, floor.mean(), dim).mean()
    assert corrected == pytest.approx(truth, rel=0.03)
    # Subtracting the floor overstates it, the more the fewer filters there are.
    assert estimates.mean() - floor.mean() - truth > 2 * abs(corrected - truth)
