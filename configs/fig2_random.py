"""Figures 2 and 4 (simple_cnn): simple_cnn learns random labels on CIFAR-10.

    python -m randlabels.main --config=configs/fig2_random.py:short --workdir=runs/fig2/random

Figure 4 names epochs 5, 10, 20 and 40 of 50,000 images in batches of 256: 195 steps each. Steps are
what moves the weights, so fewer images stand in for them with more epochs: checkpoints are where
the number of steps is the paper's (about 980, 1,950, 3,900, 7,800).

full: the recipe of fig5_upstream (20,000 images of 32x32, 256 filters, bfloat16), 78 steps an
epoch: the paper's epochs are 13, 25, 50, 100. Expected of 4 networks pooled at the end: M(data) .37
(its floor .372), M(random bases) 4.8; f .10 at small eigenvalues, .23 at 1.15, .09 at 20.9.
short: 4,000 images averaged down to 16x16, 64 filters, float32, 62 steps an epoch: the paper's
epochs are 16, 31, 63, 126. Ten minutes on 4 busy cores. Measured with 6 networks pooled: M(data)
1.16 at initialisation and 1.25 at the end (floor .84 to 1.13), M(random bases) 1.17 and 14.5; f .10
at small eigenvalues, .39 at 1.65, .22 at 18.1; 100% train accuracy from epoch 63.
"""

from ml_collections import ConfigDict

from configs import base, simple_cnn_cifar10


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = simple_cnn_cifar10.get_config(budget)
    config.data.downstream_size = 0
    config.train.checkpoint_epochs = (0, 2, 5, 13, 25, 50, 100, 150, 200)
    config.train.eval_epochs = config.train.checkpoint_epochs
    config.population.seeds = 8
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.data.test_size = 1_000
    config.train.epochs = 126
    config.train.checkpoint_epochs = (0, 4, 8, 16, 31, 63, 94, 126)
    config.train.eval_epochs = config.train.checkpoint_epochs
    config.population.seeds = 6


def _smoke(config: ConfigDict) -> None:
    config.labels.num_classes = 5  # as many as real ones: both label kinds are one program
    config.train.batch_size = 32
    config.train.epochs = 4
    config.train.checkpoint_epochs = (0, 1, 2, 3, 4)
    config.train.eval_epochs = ()
    config.population.seeds = 3
