"""Proposition 1: Gaussian inputs, random labels; weights align with the data whatever the training.

    python -m randlabels.main --config=configs/proposition1.py --workdir=runs/proposition1/base

The study changes width, depth, loss and optimizer, rotates the inputs, and breaks the assumptions.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (minutes on a CPU), short (fewer networks), smoke (seconds, for tests)."""
    config = base.get_config()
    config.data.name = "gaussian"
    config.data.diagonal = tuple(round(0.25 * i, 2) for i in range(1, 11))
    config.data.diagonal_holds = "standard_deviations"
    config.data.image_size = 0
    config.data.upstream_size = 10_000
    config.data.downstream_size = 0
    config.labels.num_classes = 10
    config.model.name = "mlp"
    config.model.widths = (64,)
    config.model.init_scale = 0.5
    config.optimizer.learning_rate = 0.02
    config.train.epochs = 40
    config.train.batch_size = 100
    config.train.eval_epochs = (0, 40)
    config.population.seeds = 64
    config.seed = 5000
    config.labels.seed = 5000
    config.data.seed = 1
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.population.seeds = 32


def _smoke(config: ConfigDict) -> None:
    config.data.upstream_size = 200
    config.data.test_size = 16
    config.train.epochs = 2
    config.train.eval_epochs = ()
    config.population.seeds = 16
