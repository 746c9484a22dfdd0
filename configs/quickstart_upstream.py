"""Quickstart, pre-training: simple_cnn learns 5 random classes on dead leaves.

python -m randlabels.main --config=configs/quickstart_upstream.py --workdir=runs/q/upstream
"""

from ml_collections import ConfigDict

from configs import base


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full and short are the same, smoke takes seconds."""
    config = base.get_config()
    config.train.checkpoint_epochs = (0, 5, 10, 20, 40, 80)
    config.train.eval_epochs = (0, 5, 10, 20, 40, 60, 80)
    config.population.seeds = 8
    config.seed = config.labels.seed = 100  # not the seeds on which the study's levels were chosen
    return base.at_budget(config, budget, {"short": lambda _: None, "smoke": _smoke})


def _smoke(config: ConfigDict) -> None:
    config.data.upstream_size = 128
    config.data.downstream_size = 128
    config.data.test_size = 64
    config.train.epochs = 2
    config.train.checkpoint_epochs = (0, 1, 2)
    config.train.eval_epochs = ()
    config.population.seeds = 2
