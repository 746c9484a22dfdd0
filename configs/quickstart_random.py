"""Quickstart, fine-tuning on 10 random classes: four arms, first layer taken over.

    python -m randlabels.main --config=configs/quickstart_random.py --workdir=runs/q/random \\
        --config.init.run=runs/q/upstream

More classes than upstream: 5 are learned so fast that seeds differ more than arms.
"""

from ml_collections import ConfigDict

from configs import base, quickstart_real


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full and short are the same, smoke takes seconds."""
    config = quickstart_real.get_config(budget)
    config.labels.kind = "random"
    config.labels.num_classes = 10
    config.train.epochs = 24
    return base.at_budget(config, budget, {"short": lambda _: None, "smoke": _smoke})


def _smoke(config: ConfigDict) -> None:
    config.train.epochs = 3
