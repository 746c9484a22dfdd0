"""Figure 20, left: 10 dimensions, 10,000 inputs, layers 2048-256.

    python -m randlabels.main --config=configs/fig20_left.py --workdir=runs/fig20/left

Ten dimensions are slow to memorise. Measured with one network, f at 1.0 and 1.9 (the paper: .381,
.316) at learning rate .02 after 60 epochs: .330, .313; after 200 (78% train accuracy): .384, .309;
after 300 (99.8%): .418, .330.
"""

from ml_collections import ConfigDict

from configs import fig20

DIAGONAL = tuple(round(1 + 0.1 * i, 1) for i in range(10))


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (minutes on a CPU), short (fewer networks), smoke (seconds, for tests)."""
    config = fig20.get_config(budget)
    config.data.diagonal = DIAGONAL
    if budget != "smoke":
        config.optimizer.learning_rate = 0.02
        config.train.epochs = 200
        config.train.checkpoint_epochs = (0, 20, 60, 200)
        config.train.eval_epochs = (0, 20, 60, 200)
    return config
