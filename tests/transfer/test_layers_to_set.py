"""Which layers a transfer takes over."""

import pytest

from randlabels.errors import InputError
from randlabels.models.flow import Flow
from randlabels.transfer.layers_to_set import layers_to_set

FLOW = Flow(("conv1", "group1/conv2", "dense1", "head"), "head", {}, {}, frozenset(), {})


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
    assert layers_to_set(chosen, FLOW) == expected


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
        layers_to_set(chosen, FLOW)


@pytest.mark.parametrize("chosen", ["all", "first:1", "last:1", "conv9"])
def test_without_a_head_layers_are_named_one_by_one(chosen):
    """Else the classifier of random labels would be taken over."""
    flow = Flow(("conv1", "Dense_0"), "", {}, {}, frozenset(), {})
    with pytest.raises(InputError, match=r"none is named 'head'.* of conv1, Dense_0\.$"):
        layers_to_set([chosen], flow)
    assert layers_to_set(["conv1"], flow) == ("conv1",)
