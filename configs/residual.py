"""Residual networks, resnet18 and wide_resnet: Appendix B, and Figure 3 (wide_resnet).

    python -m randlabels.main --config=residual:wide_resnet.short --workdir=runs/wide_resnet

wide_resnet is WRN-28-4, in short WRN-10-1; resnet18 has an eighth of its channels in short.
"""

import functools

from randlabels.configs import base

# What both networks share.
_CHANGES = {"labels.num_classes": 5, "model.init_scale": 2**0.5, "optimizer.learning_rate": 0.01}
_AT: base.Columns = {
    "data.name": ("cifar10", "cifar10", "dead_leaves"),
    **base.sizes((20_000, 500, 32), (25_000, 500, 32), (0, 500, 16)),
    "data.image_size": (0, 16, 16),
    "train.epochs": (60, 50, 2),
    "train.batch_size": (256, 64, 16),
    "train.precision": ("bfloat16", base.SAME, base.SAME),
    "population.seeds": (6, 6, 2),
}

RECIPES: base.Recipes = {
    "resnet18": base.Recipe(
        changes={**_CHANGES, "model.name": "resnet18"},
        at={**_AT, "model.width": (1.0, 0.125, 0.03)},
    ),
    "wide_resnet": base.Recipe(
        changes={**_CHANGES, "model.name": "wide_resnet"},
        at={
            **_AT,
            "model.depth": (28, 10, 10),
            "model.width": (4.0, 1.0, 0.2),
            "model.filters": (16, 16, 4),
        },
    ),
}

# A recipe at a budget, as "recipe.budget"; either may be left out.
get_config = functools.partial(base.from_recipes, RECIPES)
