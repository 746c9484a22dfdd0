"""Figure 6, Table 1, study `layers`: conv_net learns 10 random classes.

    python -m randlabels.main --config=configs/conv_net_random.py:short --workdir=runs/conv_net/rand

As conv_net_real, but three times as long: random labels are learned more slowly.
"""

from ml_collections import ConfigDict

from configs import base, conv_net_real


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = conv_net_real.get_config(budget)
    config.labels.kind = "random"
    config.train.epochs = 36
    config.train.eval_epochs = tuple(range(0, 37, 3))
    return base.at_budget(config, budget, {"short": lambda _: None, "smoke": _smoke})


def _smoke(config: ConfigDict) -> None:
    config.train.epochs = 2
    config.train.eval_epochs = ()
