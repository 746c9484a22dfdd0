"""Networks that were taken over and compute something else are found out."""

import logging
from types import SimpleNamespace
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import pytest

from randlabels.models.flow import flow_of
from randlabels.models.naming import get_layer
from randlabels.networks import Network
from randlabels.transfer import rescale_to_reference
from randlabels.transfer.same_function import change, warn_of_changed_functions

pytestmark = pytest.mark.usefixtures("quick_programs")

IMAGES = np.random.default_rng(0).standard_normal((20, 5)).astype(np.float32)


class Chain(nn.Module):
    """Two layers behind each other, or the same one twice."""

    second: str

    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        first = nn.Dense(5, name="z")
        second = first if self.second == "z" else nn.Dense(5, name=self.second)
        x = nn.relu(second(nn.relu(first(x))))
        return nn.Dense(3, name="a")(x)


def started(model, grow=3.0):
    """(variables of two sources, of two networks that take over the first, rescaled)."""
    rng = np.random.default_rng(1)
    fresh = model.init(jax.random.key(0), IMAGES[:1])
    trained = jax.tree.map(lambda x: grow * np.float32(rng.normal(size=x.shape)), fresh)
    flow = flow_of(model, (5,))
    params = rescale_to_reference(trained["params"], fresh["params"], flow)
    both = jax.tree.map(lambda x: np.stack([x, x]), trained)
    return both, {"params": jax.tree.map(lambda x: np.stack([x, x]), params)}, flow


@pytest.mark.parametrize(("second", "changes"), [("y", False), ("z", True)])
def test_a_kernel_that_is_used_twice_changes_what_is_computed(second, changes, caplog):
    model = Chain(second)
    trained, ours, flow = started(model)
    earlier = SimpleNamespace(
        checkpoint=lambda step: SimpleNamespace(variables=trained),
        run=SimpleNamespace(workdir="upstream"),
    )
    table = [
        Network(0, "scratch", 0),
        Network(1, "pretrained", 1, source=0, source_step=9, layers=("all",)),
    ]
    with caplog.at_level(logging.WARNING, logger="absl"):
        warn_of_changed_functions(model, table, ours, earlier, flow, IMAGES)
    said = "Arm pretrained: network 1 computes something else below its head than network 0 of up"
    assert (said in caplog.text) == changes


def test_the_share_is_that_of_the_best_multiple():
    model = Chain("y")
    trained, ours, flow = started(model)
    theirs, own = (jax.tree.map(lambda x: x[0], tree) for tree in (trained, ours))
    assert change(model, theirs, own, flow.head, IMAGES) < 1e-5
    get_layer(own["params"], "y")["bias"] += 1.0

    def logits(tree):
        params = tree["params"] | {"a": own["params"]["a"] | {"bias": np.zeros(3)}}
        return np.asarray(model.apply({"params": params}, IMAGES), np.float64).ravel()

    before, after = logits(theirs), logits(own)
    left = after - before * (before @ after) / (before @ before)
    expected = np.linalg.norm(left) / np.linalg.norm(after)
    found = change(model, theirs, own, flow.head, IMAGES)
    assert found == pytest.approx(expected, rel=1e-4)
    assert found > 0.05
    assert np.any(own["params"]["a"]["bias"] == ours["params"]["a"]["bias"][0])  # not changed
