"""Questions left open (issues of reviewers and reports), pre-training: random labels, CIFAR-10.

    python -m randlabels.main --config=configs/question_upstream.py:short --workdir=runs/q/up

The studies `augmentation`, `activations`, `optimisers` and `datasets` change one thing at a time.
full: the recipe of simple_cnn_cifar10, 5 networks: about a minute a setting on one H100.
short: half the images, three quarters of the filters; about 25 s a setting on 4 cores.
"""

from ml_collections import ConfigDict

from configs import base, simple_cnn_cifar10


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = simple_cnn_cifar10.get_config(budget)
    config.train.checkpoint_epochs = (0, 20, 80, 200)
    config.train.eval_epochs = tuple(range(0, 201, 20))
    config.population.seeds = 5
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.data.upstream_size = 2_000
    config.data.downstream_size = 2_000
    config.data.test_size = 1_000
    config.model.filters = 48
    config.model.widths = (32,)
    config.optimizer.learning_rate = 0.003
    config.train.epochs = 50
    config.train.checkpoint_epochs = (0, 50)
    config.train.eval_epochs = (0, 25, 50)
    config.population.seeds = 4


def _smoke(config: ConfigDict) -> None:
    config.train.checkpoint_epochs = (0, 2)
    config.train.eval_epochs = ()
    config.population.seeds = 2
