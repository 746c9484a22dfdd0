"""The registry of arms: cheap to import, complete, and all that a new arm needs."""

import subprocess
import sys

import numpy as np
import pytest

from randlabels.errors import InputError
from randlabels.figures import style
from randlabels.training.check import check
from randlabels.training.setup import prepare
from randlabels.transfer.registry import ARMS, Arm

FIELDS = {
    "layers", "run", "step", "covariance", "curve", "centered", "match", "biases", "images",
}  # fmt: skip


def test_registry_is_imported_without_what_asks_it():
    script = (
        "import sys, randlabels.transfer.registry\n"
        "print(*[name for name in sys.modules if name.startswith(('randlabels.', 'configs'))])"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = set(done.stdout.split())
    assert "randlabels.transfer.registry" in found
    above = ("randlabels.training", "randlabels.figures", "randlabels.studies")
    assert not [name for name in found if name.startswith(above)]


def test_entries_are_complete():
    for name, arm in ARMS.items():
        assert arm.name == name
        assert style.arm_label(name) == arm.label
        assert style.arm_colour(name).startswith("#")
        assert arm.reads <= FIELDS
        assert (arm.copy is None) + (arm.draw is None) == (2 if name == "scratch" else 1)
        assert ("layers" in arm.reads) == (name != "scratch")
    assert len({arm.label for arm in ARMS.values()}) == len(ARMS)
    assert len({(arm.colour, arm.line) for arm in ARMS.values()}) == len(ARMS)


@pytest.mark.parametrize(
    ("arm", "curve", "reads"),
    [
        ("scratch", "measured", False),
        ("pretrained", "power:1", True),
        ("covariance", "power:1", True),
        ("procrustes_covariance", "power:1", True),
        ("by_rank", "power:1", True),
        ("shuffled", "power:1", True),
        ("aligned", "power:1", False),
        ("aligned", "measured", True),
        ("aligned", "fitted", True),
        ("orthogonal", "measured", False),
    ],
)
def test_arms_that_read_a_run(arm, curve, reads):
    assert ARMS[arm].reads_run(curve) == reads


def test_a_new_arm_is_a_function_and_its_entry(monkeypatch, tiny_config):
    def constant(layer):
        return np.full(layer.shape, 1.0 + layer.row.seed)

    entry = Arm("constant", "constant filters", "sky", frozenset({"layers"}), draw=constant)
    monkeypatch.setitem(ARMS, "constant", entry)
    changes = {"init.arms": ("scratch", "constant"), "init.layers": ("conv1",)}
    setup = prepare(check(tiny_config(changes)))
    assert [row.layers for row in setup.table] == [None] * 2 + [("conv1",)] * 2
    kernels = setup.state["params"]["conv1"]["kernel"]
    for scratch, ours in zip(kernels[:2], kernels[2:], strict=True):
        np.testing.assert_array_equal(ours, np.full_like(ours, ours.flat[0]))
        assert np.linalg.norm(ours) == pytest.approx(np.linalg.norm(scratch), rel=1e-6)
    assert style.arm_label("constant") == "constant filters"
    unread = tiny_config(changes | {"init.match": "weight_norm"})
    with pytest.raises(InputError, match="init.match .* arm scratch, constant does not read it"):
        check(unread)
