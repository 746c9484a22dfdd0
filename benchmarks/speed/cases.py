"""The networks that are timed: sizes for a CPU and for an accelerator, and populations of each."""

import dataclasses
import importlib
from typing import Any

from ml_collections import ConfigDict

from randlabels.training.check import check

POPULATIONS = (1, 8, 32)


@dataclasses.dataclass(frozen=True)
class Case:
    """A network on inputs of one shape, as a change to one of the recipes in configs/.

    Attributes:
        name: of the case.
        recipe: "module:recipe.budget" on a CPU; an accelerator takes its `full`.
        cpu: further changes of the config on a CPU.
        accelerator: the same elsewhere.
        populations: numbers of networks.
        steps: updates in an epoch, on a CPU.
    """

    name: str
    recipe: str
    cpu: dict[str, Any]
    accelerator: dict[str, Any] = dataclasses.field(default_factory=dict)
    populations: tuple[int, ...] = POPULATIONS
    steps: int = 32


_IMAGES = {"data.name": "pink_noise", "labels.num_classes": 5}
_FULL_IMAGES = {**_IMAGES, "data.image_size": 32, "train.batch_size": 256}

CASES = {
    case.name: case
    for case in (
        Case("mlp", "gaussian_mlp:fig20", {}, populations=(1, 8, 64), steps=64),
        Case(
            "simple_cnn",
            "simple_cnn:cifar10",
            {**_IMAGES, "model.filters": 48, "model.widths": (32,)},
            _FULL_IMAGES,
            steps=64,
        ),
        Case("conv_net", "conv_net", _IMAGES, _FULL_IMAGES, steps=64),
        Case("vgg16", "vgg16", {**_IMAGES, "data.image_size": 32}, _FULL_IMAGES, steps=16),
        Case("resnet18", "residual:resnet18", _IMAGES, _FULL_IMAGES, steps=16),
        Case("wide_resnet", "residual:wide_resnet", _IMAGES, _FULL_IMAGES, steps=16),
    )
}


def config_of(case: Case, networks: int, on_cpu: bool, fields: dict[str, Any]) -> ConfigDict:
    """The checked config of a population of a case, on data that are made in memory.

    Args:
        case: what is timed.
        networks: of the population.
        on_cpu: whether the sizes are those of a CPU.
        fields: changes by the caller, {"group.field": value}.
    """
    module, _, recipe = case.recipe.partition(":")
    budget = "short" if on_cpu else "full"
    argument = f"{recipe}.{budget}" if recipe else budget
    config = importlib.import_module(f"randlabels.configs.{module}").get_config(argument)
    changes = {**(case.cpu if on_cpu else case.accelerator), **fields}
    config.update_from_flattened_dict(changes)
    steps = case.steps * (1 if on_cpu else 4)
    config.update_from_flattened_dict(
        {
            "data.upstream_size": steps * config.train.batch_size,
            "data.downstream_size": 0,
            "data.test_size": 2 * config.train.batch_size,
            "train.epochs": 1000,  # none of which is trained to its end
            "population.seeds": networks,
            "optimizer.decay_at": (),
        }
    )
    return check(config)
