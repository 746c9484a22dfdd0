"""Figure 5, fine-tuning on real labels: four arms, first layer taken over.

    python -m randlabels.main --config=configs/fig5_real.py:short --workdir=runs/fig5/real \\
        --config.init.run=runs/fig5/upstream
"""

from ml_collections import ConfigDict

from configs import base, fig5_upstream


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = fig5_upstream.get_config(budget)
    config.train.task = "downstream"
    config.train.checkpoint_epochs = (0,)
    config.train.eval_epochs = ()
    config.labels.kind = "real"
    config.init.arms = ("scratch", "pretrained", "pretrained_unscaled", "covariance")
    config.init.layers = ("conv1",)
    config.optimizer.learning_rate = 0.01
    config.train.epochs = 45
    # Seeds of their own: fresh weights, labels and filters independent of the upstream networks.
    config.seed = 1000
    config.labels.seed = 1000
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.train.epochs = 16


def _smoke(config: ConfigDict) -> None:
    config.labels.num_classes = 5  # dead leaves
    config.train.epochs = 3
