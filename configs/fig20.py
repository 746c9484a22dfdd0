"""Figures 4 (left) and 20: an mlp learns random labels on Gaussian inputs.

    python -m randlabels.main --config=configs/fig20.py --workdir=runs/fig20/middle

This is the middle setting (10,000 inputs of 30 dimensions, layers 2048-256); the study changes it
into the others. The paper's diagonal (0.1, ..., 3.0) is read as standard deviations: the caption
leaves it open, and the study covers both readings.

The learning rate decides how far f falls at the large eigenvalues. Measured in the middle setting,
f at 0.1, 1.1 and 3.0 when training accuracy has reached about 0.9 (the paper: .184, .207, .163):
learning rate .01 gives .186, .195, .184; .02 gives .187, .201, .167; .025 gives .188, .209, .162;
.03 gives .189, .213, .158; at .1 and above the second layer's units die and nothing is learned.
"""

from ml_collections import ConfigDict

from configs import base

DIAGONAL_30 = tuple(round(0.1 * i, 1) for i in range(1, 31))


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (minutes on a CPU), short (fewer networks), smoke (seconds, for tests)."""
    config = base.get_config()
    config.data.name = "gaussian"
    config.data.diagonal = DIAGONAL_30
    config.data.diagonal_holds = "standard_deviations"
    config.data.image_size = 0
    config.data.upstream_size = 10_000
    config.data.downstream_size = 0
    config.labels.num_classes = 10
    config.model.name = "mlp"
    config.model.filters = 48
    config.model.widths = (2048, 256)
    config.model.init_scale = 1.0  # f starts at 1 / sqrt(d), as in the paper's curves
    config.optimizer.learning_rate = 0.025
    config.train.epochs = 60
    config.train.batch_size = 128
    config.train.checkpoint_epochs = (0, 20, 40, 60)
    config.train.eval_epochs = (0, 20, 40, 60)
    config.population.seeds = 5
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.population.seeds = 3


def _smoke(config: ConfigDict) -> None:
    config.data.upstream_size = 128
    config.data.test_size = 16
    config.model.widths = (64, 16)
    config.train.epochs = 2
    config.train.batch_size = 32
    config.train.checkpoint_epochs = (0, 1, 2)
    config.train.eval_epochs = ()
    config.population.seeds = 2
