"""Appendix B, fine-tuning of ResNet18: scratch, pre-trained, not rescaled; all layers but the head.

    python -m randlabels.main --config=configs/appendix_b_resnet18.py:short \\
        --workdir=runs/appendix_b/resnet18_real --config.init.run=runs/appendix_b/resnet18

Real labels; the study's random ones are this config with --config.labels.kind=random. Batch norms
are taken over with the layers around them.
"""

from ml_collections import ConfigDict

from configs import appendix_b_resnet18_upstream, base


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    return fine_tuning(appendix_b_resnet18_upstream.get_config(budget), budget)


def fine_tuning(config: ConfigDict, budget: str) -> ConfigDict:
    """Turn the config of pre-training into one of fine-tuning from it."""
    config.train.task = "downstream"
    config.labels.kind = "real"
    config.labels.num_classes = 10
    config.init.arms = ("scratch", "pretrained", "pretrained_unscaled")
    config.optimizer.decay_at = ()
    config.train.epochs = 20
    config.train.eval_epochs = ()
    # Seeds of their own: fresh weights and labels independent of the upstream networks.
    config.seed = 1000
    config.labels.seed = 1000
    return base.at_budget(config, budget, {"short": lambda _: None, "smoke": _smoke})


def _smoke(config: ConfigDict) -> None:
    config.labels.num_classes = 5  # dead leaves
    config.train.epochs = 2
