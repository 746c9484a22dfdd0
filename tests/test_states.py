"""Which networks are called diverged, dead, untrained or fine, from records of evaluations."""

import numpy as np
import pytest

from randlabels import states
from randlabels.errors import AllLostError
from randlabels.networks import Network
from randlabels.states import Chance, Watch

CHANCE = Chance(loss=1.6, accuracy=np.full(2, 0.25), examples=400)


def seen(*records, chance=CHANCE, finished=True, init_scale=1.0):
    """The table of two networks after these records; values that are not given are harmless."""
    table = [Network(k, "scratch", seed=k, init_scale=init_scale) for k in range(2)]
    watch = Watch(table, chance)
    harmless = {"train_loss": 1.0, "loss": 1.0, "train_accuracy": 0.9, "norm": 2.0, "dead": 0.1}
    for epoch, changes in enumerate(records):
        record = {name: [value, value] for name, value in harmless.items()} | {"epoch": epoch}
        for name, value in changes.items():
            record[name] = [harmless[name], value]  # network 0 is always fine
        record["dead"] = {"conv1": [0.0, 0.0], "dense1": record["dead"]}
        watch.see(record)
    if finished:
        watch.finish()
    assert table[0].state == "fine"
    return table[1]


def test_a_network_that_learns_is_fine():
    row = seen({}, {"dead": 0.99}, {"train_loss": 0.1, "norm": 900.0})
    assert (row.state, row.healthy, row.lost) == ("fine", True, False)


@pytest.mark.parametrize("name", ["train_loss", "loss", "norm"])
@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_what_is_not_finite_has_diverged_at_once_and_for_good(name, value):
    row = seen({}, {name: value}, {}, {}, finished=False)
    assert (row.state, row.diverged_epoch) == ("diverged", 1)


@pytest.mark.parametrize(("name", "value"), [("train_loss", 161.0), ("norm", 1001.0)])
def test_beyond_the_bounds_three_times_in_a_row_is_diverged_since_the_first(name, value):
    far = {name: value}
    assert seen({}, far, far, {}, far, far, {}).state == "fine"
    row = seen({}, {}, far, far, far, {}, {})
    assert (row.state, row.diverged_epoch) == ("diverged", 2)
    assert seen({}, far, far, finished=False).state == "fine"
    assert seen({}, far, far).diverged_epoch == 1  # and at the last evaluation
    assert seen({}, {}, {name: value - 2}).state == "fine"


def test_bounds_are_relative_to_the_start():
    """A network that starts with large weights has not diverged by having them still."""
    start = {"train_loss": 1000.0, "norm": 5000.0}
    assert seen(*[start] * 4, init_scale=10.0).state == "fine"
    assert seen(*[start] * 4).state == "diverged"  # weights of fresh ones are of size 1
    far = {"train_loss": 100_001.0}
    assert seen({"train_loss": 1000.0}, *[far] * 3, init_scale=10.0).diverged_epoch == 1


def test_dead_since_when_and_only_if_to_the_end():
    dead = {"dead": 1.0}
    row = seen({}, dead, {}, dead, dead)
    assert (row.state, row.dead_epoch, row.healthy, row.lost) == ("dead", 3, False, True)
    assert seen({}, dead, dead, {}).state == "fine"
    assert seen(dead, dead, dead).dead_epoch == 0


def test_a_dead_network_whose_weights_have_exploded_has_diverged():
    row = seen({}, *[{"dead": 1.0, "norm": 1.5e24, "train_loss": 1295.0}] * 3)
    assert (row.state, row.diverged_epoch, row.dead_epoch) == ("diverged", 1, None)


def test_untrained_is_a_binomial_bound_at_the_end():
    """400 examples, of which 100 are right by chance: P(X >= 127) = .0014, P(X >= 128) = .00097."""

    def at_end(correct):
        return seen({}, {"train_accuracy": correct / 400})

    assert (at_end(127).state, at_end(127).untrained_epoch) == ("untrained", 1)
    assert at_end(127).healthy
    assert at_end(128).state == "fine"
    assert at_end(0).state == "untrained"
    assert seen({}, {"train_accuracy": 0.25}, finished=False).state == "fine"
    assert seen({}, {"train_accuracy": 0.25}, {}).state == "fine"  # it learned later
    assert seen({}, {"train_accuracy": 0.25, "dead": 1.0}).untrained_epoch is None


def test_chance_is_the_best_constant_answer():
    chance = Chance.of(np.array([[0, 0, 0, 1], [0, 1, 2, 3]]), 1.6)
    np.testing.assert_array_equal(chance.accuracy, [0.75, 0.25])
    assert chance.examples == 4


def test_what_is_said_of_a_run():
    rows = [
        Network(0, "scratch", 0),
        Network(1, "scratch", 1, untrained_epoch=3),
        Network(2, "scratch", 2, diverged_epoch=1, dead_epoch=1),
        Network(3, "scratch", 3, dead_epoch=2),
    ]
    assert states.counts(rows) == {"fine": 1, "untrained": 1, "dead": 1, "diverged": 1}
    assert states.summary(rows) == "4 networks: 1 fine, 1 untrained, 1 dead, 1 diverged"
    assert states.summary(rows[:1]) == "1 network, all fine"
    assert states.summary(rows[1:2]) == "1 network: 1 untrained"
    states.refuse_if_all_lost("runs/a", rows)
    with pytest.raises(AllLostError, match=r"runs/a are lost \(2 networks: 1 dead, 1 diverged\)"):
        states.refuse_if_all_lost("runs/a", rows[2:])
