"""Figure 1, positive setting, pre-training: vgg16 learns 5 random classes on CIFAR-10.

    python -m randlabels.main --config=configs/fig1_positive_upstream.py:short \\
        --workdir=runs/fig1/positive

full: the recipe of the measured runs (20,000 images, batch 256, He, lr .01, x1/3 at half, 120
epochs, bfloat16): 100% train accuracy. Not run as part of this study.
short: 400 images, channels an eighth, batch 16, for a CPU: about 100 s. Expected: at least 95%
train accuracy.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = base.get_config()
    config.data.name = "cifar10"
    config.data.upstream_size = 20_000
    config.data.downstream_size = 25_000
    config.data.test_size = 0
    config.data.image_size = 0
    config.labels.num_classes = 5
    config.model.name = "vgg16"
    config.model.init_scale = 2**0.5
    config.optimizer.learning_rate = 0.01
    config.optimizer.decay_at = (0.5,)
    config.train.epochs = 120
    config.train.batch_size = 256
    config.train.precision = "bfloat16"
    config.train.checkpoint_epochs = (0, 3, 12, 40, 120)
    config.train.eval_epochs = tuple(range(0, 121, 10))
    config.population.seeds = 3
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.data.upstream_size = 400
    config.data.downstream_size = 400
    config.data.test_size = 200
    config.model.width = 0.125
    # A sixteenth of the batch: at .01 the noise of the gradient keeps it from learning.
    config.optimizer.learning_rate = 0.003
    config.train.epochs = 60
    config.train.batch_size = 16
    config.train.precision = "float32"
    config.train.checkpoint_epochs = (0, 4, 12, 30, 60)
    config.train.eval_epochs = tuple(range(0, 61, 10))


def _smoke(config: ConfigDict) -> None:
    _short(config)
    config.data.name = "dead_leaves"
    config.data.image_size = 32
    config.data.upstream_size = 32
    config.data.downstream_size = 32
    config.data.test_size = 16
    config.model.width = 0.04
    config.train.epochs = 2
    config.train.checkpoint_epochs = (0, 1, 2)
    config.train.eval_epochs = ()
    config.population.seeds = 2
