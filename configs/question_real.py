"""Questions left open, fine-tuning on real labels: scratch, pre-trained and covariance.

    python -m randlabels.main --config=configs/question_real.py:short --workdir=runs/q/real \\
        --config.init.run=runs/q/up

As fig5_real, the first layer taken over; the setting is the same as upstream.
"""

from ml_collections import ConfigDict

from configs import base, question_upstream


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = question_upstream.get_config(budget)
    config.train.task = "downstream"
    config.train.checkpoint_epochs = (0,)
    config.train.eval_epochs = ()
    config.labels.kind = "real"
    config.init.arms = ("scratch", "pretrained", "covariance")
    config.init.layers = ("conv1",)
    config.optimizer.learning_rate = 0.01
    config.train.epochs = 45
    # Seeds of their own: fresh weights and filters independent of the upstream networks.
    config.seed = 1000
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.train.epochs = 8


def _smoke(config: ConfigDict) -> None:
    config.labels.num_classes = 5  # dead leaves
    config.train.epochs = 2
