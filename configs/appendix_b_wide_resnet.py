"""Appendix B, fine-tuning of WRN-28-4: scratch, pre-trained, not rescaled; all layers but the head.

    python -m randlabels.main --config=configs/appendix_b_wide_resnet.py:short \\
        --workdir=runs/appendix_b/wide_resnet_real --config.init.run=runs/appendix_b/wide_resnet

As appendix_b_resnet18.
"""

from ml_collections import ConfigDict

from configs import appendix_b_resnet18, appendix_b_wide_resnet_upstream


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = appendix_b_wide_resnet_upstream.get_config(budget)
    return appendix_b_resnet18.fine_tuning(config, budget)
