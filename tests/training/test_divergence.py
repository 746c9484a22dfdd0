"""A network that diverges is marked; the others do not notice."""

import json

import jax
import numpy as np
import pytest

from randlabels import load_run
from randlabels.training import loop

RATES = ("optimizer.learning_rate", (0.05, 900.0, 0.01))


def changes(sweep, vectorize, epochs=3):
    return {
        "population.seeds": 1,
        "population.sweep": (sweep,),
        "population.vectorize": vectorize,
        # Even with all ReLUs dead, the head's bias overshoots by a factor of 900 each time.
        "train.loss": "squared",
        "train.epochs": epochs,
    }


@pytest.mark.parametrize("vectorize", ["vmap", "map"])
def test_others_end_as_if_nobody_had_diverged(tiny_config, tmp_path, vectorize):
    healthy = (RATES[0], (0.05, 0.02, 0.01))  # the same shape of the population
    for name, sweep in (("one", RATES), ("none", healthy)):
        loop.train(tiny_config(changes(sweep, vectorize)), tmp_path / name)
    one, none = load_run(tmp_path / "one"), load_run(tmp_path / "none")
    params, expected = (run.params(run.steps[-1]) for run in (one, none))
    assert not np.isfinite(params["dense1"]["kernel"][1]).all()
    for k in (0, 2):
        jax.tree.map(lambda x, y, k=k: np.testing.assert_array_equal(x[k], y[k]), params, expected)
        assert np.isfinite(params["conv1"]["kernel"][k]).all()
    assert [row.diverged_epoch for row in one.networks] == [None, 1, None]
    assert one.status["state"] == "done"
    assert one.status["diverged"] == [1]
    assert one.healthy_networks == [0, 2]
    assert one.metrics[-1]["train_loss"][1] is None  # JSON has no NaN
    assert none.status["diverged"] == []
    assert none.healthy_networks == [0, 1, 2]


def test_divergence_in_the_very_last_update_is_noticed(tiny_config, tmp_path):
    """The batches' losses were finite, the network that is left is not."""
    config = tiny_config(
        changes((RATES[0], (0.0, 1000.0)), "map", epochs=1)
        | {"train.batch_size": 50, "model.init_scale": 1000.0}
    )
    loop.train(config, tmp_path / "run")
    run = load_run(tmp_path / "run")
    assert None not in run.metrics[-1]["loss"]
    assert run.metrics[-1]["train_loss"][1] is None
    assert [row.diverged_epoch for row in run.networks] == [None, 1]


def test_a_run_of_which_nothing_is_left_is_called_diverged(tiny_config, tmp_path):
    loop.train(tiny_config(changes((RATES[0], (900.0, 800.0)), "map")), tmp_path / "run")
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["state"] == "diverged"
    assert status["diverged"] == [0, 1]
