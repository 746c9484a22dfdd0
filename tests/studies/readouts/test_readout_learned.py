"""Which networks are pooled, and what tables say of them."""

import types

import numpy as np
import pytest

from randlabels.analysis.alignment_of_run import Group
from randlabels.analysis.control_bases import Controls
from randlabels.analysis.controlled import compare
from randlabels.analysis.input_bases import InputBasis
from randlabels.analysis.learned import FirstLayerBases, LearnedAlignment
from randlabels.eigen import random_bases
from randlabels.studies.readouts import learned
from randlabels.studies.readouts.learned import LEARNED, WEIGHTS, basis_rows, learned_rows

VECTORS, WRONG, TURNED = random_bases(4, 3, 0)
CONTROLS = Controls({"wrong": WRONG, "turned": TURNED}, {"wrong": 9.0, "turned": 0.0}, ("turned",))


def alignment(sizes, filters=30):
    """Filters along VECTORS, and the same beside isotropic ones."""
    rng = np.random.default_rng(0)
    change = [
        VECTORS @ (np.geomspace(3, 0.3, 4)[:, None] * rng.standard_normal((n, 4, filters)))
        for n in sizes
    ]
    whole = [own + rng.standard_normal(own.shape) for own in change]
    both = [compare(of, VECTORS, CONTROLS, random_bases=9, flips=19) for of in (change, whole)]
    groups = tuple(tuple(range(n)) for n in sizes)
    return LearnedAlignment("conv1", 4, groups, np.ones(4), CONTROLS, *both)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (6, [[0], [2], [3], [4], [5], [7]]),  # 1.5 for each of 4 dimensions
        (5, [[0, 2], [4, 5]]),
        (2, [[0, 2, 3]]),
        (1, []),
    ],
)
def test_as_few_networks_are_pooled_as_have_filters_enough(monkeypatch, filters, expected):
    rows = [Group({"arm": "a"}, [0, 2, 3]), Group({"arm": "b"}, [4, 5, 7])]
    if filters == 2:
        rows = rows[:1]
    kernels = np.zeros((8, 4, filters))
    monkeypatch.setattr(learned, "groups_of", lambda run: rows)
    monkeypatch.setattr(learned, "read_kernels", lambda run, step, layer: kernels)
    bases = FirstLayerBases("dense1", (4,), InputBasis(np.ones(4), VECTORS), {}, CONTROLS)
    assert learned.default_groups(types.SimpleNamespace(steps=(0, 5)), bases) == expected


def test_rows_of_runs_have_the_same_columns_and_the_numbers_of_the_reading():
    found = alignment([1, 1, 1])
    rows = learned_rows({"one": found, "two": alignment([2, 3])})
    assert [(row["run"], row["of"]) for row in rows] == [
        (run, of) for run in ("one", "two") for of in (LEARNED, WEIGHTS)
    ]
    assert len({tuple(row) for row in rows}) == 1
    values = found.learned.data
    assert rows[0]["M(data)"] == f"{values.mean():.2f} ({values.min():.2f} to {values.max():.2f})"
    assert rows[0]["log(best control / data)"].startswith(
        f"{found.learned.log_ratio.mean():+.3f} ["
    )
    assert (rows[0]["groups"], rows[0]["networks in a group"]) == (3, "1")
    assert (rows[2]["groups"], rows[2]["networks in a group"]) == (2, "2 to 3")
    assert rows[0]["the same, by network"] == "none"
    assert rows[2]["the same, by network"] != "none"


def test_groups_without_a_value_are_said():
    some = learned_rows({"": alignment([1, 1], filters=4)})[0]  # no more filters than dimensions
    assert (some["groups"], some["M(data)"], some["specificity"]) == (0, "none", "none")
    one = learned._interval(np.array([0.5, np.nan]))
    assert one == "+0.500, 1 of 2 groups"


def test_every_basis_has_a_row():
    found = alignment([1, 1])
    rows = basis_rows(found)
    assert [row["basis"] for row in rows] == [
        "eigenvectors of the data",
        "wrong",
        "turned (a symmetry, not counted)",
        "nearest of 9 random bases",
        "exactly aligned (sign flips)",
    ]
    least = found.weights.random.min(axis=1)
    assert rows[3][WEIGHTS] == f"{least.mean():.2f} ({least.min():.2f} to {least.max():.2f})"
    assert set(rows[0]) == {"basis", LEARNED, WEIGHTS}
