"""Critical stages, positive setting: fine-tuning from every checkpoint of one upstream run.

    python -m randlabels.main --config=configs/critical_positive.py:short \\
        --workdir=runs/critical/positive_real --config.init.run=runs/critical/positive

The upstream run is fig1_positive_upstream; one population holds the pre-trained networks of all its
checkpoints, rescaled and not, and the networks from scratch.

full: 33 networks, real labels, 24 epochs, lr .01. Not run; with both settings about 11
minutes of one H100 (240,000 steps of 2.0 ms, compilation).
short: 400 images, lr .003, 12 epochs; 5 minutes on 4 busy cores. Measured gain over scratch
in mean train accuracy after 0, 4, 12, 30, 60 epochs upstream: -.03, -.01, +.07, +.19, +.13.
"""

from ml_collections import ConfigDict

from configs import base, fig1_positive, fig1_positive_upstream


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = fig1_positive.get_config(budget)
    sweep_lengths(config, fig1_positive_upstream.get_config(budget))
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def sweep_lengths(config: ConfigDict, upstream: ConfigDict) -> None:
    """Start from every kept checkpoint of an upstream run."""
    per_epoch = upstream.data.upstream_size // upstream.train.batch_size
    steps = tuple(epoch * per_epoch for epoch in upstream.train.checkpoint_epochs)
    config.population.sweep = (("init.step", steps),)


def _short(config: ConfigDict) -> None:
    config.train.epochs = 12
    config.train.eval_epochs = tuple(range(0, 13, 2))


def _smoke(config: ConfigDict) -> None:
    config.train.epochs = 1
