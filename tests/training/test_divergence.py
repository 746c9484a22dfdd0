"""A network that diverges is marked; the others do not notice."""

import json

import jax
import numpy as np
import pytest

from randlabels import load_run, states
from randlabels.errors import AllLostError
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
    assert one.status["networks"]["diverged"] == 1
    assert sum(one.status["networks"].values()) == 3
    assert one.healthy_networks == [0, 2]
    assert one.metrics[-1]["train_loss"][1] is None  # JSON has no NaN
    assert none.status["networks"]["diverged"] == 0
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


def test_a_run_of_which_nothing_is_left_has_failed(tiny_config, tmp_path):
    config = tiny_config(changes((RATES[0], (900.0, 800.0)), "map"))
    for _ in range(2):  # it says so again when it is asked to continue
        with pytest.raises(AllLostError, match="2 networks: 2 diverged"):
            loop.train(config, tmp_path / "run")
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["state"] == "lost"
    assert status["networks"]["diverged"] == 2


VECTORS = {"data.name": "gaussian", "data.image_size": 0, "data.diagonal": (1.0,) * 4,
           "model.name": "mlp", "model.filters": 48, "model.widths": (4,)}  # fmt: skip


@pytest.fixture
def kill(monkeypatch):
    """A function (networks): in the runs that follow all their hidden units start dead."""
    original = loop.prepare

    def set_networks(networks):
        def prepare(config):
            setup = original(config)
            setup.state["params"]["dense1"]["bias"][networks] = -1000.0
            return setup

        monkeypatch.setattr(loop, "prepare", prepare)

    return set_networks


def test_dead_networks_are_marked_and_counted(tiny_config, tmp_path, kill, caplog):
    """Units that are 0 on every example get no gradient, so they stay dead."""
    kill([1])
    loop.train(tiny_config(VECTORS), tmp_path / "run")
    run = load_run(tmp_path / "run")
    assert [row.state == "dead" for row in run.networks] == [False, True]
    assert run.networks[1].dead_epoch == 0
    assert run.healthy_networks == [0]
    assert run.status["networks"]["dead"] == 1
    assert "networks [1] died" in caplog.text
    kill([0, 1])
    with pytest.raises(AllLostError, match="2 networks: 2 dead"):
        loop.train(tiny_config(VECTORS), tmp_path / "dead")


def test_states_are_the_same_after_an_interruption(tiny_config, tmp_path, monkeypatch):
    """Patience counts evaluations on both sides of it."""
    sweep = (RATES[0], (0.05, 20.0, 900.0))
    settings = {"train.resume_seconds": 0.0, "train.checkpoint_epochs": (0, 2)}
    config = tiny_config(changes(sweep, "map", epochs=6) | VECTORS | settings)
    loop.train(config, tmp_path / "unbroken")
    original = loop._batches

    def failing(setup, epoch):
        if epoch == 3:
            raise RuntimeError("power failure")
        return original(setup, epoch)

    monkeypatch.setattr(loop, "_batches", failing)
    with pytest.raises(RuntimeError, match="power failure"):
        loop.train(config, tmp_path / "broken")
    monkeypatch.setattr(loop, "_batches", original)
    loop.train(config, tmp_path / "broken")
    tables = [(tmp_path / d / "networks.json").read_text() for d in ("unbroken", "broken")]
    assert tables[0] == tables[1]
    assert not all(row.healthy for row in load_run(tmp_path / "broken").networks)


def test_what_is_settled_at_the_end_alone_is_known_again(tiny_config, tmp_path, monkeypatch):
    """Beyond the bounds at the last evaluation only, where a run goes on from its very end."""
    monkeypatch.setattr(states, "LOSS_BOUND", 2.0)
    config = tiny_config(changes((RATES[0], (0.05, 1.0)), "map") | {"train.eval_epochs": (0, 3)})
    run = loop.train(config, tmp_path / "run")
    assert [row.diverged_epoch for row in run.networks] == [None, 3]
    assert np.isfinite(run.metrics[-1]["train_loss"]).all()
    (tmp_path / "run" / "networks.json").unlink()
    assert loop.train(config, tmp_path / "run").networks == run.networks
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    (tmp_path / "run" / "status.json").write_text(json.dumps(status | {"state": "running"}))
    assert loop.train(config, tmp_path / "run").networks == run.networks
