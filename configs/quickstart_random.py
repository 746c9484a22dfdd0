"""Quickstart, fine-tuning on random labels: four arms, first layer taken over.

    python -m randlabels.main --config=configs/quickstart_random.py --workdir=runs/q/random \\
        --config.init.run=runs/q/upstream
"""

from ml_collections import ConfigDict

from configs import quickstart_real


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full and short are the same, smoke takes seconds."""
    config = quickstart_real.get_config(budget)
    config.labels.kind = "random"
    return config
