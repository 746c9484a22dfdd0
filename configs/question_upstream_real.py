"""The top of the ladder of initialisations, pre-training: real labels instead of random ones.

python -m randlabels.main --config=configs/question_upstream_real.py:short --workdir=runs/q/up
"""

from ml_collections import ConfigDict

from configs import base, question_upstream


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = question_upstream.get_config(budget)
    config.labels.kind = "real"
    return base.at_budget(config, budget, {"short": lambda _: None, "smoke": _smoke})


def _smoke(config: ConfigDict) -> None:
    config.labels.num_classes = 5  # dead leaves
