"""Figure 20, right: 30 dimensions, 2,000 inputs, layers 256-256.

    python -m randlabels.main --config=configs/fig20_right.py --workdir=runs/fig20/right

Measured with one network, f at 0.1 and 3.0 (the paper: .184, .254) after 400 epochs: .186, .242 at
learning rate .003; .186, .253 at .01; .187, .244 at .05; .189, .219 at .1, where f falls again.
"""

from ml_collections import ConfigDict

from configs import fig20


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (minutes on a CPU), short (fewer networks), smoke (seconds, for tests)."""
    config = fig20.get_config(budget)
    config.model.widths = (64, 16) if budget == "smoke" else (256, 256)
    if budget != "smoke":
        config.data.upstream_size = 2_000
        config.optimizer.learning_rate = 0.01
        config.train.epochs = 400
        config.train.checkpoint_epochs = (0, 20, 60, 400)
        config.train.eval_epochs = (0, 20, 60, 400)
    return config
