"""Layers in a parameter tree."""

import numpy as np

from randlabels.models.naming import get_layer, layer_paths


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
