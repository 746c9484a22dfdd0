"""Critical stages, negative setting: fine-tuning from every checkpoint of one upstream run.

    python -m randlabels.main --config=configs/critical_negative.py:short \\
        --workdir=runs/critical/negative_real --config.init.run=runs/critical/negative

The upstream run is fig1_negative_upstream; see critical_positive.

full: 33 networks, real labels, 24 epochs, lr .003. Not run.
short: 400 images, lr .001, 14 epochs; 5 minutes on 4 busy cores. Measured gain over scratch in mean
train accuracy after 0, 4, 12, 40, 120 epochs upstream: -.02, -.19, -.10, -.07, -.18; not rescaled,
at the end: +.25.
"""

from ml_collections import ConfigDict

from configs import base, critical_positive, fig1_negative, fig1_negative_upstream


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = fig1_negative.get_config(budget)
    critical_positive.sweep_lengths(config, fig1_negative_upstream.get_config(budget))
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.train.epochs = 14
    config.train.eval_epochs = tuple(range(0, 15, 2))


def _smoke(config: ConfigDict) -> None:
    config.train.epochs = 1
