"""What fig6, table1 and `layers` share: conv_net at two scales of its initial weights."""

from collections.abc import Mapping
from typing import Any

from randlabels.studies.study import Stage

TASKS = {
    "real": "real labels",
    "random": "random labels",
    "small_real": "real labels with small initial weights",
    "small_random": "random labels with small initial weights",
}

# Up and down: training moves kernels by more than their own norm; at He's scale by a third of it.
SMALL = {"model.init_scale": 0.8, "optimizer.learning_rate": 0.01}


def transfer_stages(changes: Mapping[str, Any]) -> tuple[Stage, ...]:
    """Pre-training and fine-tuning for every task.

    Args:
        changes: {"group.field": value} of fine-tuning.
    """
    small = {**changes, **SMALL}
    return (
        Stage("upstream", "conv_net_upstream"),
        Stage("real", "conv_net_real", reads="upstream", changes=changes),
        Stage("random", "conv_net_random", reads="upstream", changes=changes),
        Stage("small_upstream", "conv_net_upstream", changes=SMALL),
        Stage("small_real", "conv_net_real", reads="small_upstream", changes=small),
        Stage("small_random", "conv_net_random", reads="small_upstream", changes=small),
    )
