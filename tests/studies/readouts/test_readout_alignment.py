"""Misalignments of single networks at one checkpoint."""

import numpy as np

from randlabels.studies.readouts.alignment import Misalignments, read_misalignments


class Record:
    """What is read of a record of one network."""

    def __init__(self, data, random, floor=None):
        self.misalignment_data, self.misalignment_random, self.floor = data, random, floor


class Alignment:
    """An analysis with records of layers and steps."""

    def __init__(self, records):
        self.records = records

    def single(self, layer, step):
        return self.records[layer, step]


def test_margin_is_to_the_nearest_random_basis_of_each_network():
    random = np.array([[5.0, 4.0], [2.5, 7.0]])
    found = Misalignments(np.array([2.0, 3.0]), random, np.array([1.0]))
    np.testing.assert_allclose(found.margin, [2.0, -0.5])


def test_the_layer_and_the_step_are_those_asked_for():
    records = {
        ("conv1", 5): [Record(2.0, np.array([5.0, 4.0]), np.array([1.0, 1.5]))],
        ("conv1", 0): [Record(0.0, np.array([100.0]))],
        ("dense1", 5): [Record(1.0, np.array([9.0]))],
    }
    found = read_misalignments(Alignment(records), 5)
    np.testing.assert_array_equal(found.margin, [2.0])
    np.testing.assert_array_equal(found.floor, [1.0, 1.5])
    np.testing.assert_array_equal(read_misalignments(Alignment(records), 5, "dense1").margin, [8])


def test_margins_of_networks_with_too_few_filters_are_missing():
    records = {("conv1", 5): [Record(1.0, np.array([4.0, 3.0])), Record(None, None)]}
    found = read_misalignments(Alignment(records), 5)
    np.testing.assert_array_equal(found.margin, [2.0, np.nan])
    singular = {("conv1", 5): [Record(None, None)] * 2}
    assert np.isnan(read_misalignments(Alignment(singular), 5).margin).all()
