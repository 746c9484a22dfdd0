"""Phase diagram, pre-training: conv_net learns random labels at several settings.

    python -m randlabels.main --config=configs/phase_upstream.py:short --workdir=runs/phase/up

The study varies the number of random classes and the initial scale (a run each) and the learning
rate (a sweep), and keeps checkpoints of three lengths.
full: 10,000 images. Not measured; 9 networks x 3,900 steps a run.
short: 1,000 images averaged down to 16x16.
"""

from ml_collections import ConfigDict

from configs import base, conv_net_upstream


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = conv_net_upstream.get_config(budget)
    config.data.upstream_size = 10_000
    config.data.downstream_size = 10_000
    config.train.checkpoint_epochs = (0, 10, 30, 100)
    config.population.seeds = 3
    config.population.sweep = (("optimizer.learning_rate", (0.003, 0.01, 0.03)),)
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.data.upstream_size = 1_000
    config.data.downstream_size = 1_000
    config.data.test_size = 500
    config.train.checkpoint_epochs = (0, 10, 30, 80)
    config.population.sweep = (("optimizer.learning_rate", (0.003, 0.015)),)


def _smoke(config: ConfigDict) -> None:
    config.data.upstream_size = 64
    config.data.downstream_size = 64
    config.train.epochs = 3
    config.train.checkpoint_epochs = (0, 1, 2, 3)
    config.population.sweep = (("optimizer.learning_rate", (0.003, 0.015)),)
    config.population.seeds = 2
