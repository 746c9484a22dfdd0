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


_UPSTREAM_AT: dict[str, dict[str, Any]] = {
    "full": {"train.eval_epochs": tuple(range(0, 101, 10))},
    "short": {"train.eval_epochs": (0, 20, 40, 60, 80)},
}

# What fine-tuning changes. Its seeds are its own: fresh weights and labels are independent of the
# upstream networks.
_FINE_TUNING = {"seed": 1000, "labels.seed": 1000, "train.task": "downstream"}
_REAL = {"labels.num_classes": 10, "train.epochs": 12}
# Three times as long: random labels are learned more slowly.
_RANDOM = {
    "labels.num_classes": 10,
    "train.epochs": 36,
    "train.eval_epochs": tuple(range(0, 37, 3)),
}
# At each budget; dead leaves, in smoke, have 5 classes.
_DOWNSTREAM_AT: dict[str, dict[str, dict[str, Any]]] = {
    "real": {"full": _REAL, "short": _REAL},
    "random": {"full": _RANDOM, "short": _RANDOM},
}


def upstream(name: str, changes: Mapping[str, Any]) -> Stage:
    """Pre-training on random labels, with these changes at every budget."""
    return Stage(name, "conv_net", changes=changes, at=_UPSTREAM_AT)


def downstream(name: str, kind: str, changes: Mapping[str, Any], reads: str = "") -> Stage:
    """Fine-tuning on labels of a kind, with these changes at every budget."""
    return Stage(
        name,
        "conv_net",
        reads=reads,
        changes={**_FINE_TUNING, "labels.kind": kind, **changes},
        at=_DOWNSTREAM_AT[kind],
    )


def transfer_stages(changes: Mapping[str, Any]) -> tuple[Stage, ...]:
    """Pre-training and fine-tuning for every task.

    Args:
        changes: {"group.field": value} of fine-tuning.
    """
    small = {**changes, **SMALL}
    return (
        upstream("upstream", {}),
        downstream("real", "real", changes, reads="upstream"),
        downstream("random", "random", changes, reads="upstream"),
        upstream("small_upstream", SMALL),
        downstream("small_real", "real", small, reads="small_upstream"),
        downstream("small_random", "random", small, reads="small_upstream"),
    )
