"""Table 1 and study `layers`, pre-training: conv_net (4 convolutions) learns 5 random classes.

    python -m randlabels.main --config=configs/conv_net_upstream.py:short --workdir=runs/layers/up

full: 20,000 images of CIFAR-10, 64 to 128 channels, bfloat16. Not measured; about 3 minutes on one
H100, taking simple_cnn's .69 ms a step and network for 5 x 7,800 steps.
short: 1,500 images averaged down to 16x16, 16 to 32 channels, float32; 25 s on 4 cores with one
device for each (JAX_NUM_CPU_DEVICES=4). Measured: 100% train accuracy.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = base.cifar10()
    # Few random classes and the He scale: the setting in which vgg16's transfer is positive.
    config.labels.num_classes = 5
    config.model.name = "conv_net"
    config.model.init_scale = 2**0.5
    config.model.channels = (64, 128, 128, 128)
    config.model.widths = (128,)
    config.optimizer.learning_rate = 0.003
    config.train.epochs = 100
    config.train.batch_size = 256
    config.train.precision = "bfloat16"
    config.train.eval_epochs = tuple(range(0, 101, 10))
    config.population.seeds = 5
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.data.upstream_size = 1_500
    config.data.downstream_size = 1_500
    config.data.test_size = 1_000
    config.data.image_size = 16
    config.model.channels = (16, 32, 32, 32)
    config.model.widths = (64,)
    config.train.epochs = 80
    config.train.batch_size = 64
    config.train.precision = "float32"
    config.train.eval_epochs = (0, 20, 40, 60, 80)
    config.population.seeds = 4


def _smoke(config: ConfigDict) -> None:
    _short(config)
    config.data.name = "dead_leaves"
    config.data.upstream_size = 64
    config.data.downstream_size = 64
    config.data.test_size = 16
    config.model.channels = (14, 4, 4, 4)  # two networks pooled have more filters than 27
    config.model.widths = (4,)
    config.train.batch_size = 32
    config.train.epochs = 2
    config.train.eval_epochs = ()
    config.population.seeds = 2
