"""Figure 1, negative setting, fine-tuning on real labels: scratch, pre-trained, not rescaled.

    python -m randlabels.main --config=configs/fig1_negative.py:short \\
        --workdir=runs/fig1/negative_real --config.init.run=runs/fig1/negative

The random labels of the study are this config with --config.labels.kind=random (10 classes).

full: lr .003. In earlier measurements (one network an arm): train accuracy .15 pre-trained against
.85 from scratch after 12 epochs (real), .11 against .57 after 24 (random).
short: lr .001, 20 epochs; 90 s on 4 busy cores. Measured, train accuracy at the end (real): scratch
.64 ± .15, pre-trained .19 ± .03, not rescaled .98 ± .02.
"""

from ml_collections import ConfigDict

from configs import base, fig1_positive


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = fig1_positive.get_config(budget)
    config.optimizer.learning_rate = 0.003
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.optimizer.learning_rate = 0.001
    config.train.epochs = 20
    config.train.eval_epochs = tuple(range(0, 21, 2))


def _smoke(config: ConfigDict) -> None:
    config.optimizer.learning_rate = 0.001
