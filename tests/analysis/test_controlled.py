"""The measures of misalignments beside controls, by hand."""

import numpy as np

from randlabels.analysis.control_bases import Controls
from randlabels.analysis.controlled import ControlledAlignment, compare
from randlabels.eigen import random_bases


def measured(data, controls, random, null, symmetries=()):
    groups = len(data)
    return ControlledAlignment(
        data=np.array(data),
        controls={name: np.array(values) for name, values in controls.items()},
        symmetries=symmetries,
        random=np.array(random),
        null=np.array(null),
        exact_p=np.ones(groups),
        network_null=np.full((groups, 1), np.nan),
        network_p=np.full(groups, np.nan),
        f=np.ones((groups, 2)),
        reasons=(None,) * groups,
    )


def test_the_best_control_is_the_least_of_all_that_count():
    found = measured(
        data=[2.0, 3.0, 2.0, np.nan],
        controls={"a": [8.0, 9, 9, np.nan], "b": [9.0, 6, 9, np.nan], "own": [1.0, 1, 1, np.nan]},
        random=[[20.0, 30], [20, 30], [4, 30], [np.nan] * 2],
        null=[[1.0, 3], [1, 3], [6, 8], [np.nan] * 2],
        symmetries=("own",),
    )
    np.testing.assert_array_equal(found.best_control, [8, 6, 4, np.nan])
    np.testing.assert_allclose(found.log_ratio, [np.log(4), np.log(2), np.log(2), np.nan])
    # (8 - 2) / (8 - 2), (6 - 3) / (6 - 2); the third control is no worse than exact alignment.
    np.testing.assert_allclose(found.specificity, [1, 3 / 4, np.nan, np.nan])


def test_groups_may_differ_in_size_and_only_pooled_ones_have_signs_by_network():
    rng = np.random.default_rng(0)
    vectors, wrong = random_bases(4, 2, 0)
    filters = [rng.standard_normal((n, 4, 9)) for n in (1, 3)] + [np.zeros((2, 4, 9))]
    controls = Controls({"wrong": wrong}, {"wrong": 1.0}, ())
    found = compare(filters, vectors, controls, random_bases=5, flips=6)
    assert (found.random.shape, found.null.shape, found.f.shape) == ((3, 5), (3, 6), (3, 4))
    np.testing.assert_array_equal(np.isfinite(found.network_p), [False, True, False])
    np.testing.assert_array_equal(np.isfinite(found.controls["wrong"]), [True, True, False])
    assert found.reasons[:2] == (None, None)
    assert found.reasons[2].startswith("Sigma_w of 18 filters, 0 of them not 0")
    alone = compare(filters[1:2], vectors, controls, random_bases=5, flips=6)
    np.testing.assert_array_equal(alone.data, found.data[1:2])
    np.testing.assert_array_equal(alone.null, found.null[1:2])
