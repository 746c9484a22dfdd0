"""Questions left open, pre-training on few images for long: for what is slow to learn.

    python -m randlabels.main --config=configs/question_few_upstream.py:short --workdir=runs/few

Networks with sigmoids, and random labels under random crops and flips, do not learn what
question_upstream asks of them. A quarter of the images at a larger learning rate, for as many steps
as it takes: 11,200 in short, where four networks reach 100% (sigmoid, without crops) and 93% (crops
and flips) in 2 to 3 minutes on 4 cores.
full: 12,800 steps on 2,000 images; not run yet.
"""

from ml_collections import ConfigDict

from configs import base, question_upstream


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = question_upstream.get_config(budget)
    config.data.upstream_size = 2_000
    config.optimizer.learning_rate = 0.01
    config.train.epochs = 1_600
    config.train.checkpoint_epochs = (0, 1_600)
    config.train.eval_epochs = (0, 400, 800, 1_200, 1_600)
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.data.upstream_size = 500


def _smoke(config: ConfigDict) -> None:
    config.data.upstream_size = 64
    config.train.epochs = 2
    config.train.checkpoint_epochs = (0, 2)
    config.train.eval_epochs = ()
