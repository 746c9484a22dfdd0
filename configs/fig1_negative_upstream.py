"""Figure 1, negative setting, pre-training: vgg16 learns 50 random classes, hotter and longer.

    python -m randlabels.main --config=configs/fig1_negative_upstream.py:short \\
        --workdir=runs/fig1/negative

full: the recipe of the measured runs (He, lr .03, x1/3 at 70%, 250 epochs): kernel norms grow up to
2.9 times. Not run as part of this study.
short: 400 images, channels an eighth, lr .01, 100 epochs: about 160 s on a CPU. Expected: around
90% train accuracy.
"""

from ml_collections import ConfigDict

from configs import base, fig1_positive_upstream


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = fig1_positive_upstream.get_config(budget)
    config.labels.num_classes = 50
    config.optimizer.decay_at = (0.7,)
    config.optimizer.learning_rate = 0.03
    if budget == "full":
        config.train.epochs = 250
        config.train.checkpoint_epochs = (0, 6, 25, 100, 250)
        config.train.eval_epochs = tuple(range(0, 251, 10))
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.optimizer.learning_rate = 0.01
    config.train.epochs = 100
    config.train.checkpoint_epochs = (0, 4, 12, 40, 100)
    config.train.eval_epochs = tuple(range(0, 101, 10))


def _smoke(config: ConfigDict) -> None:
    config.optimizer.learning_rate = 0.01
