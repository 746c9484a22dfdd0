"""Analysis along the leading eigenvectors of the inputs, against NumPy."""

import dataclasses
import math

import numpy as np
import pytest
from test_alignment_of_run import (
    descending,
    misalignment_of,
    patches_of,
    pooled,
    single,
    small_config,
    standardised_images,
    write_run,
)

from randlabels.analysis import layer_inputs
from randlabels.analysis.alignment_of_run import alignment_of_run
from randlabels.analysis.costs import expected_seconds
from randlabels.analysis.layers import Layer
from randlabels.analysis.run_page import truncations
from randlabels.errors import InputError

LEADING = 8


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Filters of conv1 are more than the 27 weights of each; dense1 has 2304, and 64 images."""
    return write_run(tmp_path_factory.mktemp("leading"), small_config())


def kernels(run, path, step=4):
    kernel = layer_inputs.read_kernels(run, step, path).astype(np.float64)
    return kernel.reshape(len(kernel), -1, kernel.shape[-1])


def test_filters_are_compared_in_the_span_of_leading_eigenvectors(run):
    alignment = alignment_of_run(run, (), "checkpoint", 20, leading=LEADING)
    config = small_config()
    values, vectors = descending(np.cov(patches_of(standardised_images(config), 3).T, bias=True))
    filters = np.concatenate(kernels(run, "conv1"), axis=1)
    sigma_w = (
        vectors[:, :LEADING].T @ (filters @ filters.T / filters.shape[1]) @ vectors[:, :LEADING]
    )
    record = pooled(alignment)[-1]
    assert record.dim == LEADING
    np.testing.assert_allclose(record.eigenvalues, values[:LEADING], rtol=1e-4)
    np.testing.assert_allclose(record.tau, np.sqrt(np.diag(sigma_w)), rtol=1e-3)
    expected = misalignment_of(np.eye(LEADING), sigma_w)
    assert record.misalignment_data == pytest.approx(expected, rel=1e-3)
    assert record.input_share == pytest.approx(values[:LEADING].sum() / values.sum(), rel=1e-5)
    inside = np.trace(sigma_w) * filters.shape[1] / np.square(filters).sum()
    assert record.filter_share == pytest.approx(inside, rel=1e-4)
    norms = np.linalg.norm(kernels(run, "conv1"), axis=(1, 2))
    assert record.kernel_norm == pytest.approx(norms.mean(), rel=1e-5)
    assert [r.kernel_norm for r in single(alignment)[-2:]] == pytest.approx(norms, rel=1e-5)


def test_few_examples_need_no_covariance(run, monkeypatch):
    """dense1 is larger than is allowed, and has the eigenvectors of 64 images."""
    monkeypatch.setattr(layer_inputs, "MAX_DIM", 100)
    monkeypatch.setattr(Layer, "statistics", None)
    with pytest.raises(InputError, match=r"2,304 inputs.*or give leading=500"):
        alignment_of_run(run, ("dense1",), "checkpoint", 3)
    found = alignment_of_run(run, ("dense1",), "checkpoint", 3, leading=LEADING)
    record = single(found, "dense1")[-1]
    monkeypatch.undo()
    whole = alignment_of_run(run, ("dense1",), "checkpoint", 3, leading=100)
    assert single(whole, "dense1")[-1].dim == 63
    np.testing.assert_allclose(record.tau, single(whole, "dense1")[-1].tau[:LEADING], rtol=1e-6)
    assert record.input_share < single(whole, "dense1")[-1].input_share
    assert single(whole, "dense1")[-1].input_share == pytest.approx(1)
    assert (record.dim, record.num_filters) == (LEADING, 5)


def test_as_many_as_there_are_is_all(run):
    of = [alignment_of_run(run, (), "checkpoint", 3, leading=n) for n in (0, 27)]
    one, other = (dataclasses.asdict(pooled(alignment)[-1]) for alignment in of)
    np.testing.assert_allclose(one["tau"], other["tau"], rtol=1e-9)
    assert one["misalignment_data"] == pytest.approx(other["misalignment_data"], rel=1e-9)
    assert other["filter_share"] == pytest.approx(1, abs=1e-12)
    assert truncations(of[1]) == []


def test_what_is_left_out_is_said(run):
    alignment = alignment_of_run(run, ("conv1", "head"), "initialisation", 3, leading=LEADING)
    (said,) = truncations(alignment)
    share = pooled(alignment)[-1].input_share
    assert f"the leading 8 of 27 eigenvectors of its inputs, which hold {share:.3%}" in said


def test_cost_is_that_of_the_span():
    """Two thousand random bases of 9,408 dimensions would take days, of 300 a minute."""
    layer = Layer("conv2", (14, 14, 192), (7, 7, 192, 10_000), padding="SAME")
    whole, some = (expected_seconds(layer, 100, 2, (2,), 2, 2000, leading) for leading in (0, 300))
    assert whole > 100 * some
    few = Layer("dense1", (9408,), (9408, 10))
    assert expected_seconds(few, 200, 2, (1,), 2, 10, 300) < 0.01 * expected_seconds(
        few, 10_000, 2, (1,), 2, 10, 300
    )
    assert math.isfinite(some)
