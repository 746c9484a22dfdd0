"""Work done ahead: in order, wherever it starts, and without processes left behind."""

import functools
import multiprocessing
import os
import signal

import numpy as np
import pytest

from randlabels.data.ahead import ahead
from randlabels.data.errors import DataError
from randlabels.errors import InputError


def squares(length, item):
    if item == length:
        raise DataError(f"item {item} is gone.")
    return np.full(3, item**2), item


@pytest.mark.parametrize("processes", [0, 2])
def test_items_come_in_order_from_where_they_are_wanted(processes):
    function = functools.partial(squares, 100)
    with ahead(function, 9, first=4, processes=processes) as items:
        found = list(items)
    assert [item for _, item in found] == [4, 5, 6, 7, 8]
    assert all(np.array_equal(array, np.full(3, item**2)) for array, item in found)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("processes", [0, 2])
def test_what_fails_is_raised_where_it_is_used(processes):
    with ahead(functools.partial(squares, 2), 5, processes=processes) as items:
        assert next(items)[1] == 0
        assert next(items)[1] == 1
        with pytest.raises(DataError, match="item 2 is gone"):
            next(items)
    assert not multiprocessing.active_children()


def test_nothing_is_left_of_what_is_not_used():
    with ahead(functools.partial(squares, 10**6), 10**6, processes=2) as items:
        assert next(items)[1] == 0
    assert not multiprocessing.active_children()


def test_a_killed_worker_is_one_sentence():
    with ahead(functools.partial(squares, 10**6), 10**6, processes=2) as items:
        assert next(items)[1] == 0
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        with pytest.raises(InputError, match="a process that decodes images was killed"):
            list(items)
    assert not multiprocessing.active_children()
