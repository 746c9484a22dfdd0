"""Figures 2 and 4 (simple_cnn): the same networks as in fig2_random learn the real labels.

    python -m randlabels.main --config=configs/fig2_real.py:short --workdir=runs/fig2/real

Budgets and checkpoints are those of fig2_random, and so are weights and batches of each seed.
short, measured: M(data) 1.16 and 1.25, M(random bases) 1.17 and 11.5; f .10 at small eigenvalues,
.36 at 1.65, .17 at 18.1; 100% train accuracy from epoch 63.
"""

from ml_collections import ConfigDict

from configs import base, fig2_random


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = fig2_random.get_config(budget)
    config.labels.kind = "real"
    return base.at_budget(config, budget, {"short": lambda _: None, "smoke": _smoke})


def _smoke(config: ConfigDict) -> None:
    config.labels.num_classes = 5  # dead leaves
