"""Records of an analysis: to JSON and back, files of older versions, and files that are damaged."""

import dataclasses
import json

import numpy as np
import pytest

from randlabels.analysis.manifest import write_manifest
from randlabels.analysis.records import (
    Alignment,
    AlignmentRecord,
    LayerData,
    ProfileCorrelation,
    Skipped,
    SubspaceOverlap,
    alignment_path,
    load_alignment,
)
from randlabels.eigen import ClosedFormFit
from randlabels.errors import InputError

GROUP = {"arm": "scratch", "layers": ["conv1"], "init_scale": 0.5}


@pytest.fixture
def alignment(alignment_record):
    """Two networks, pooled and single, at steps 0 and 4."""
    shared = {
        "group": GROUP,
        "dim": 3,
        "num_filters": 8,
        "eigenvalues": np.array([3.0, 2.0, 1.0]),
        "kernel_norm": 1.5,
        "input_share": 0.75,
        "filter_share": 0.5,
        "tau": np.array([0.1, np.nan, 0.3]),
        "filter_eigenvalues": np.ones(3),
        "subspace_overlap": SubspaceOverlap((1, 2), (0.5, 1.0), (1 / 3, 2 / 3)),
        "closed_form": ClosedFormFit(1.0, 2.0, 0.5, False, -np.inf, 0.9, 0.0),
    }
    leading = {
        "interval": np.array([-1.0, 2.0]),
        "profile_correlation": ProfileCorrelation(0.5, 0.25, 0.75),
        "filter_eigenvectors": np.eye(3)[:, :2],
        "nearest_rank": np.array([1, 0]),
        "nearest_cosine": np.array([0.5, 0.25]),
    }
    records = [
        alignment_record(step=step, network=network, **shared, **({} if single else leading))
        for step in (0, 4)
        for network, single in ((None, False), (1, True), (0, True))
    ]
    data = LayerData("first layer inputs", (3, 8), 100, np.ones(3), np.eye(3)[:, :2])
    skipped = (Skipped("conv2", None, "too large"),)
    return Alignment((0, 1), (2,), skipped, {"conv1": data}, tuple(records))


def write(folder, value):
    path = alignment_path(folder)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, allow_nan=False))
    write_manifest(folder, {}, [path])


def test_everything_comes_back_with_its_type(alignment, tmp_path):
    write(tmp_path, alignment.to_json())
    read = load_alignment(tmp_path)
    fit = alignment.records[0].closed_form
    finite = dataclasses.replace(fit, r_squared=np.nan)  # JSON has no infinity
    records = [dataclasses.replace(r, closed_form=finite) for r in alignment.records]
    wanted = dataclasses.replace(alignment, records=tuple(records))
    np.testing.assert_equal(dataclasses.asdict(read), dataclasses.asdict(wanted))
    first = read.records[0]
    assert isinstance(first.closed_form, ClosedFormFit)
    assert (first.tau.dtype, first.nearest_rank.dtype) == (np.float64, np.int64)
    assert first.filter_eigenvectors.shape == (3, 2)
    assert first.group == GROUP
    assert read.data["conv1"].kernel_shape == (3, 8)


def test_every_array_of_a_record_is_read_as_one(alignment):
    """Whatever field is added: its annotation decides, not a list of names."""
    read = Alignment.from_json(alignment.to_json()).records[0]
    for field in dataclasses.fields(AlignmentRecord):
        written = getattr(alignment.records[0], field.name)
        assert isinstance(getattr(read, field.name), type(written)), field.name


def test_a_file_without_the_fields_of_pooled_networks_is_read(alignment, tmp_path):
    """As records of single networks were written before they had types."""
    saved = alignment.to_json()
    pooled_only = [f.name for f in dataclasses.fields(AlignmentRecord) if f.default is None]
    for record in saved["records"]:
        if record["network"] is not None:
            for name in pooled_only:
                assert record.pop(name) is None
    write(tmp_path, saved)
    assert load_alignment(tmp_path).to_json() == alignment.to_json()


def test_records_are_chosen_by_layer_step_and_network(alignment):
    assert alignment.pooled("conv1", 4) is alignment.records[3]
    assert [r.network for r in alignment.single("conv1", 4)] == [0, 1]
    assert len(alignment.of_layer("conv1")) == 6
    assert alignment.of_layer("dense1") == alignment.single("conv1", 7) == []
    other = dataclasses.replace(alignment.records[3], group={"arm": "pretrained"})
    several = dataclasses.replace(alignment, records=(*alignment.records, other))
    with pytest.raises(ValueError, match="2 groups"):
        several.pooled("conv1", 4)
    with pytest.raises(ValueError, match="0 groups"):
        alignment.pooled("conv1", 7)


def test_misalignments_of_a_singular_covariance_are_an_error(alignment_record):
    record = alignment_record(reason="pool networks")
    assert record.singular
    with pytest.raises(ValueError, match="pool networks"):
        record.misalignments  # noqa: B018


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("records", {}),
        ("records", None),
        ("networks", "0, 1"),
        ("data", {"conv1": []}),
        ("skipped", [{"layer": "conv1"}]),
        ("extra", 1),
    ],
)
def test_a_file_of_another_form_is_damaged(alignment, tmp_path, where, value):
    write(tmp_path, alignment.to_json() | {where: value})
    with pytest.raises(InputError, match=r"alignment.json is damaged .*; analyse the run again"):
        load_alignment(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [("tau", None), ("tau", ["a"]), ("step", 1.5), ("group", []), ("closed_form", {"eta_t": 1})],
)
def test_a_record_of_another_form_is_damaged(alignment, tmp_path, field, value):
    saved = alignment.to_json()
    saved["records"][2][field] = value
    write(tmp_path, saved)
    with pytest.raises(InputError, match="damaged"):
        load_alignment(tmp_path)
