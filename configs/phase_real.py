"""Phase diagram, fine-tuning on real labels: all networks of phase_upstream are taken over.

    python -m randlabels.main --config=configs/phase_real.py:short --workdir=runs/phase/real \\
        --config.init.run=runs/phase/up

As many seeds as upstream networks: network k starts from network k, whatever its learning rate was.
All checkpoints of pre-training, and two learning rates downstream, are swept over.
"""

import math

from ml_collections import ConfigDict

from configs import base, phase_upstream


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = phase_upstream.get_config(budget)
    points = math.prod(len(values) for _, values in config.population.sweep)
    config.population.seeds = points * config.population.seeds
    per_epoch = config.data.upstream_size // config.train.batch_size
    steps = tuple(epoch * per_epoch for epoch in config.train.checkpoint_epochs if epoch > 0)
    config.population.sweep = (
        ("init.step", steps),
        ("optimizer.learning_rate", (0.003, 0.01)),
    )
    config.train.task = "downstream"
    config.train.checkpoint_epochs = (0,)
    config.train.eval_epochs = ()
    config.train.epochs = 12
    config.labels.kind = "real"
    config.labels.num_classes = 10
    config.init.arms = ("scratch", "pretrained", "pretrained_unscaled")
    # Seeds of their own: fresh weights independent of the upstream networks.
    config.seed = 1000
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.train.epochs = 10


def _smoke(config: ConfigDict) -> None:
    config.labels.num_classes = 5  # dead leaves
    config.train.epochs = 2
