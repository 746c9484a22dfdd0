"""Figure 6: vgg16 learns the real labels of CIFAR-10, its first layers set from data alone.

    python -m randlabels.main --config=configs/fig6_vgg16.py:short --workdir=runs/fig6/vgg16

The study sweeps over layers and curves.
full: 25,000 images, full width, bfloat16. Not measured; 13 networks x 3 seeds x 1,170 steps at 2.0
ms a step are 1.5 minutes on one H100, and the moments of 2,000 images some minutes more.
short: an eighth of the channels, 1,000 images of 32x32.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = base.cifar10()
    config.train.task = "downstream"
    config.labels.kind = "real"
    config.init.arms = ("scratch", "aligned")
    config.labels.num_classes = 10
    config.model.name = "vgg16"
    config.model.init_scale = 2**0.5
    config.optimizer.learning_rate = 0.01
    config.train.epochs = 12
    config.train.batch_size = 256
    config.train.precision = "bfloat16"
    config.population.seeds = 3
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.data.upstream_size = 0
    config.data.downstream_size = 1_000
    config.data.test_size = 500
    config.model.width = 0.125
    config.train.batch_size = 64
    config.train.precision = "float32"
    config.train.epochs = 16
    config.train.eval_epochs = tuple(range(0, 17, 2))
    config.init.images = 400


def _smoke(config: ConfigDict) -> None:
    _short(config)
    config.data.name = "dead_leaves"
    config.data.image_size = 32
    config.data.downstream_size = 32
    config.data.test_size = 16
    config.labels.num_classes = 5
    config.model.width = 0.03
    config.train.batch_size = 16
    config.train.epochs = 2
    config.train.eval_epochs = ()
    config.population.seeds = 2
    config.init.images = 16
