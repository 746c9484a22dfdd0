"""Appendix B, pre-training: ResNet18-v2 learns 5 random classes on CIFAR-10.

    python -m randlabels.main --config=configs/appendix_b_resnet18_upstream.py:short \\
        --workdir=runs/appendix_b/resnet18

full: 20,000 images, batch 256, lr .01 (x1/3 at half), 60 epochs, bfloat16. Not measured.
short: 500 images averaged down to 16x16, an eighth of the channels, float32, for a CPU.
"""

from ml_collections import ConfigDict

from configs import base


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = base.cifar10()
    config.labels.num_classes = 5
    config.model.name = "resnet18"
    config.model.init_scale = 2**0.5
    config.optimizer.learning_rate = 0.01
    config.optimizer.decay_at = (0.5,)
    config.train.epochs = 60
    config.train.batch_size = 256
    config.train.precision = "bfloat16"
    config.train.eval_epochs = tuple(range(0, 61, 10))
    config.population.seeds = 3
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.data.upstream_size = 500
    config.data.downstream_size = 500
    config.data.test_size = 500
    config.data.image_size = 16
    config.model.width = 0.125
    config.train.batch_size = 64
    config.train.epochs = 50
    config.train.precision = "float32"
    config.train.eval_epochs = (0, 25, 50)


def _smoke(config: ConfigDict) -> None:
    _short(config)
    config.data.name = "dead_leaves"
    config.data.upstream_size = 32
    config.data.downstream_size = 32
    config.data.test_size = 16
    config.model.width = 0.03
    config.train.batch_size = 16
    config.train.epochs = 2
    config.train.eval_epochs = ()
    config.population.seeds = 2
