"""Selectivity of units against SciPy's ANOVA, by all orders of labels, and on planted units."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest
from scipy import stats
from test_activity import by_hand, downstream_images
from test_alignment_of_run import small_config, standardised_images, write_run

from randlabels.analysis.selectivity import (
    explained_by_groups,
    selectivity_of_run,
    unit_responses,
)
from randlabels.data import sources, splits
from randlabels.data.labels import random_labels
from randlabels.errors import InputError
from randlabels.models import build

OF_LABEL, OF_TRAINED = 0, 1  # planted units of dense1
CLASSES = 4
CONFIG = {"model.filters": 6, "labels.num_classes": CLASSES}


def test_explained_variance_against_scipys_anova():
    """epsilon^2 = (k - 1)(F - 1) / ((k - 1) F + n - k), groups of different sizes."""
    rng = np.random.default_rng(0)
    groups = np.repeat([3, 0, 7], [4, 9, 12])
    responses = rng.standard_normal((25, 5)) + 1e3 + np.outer(groups, [0, 0.1, 0.3, 1, 10])
    found = explained_by_groups(responses, groups)
    parts = [responses[groups == g] for g in (0, 3, 7)]
    f = stats.f_oneway(*parts).statistic
    np.testing.assert_allclose(found, 2 * (f - 1) / (2 * f + 25 - 3), rtol=1e-9)
    assert found[0] < 0.2 < 0.9 < found[-1]


def test_without_selectivity_it_is_0_on_average_over_all_orders_of_the_labels():
    responses = np.random.default_rng(1).lognormal(size=(7, 3))
    orders = set(itertools.permutations([0, 0, 0, 1, 1, 2, 2]))
    found = [explained_by_groups(responses, np.array(order)) for order in orders]
    assert len(found) == 210
    np.testing.assert_allclose(np.mean(found, axis=0), 0, atol=1e-12)
    assert np.std(found) > 0.1


def test_a_unit_that_is_the_label_and_a_silent_one():
    groups = np.array([0, 1, 2, 0, 1, 2])
    responses = np.stack([np.array([5.0, -1, 2])[groups], np.full(6, 0.1 + 1e8)], axis=1)
    np.testing.assert_allclose(explained_by_groups(responses, groups), [1, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("responses", "groups", "message"),
    [
        (np.ones((3, 2)), [0, 0, 0], "3 inputs in 1 groups"),
        (np.ones((3, 2)), [0, 1, 2], "3 inputs in 3 groups"),
        (np.ones(3), [0, 1, 1], r"got \(3,\), \(3,\)"),
        (np.ones((3, 2)), [0, 1], r"got \(3, 2\), \(2,\)"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence(responses, groups, message):
    with pytest.raises(ValueError, match=message):
        explained_by_groups(responses, np.array(groups))


def both_images():
    return standardised_images(small_config()), downstream_images(small_config())


def labels_of(seed, task):
    config = small_config()
    dataset = sources.load(config.data)
    sizes = config.data.upstream_size, config.data.downstream_size
    chosen = splits.split_indices(config.data.seed, len(dataset.train_images), *sizes)[task]
    return random_labels(seed, dataset.train_ids[chosen], CLASSES)


def plant(step, variables, table):
    """A dense unit that is 1 on class 2 of the trained images, and one that is 1 on all of them."""
    if step == 0:
        return
    seen, new = both_images()
    params = variables["params"]
    for row in table:
        own = jax.tree.map(lambda x, n=row.network: x[n], params)
        flat = [by_hand(images, own)[0].reshape(len(images), -1) for images in (seen, new)]
        is_class = (labels_of(row.label_seed, "upstream") == 2).astype(float)
        is_trained = np.repeat([1.0, 0.0], 64)
        kernel = params["dense1"]["kernel"][row.network]
        kernel[:, OF_LABEL] = np.linalg.lstsq(flat[0], is_class, rcond=None)[0]
        kernel[:, OF_TRAINED] = np.linalg.lstsq(np.concatenate(flat), is_trained, rcond=None)[0]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two networks of label seeds 0 and 1, at steps 0 (as initialised) and 4 (planted)."""
    return write_run(tmp_path_factory.mktemp("selectivity") / "run", small_config(**CONFIG), plant)


def test_planted_units_are_found_and_no_others(run):
    before, after = (selectivity_of_run(run, step)["dense1"] for step in (0, 4))
    labels = [labels_of(seed, "upstream") for seed in (0, 1)]
    assert (labels[0] != labels[1]).any()
    for network in range(2):
        is_class = (labels[network] == 2).astype(float)[:, None]
        expected = explained_by_groups(is_class, labels[network])  # 1: the label says all
        np.testing.assert_allclose(after.learned[network, OF_LABEL], expected, atol=1e-3)
        np.testing.assert_allclose(after.familiar[network, OF_TRAINED], 1, atol=1e-3)
    assert np.abs(after.control[:, OF_LABEL]).max() < 0.3
    others = slice(2, None)
    for field in ("learned", "control", "familiar"):
        ours, theirs = getattr(before, field), getattr(after, field)
        np.testing.assert_array_equal(ours[:, others], theirs[:, others])
        assert np.abs(ours).max() < 0.3


def test_fields_against_numpy(run):
    """Every field of every unit, from responses and labels that the run's code did not make."""
    found = selectivity_of_run(run, 4, networks=[1])
    assert list(found) == ["conv1", "dense1"]
    params = run.params(4, networks=[1])
    own = jax.tree.map(lambda x: x[0], params)
    seen, new = (by_hand(images, own) for images in both_images())
    trained = np.repeat([1, 0], 64)
    for layer, (ours, theirs) in zip(found, zip(seen, new, strict=True), strict=True):
        ours, theirs = (h.mean(axis=1) if h.ndim == 3 else h for h in (ours, theirs))
        together = np.concatenate([ours, theirs])
        expected = {
            "learned": explained_by_groups(ours, labels_of(1, "upstream")),
            "control": explained_by_groups(theirs, labels_of(1, "downstream")),
            "familiar": explained_by_groups(together, trained),
        }
        # A unit that is 1 on all trained images has nothing but rounding to explain among these.
        skipped = [OF_TRAINED] if layer == "dense1" else []
        for field, values in expected.items():
            compared = np.delete(getattr(found[layer], field)[0], skipped)
            np.testing.assert_allclose(compared, np.delete(values, skipped), atol=1e-4)


def test_responses_are_means_over_positions_in_batches_of_any_size(run):
    model = build(small_config(**CONFIG))
    own = jax.tree.map(lambda x: x[0], run.params(0))
    images = standardised_images(small_config())
    found = unit_responses(model, {"params": own}, [images[:5], images[5:6], images[6:]])
    conv1, dense1 = by_hand(images, own)
    np.testing.assert_allclose(found["conv1"], conv1.mean(axis=1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["dense1"], dense1, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="at least one input"):
        unit_responses(model, {"params": own}, [])


def test_runs_without_new_images_are_refused(run):
    for part, change, message in (
        ("data", {"downstream_size": 0}, "has no downstream images"),
        ("train", {"task": "downstream"}, "was trained downstream"),
    ):
        config = run.config | {part: run.config[part] | change}
        with pytest.raises(InputError, match=message):
            selectivity_of_run(dataclasses.replace(run, config=config), 4)
