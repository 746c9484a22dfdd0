"""Figure 5, fine-tuning on random labels: four arms, first layer taken over.

    python -m randlabels.main --config=configs/fig5_random.py:short --workdir=runs/fig5/random \\
        --config.init.run=runs/fig5/upstream
"""

from ml_collections import ConfigDict

from configs import base, fig5_real


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = fig5_real.get_config(budget)
    config.labels.kind = "random"
    config.optimizer.learning_rate = 0.001
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.optimizer.learning_rate = 0.002
    config.train.epochs = 28


def _smoke(config: ConfigDict) -> None:
    config.optimizer.learning_rate = 0.01
