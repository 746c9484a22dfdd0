"""Figure 6, Table 1, study `layers`: conv_net learns the real labels of CIFAR-10.

    python -m randlabels.main --config=configs/conv_net_real.py:short --workdir=runs/conv_net/real

The studies add arms and sweeps over the layers that these set, and repeat it with small initial
weights (init_scale .8, learning rate .01), where each further aligned layer gains. With He's scale,
as here, the learning rate is .003: at .01 gains of aligned layers do not grow with their number.
short: 12 epochs of 1,500 images, about 1 s a network on 4 cores; from scratch .50 train accuracy.
"""

from ml_collections import ConfigDict

from configs import base, conv_net_upstream


def get_config(budget: str = "full") -> ConfigDict:
    """Budgets: full (a GPU), short (minutes on a CPU), smoke (seconds, for tests)."""
    config = conv_net_upstream.get_config(budget)
    config.train.task = "downstream"
    config.labels.kind = "real"
    config.labels.num_classes = 10
    config.train.epochs = 12
    config.train.eval_epochs = ()
    # Seeds of their own: fresh weights and labels independent of the upstream networks.
    config.seed = 1000
    config.labels.seed = 1000
    return base.at_budget(config, budget, {"short": lambda _: None, "smoke": _smoke})


def _smoke(config: ConfigDict) -> None:
    config.labels.num_classes = 5  # dead leaves
    config.train.epochs = 2
