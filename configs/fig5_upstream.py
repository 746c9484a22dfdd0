"""Figure 5, pre-training: simple_cnn learns random labels on CIFAR-10.

    python -m randlabels.main --config=configs/fig5_upstream.py:short --workdir=runs/fig5/upstream

full: the recipe of the measured runs (20,000 images of 32x32, 256 filters, 200 epochs, bfloat16).
short: 4,000 images averaged down to 16x16, 64 filters, float32, for a CPU.
"""

from ml_collections import ConfigDict

from configs import base, simple_cnn_cifar10


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = simple_cnn_cifar10.get_config(budget)
    config.train.checkpoint_epochs = (0, 5, 10, 20, 40, 80, 120, 160, 200)
    config.train.eval_epochs = tuple(range(0, 201, 10))
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.train.checkpoint_epochs = (0, 5, 10, 20, 40, 80, 120)
    config.train.eval_epochs = tuple(range(0, 121, 10))
    config.population.seeds = 5


def _smoke(config: ConfigDict) -> None:
    config.train.checkpoint_epochs = (0, 1, 2)
    config.train.eval_epochs = ()
    config.population.seeds = 2
