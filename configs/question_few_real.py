"""Questions left open, fine-tuning on real labels after question_few_upstream.

    python -m randlabels.main --config=configs/question_few_real.py:short --workdir=runs/few_real \\
        --config.init.run=runs/few

Longer than question_real, for the same slow networks.
"""

from ml_collections import ConfigDict

from configs import base, question_few_upstream, question_real


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = question_real.get_config(budget)
    config.data = question_few_upstream.get_config(budget).data  # the same split of the images
    return base.at_budget(config, budget, {"short": _short, "smoke": lambda _: None})


def _short(config: ConfigDict) -> None:
    config.train.epochs = 40
