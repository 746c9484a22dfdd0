"""Appendix B, pre-training: WRN-28-4 learns 5 random classes on CIFAR-10.

    python -m randlabels.main --config=configs/appendix_b_wide_resnet_upstream.py:short \\
        --workdir=runs/appendix_b/wide_resnet

full: as appendix_b_resnet18_upstream. Not measured.
short: WRN-10-1 on 500 images averaged down to 16x16.
"""

from ml_collections import ConfigDict

from configs import appendix_b_resnet18_upstream, base


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = appendix_b_resnet18_upstream.get_config(budget)
    config.model.name = "wide_resnet"
    config.model.filters = 16
    config.model.width = 4.0
    return base.at_budget(config, budget, {"short": _short, "smoke": _smoke})


def _short(config: ConfigDict) -> None:
    config.model.depth = 10
    config.model.width = 1.0


def _smoke(config: ConfigDict) -> None:
    _short(config)
    config.model.filters = 4
    config.model.width = 0.2
