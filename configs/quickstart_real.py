"""Quickstart, fine-tuning on real labels: four arms, first layer taken over.

    python -m randlabels.main --config=configs/quickstart_real.py --workdir=runs/q/real \\
        --config.init.run=runs/q/upstream
"""

from ml_collections import ConfigDict

from configs import base, quickstart_upstream


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full and short are the same, smoke takes seconds."""
    config = quickstart_upstream.get_config(budget)
    config.train.task = "downstream"
    config.train.epochs = 16
    config.train.checkpoint_epochs = (0,)
    config.train.eval_epochs = ()
    config.labels.kind = "real"
    config.init.arms = ("scratch", "pretrained", "pretrained_unscaled", "covariance")
    config.init.layers = ("conv1",)
    # Seeds of their own: fresh weights, labels and filters independent of the upstream networks.
    config.seed = 1000
    config.labels.seed = 1000
    return base.at_budget(config, budget, {"short": lambda _: None, "smoke": _smoke})


def _smoke(config: ConfigDict) -> None:
    config.train.epochs = 3
