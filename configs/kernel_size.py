"""Kernel size against misalignment (a reviewer's conjecture): simple_cnn with random labels.

    python -m randlabels.main --config=configs/kernel_size.py:short --workdir=runs/k/kernel_5 \\
        --config.model.kernel_size=5

This is kernel size 3; the study changes it to 5 and 7 (d = 27, 75, 147). Networks are pooled into
disjoint groups of at least 220 filters, the same for all kernel sizes.

full: the recipe of fig5_upstream, 9 networks, each a group of 256 filters. Not measured.
short: 3,000 images averaged down to 16x16, 24 networks of 64 filters and 32 dense units: 6 groups;
15 minutes on 4 cores. Measured, corrected for the floor, for 3x3, 5x5, 7x7: M(data) .08 ± .03,
-.05 ± .10, -.12 ± .68; M(random bases) 6.6, 22.7, 45.7; train accuracy .95 to .98.
"""

from ml_collections import ConfigDict

from configs import base, simple_cnn_cifar10


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = simple_cnn_cifar10.get_config(budget)
    config.data.downstream_size = 0
    config.train.checkpoint_epochs = (0, 13, 50, 100, 200)
    config.train.eval_epochs = tuple(range(0, 201, 10))
    config.population.seeds = 9
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.data.upstream_size = 3_000
    config.data.test_size = 500
    config.model.widths = (32,)
    config.optimizer.decay_at = ()
    config.train.epochs = 54
    config.train.checkpoint_epochs = (0, 6, 18, 54)
    config.train.eval_epochs = (0, 18, 54)
    config.population.seeds = 24


def _smoke(config: ConfigDict) -> None:
    config.data.test_size = 16
    config.model.filters = 224
    config.model.widths = (8,)
    config.optimizer.decay_at = ()
    config.train.batch_size = 32
    config.train.checkpoint_epochs = (0, 2)
    config.train.eval_epochs = ()
    config.population.seeds = 3
