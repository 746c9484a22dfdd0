"""Figure 3: many WideResNets with a 5x5 first layer learn random labels on CIFAR-10.

    python -m randlabels.main --config=configs/fig3.py:short --workdir=runs/fig3/random

Batch norm follows the first layer on every path (the first block has a convolution as shortcut, as
16 filters meet another width), so the loss does not depend on the scale of its filters: Sigma_w is
only defined up to a factor, which eigenvectors and misalignment do not depend on.

full: WRN-28-4, 70 networks of 16 filters (8 groups of 8: 128 filters in 75 dimensions). Not
measured.
short: WRN-10 with half the channels (8, 16, 32) on 2,000 images averaged down to 16x16, 24 networks
in 3 groups; ten minutes on 4 busy cores. Measured: 97% train accuracy; overlap of the leading 1, 5,
10, 20, 40 eigenvectors .00, .16, .45, .74, .86 (chance .01, .07, .13, .27, .53); all networks
pooled, M(data) 8.9 and 9.1 (floor 8.0 to 9.0), M(random bases) 8.8 and 68. f is flat over the 20
largest eigenvalues and lower at the very largest, so the leading eigenvectors have no order.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (hours on a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = base.get_config()
    config.data.name = "cifar10"
    config.data.upstream_size = 20_000
    config.data.downstream_size = 0
    config.data.test_size = 0
    config.data.image_size = 0
    config.labels.num_classes = 10
    config.model.name = "wide_resnet"
    config.model.depth = 28
    config.model.width = 4.0
    config.model.filters = 16
    config.model.kernel_size = 5
    # Gradients of what batch norm follows are as 1 / scale: small weights turn faster.
    config.model.init_scale = 0.5
    config.optimizer.learning_rate = 0.02
    config.optimizer.decay_at = (0.75,)
    config.train.batch_size = 256
    config.train.precision = "bfloat16"
    config.train.epochs = 100
    config.train.checkpoint_epochs = (0, 10, 30, 100)
    config.train.eval_epochs = (0, 10, 30, 50, 80, 100)
    config.population.seeds = 70
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.data.upstream_size = 2_000
    config.data.test_size = 500
    config.data.image_size = 16
    config.model.depth = 10
    config.model.width = 0.5
    config.train.batch_size = 64
    config.train.precision = "float32"
    config.train.epochs = 30
    config.train.checkpoint_epochs = (0, 3, 10, 30)
    config.train.eval_epochs = (0, 3, 10, 20, 30)
    config.population.seeds = 24


def _smoke(config: ConfigDict) -> None:
    _short(config)
    config.data.name = "dead_leaves"
    config.data.upstream_size = 64
    config.data.test_size = 16
    config.model.filters = 120
    config.model.width = 0.125
    config.train.batch_size = 32
    config.train.epochs = 2
    config.train.checkpoint_epochs = (0, 2)
    config.train.eval_epochs = ()
    config.population.seeds = 2
