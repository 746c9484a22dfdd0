"""Which layers a transfer takes over."""

import numpy as np
import pytest

from randlabels.errors import InputError
from randlabels.models.naming import get_layer, layer_paths, layers_to_set

PATHS = ("conv1", "group1/conv2", "dense1", "head")


def test_paths_are_in_natural_order_at_any_depth():
    layer = {"kernel": np.zeros((2, 2)), "bias": np.zeros(2)}
    names = [
        "conv1",
        "conv2",
        "conv10",
        "dense1",
        "dense2",
        "group1/conv2",
        "group10/conv1",
        "head",
    ]
    tree: dict = {}
    for name in reversed(names):
        *folders, last = name.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[last] = layer
    tree["norm1"] = {"scale": np.zeros(2)}  # no kernel, so not a layer
    assert layer_paths(tree) == tuple(names)
    assert get_layer(tree, "group10/conv1") is layer


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (("all",), ("conv1", "group1/conv2", "dense1")),
        (("first:1",), ("conv1",)),
        (("first:2",), ("conv1", "group1/conv2")),
        (("last:1",), ("dense1",)),
        (("last:3",), ("conv1", "group1/conv2", "dense1")),
        (("dense1", "conv1"), ("conv1", "dense1")),
        (("first:1", "last:1", "conv1"), ("conv1", "dense1")),
    ],
)
def test_layers_to_set(chosen, expected):
    assert layers_to_set(chosen, PATHS) == expected


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (("conv3",), "names 'conv3'; .* are conv1, group1/conv2, dense1"),
        (("head",), "names 'head'"),
        (("first:0",), "'first:0', but the model has 3 layers"),
        (("first:4",), "'first:4', but the model has 3 layers"),
        (("last:9",), "'last:9'"),
        (("first:x",), "'first:x'"),
        (("first",), "names 'first'"),
        (("conv1", ""), "names ''"),
    ],
)
def test_wrong_choices_are_refused(chosen, message):
    with pytest.raises(InputError, match=message):
        layers_to_set(chosen, PATHS)


@pytest.mark.parametrize("chosen", ["all", "first:1", "last:1", "conv9"])
def test_without_a_head_layers_are_named_one_by_one(chosen):
    """Else the classifier of random labels would be taken over."""
    with pytest.raises(InputError, match=r"no layer named 'head'.* of conv1, Dense_0\.$"):
        layers_to_set([chosen], ("conv1", "Dense_0"))
    assert layers_to_set(["conv1"], ("conv1", "Dense_0")) == ("conv1",)
