"""Residual networks, resnet18 and wide_resnet: Appendix B, and Figure 3 (wide_resnet).

    python -m randlabels.main --config=residual:wide_resnet.short --workdir=runs/wide_resnet

wide_resnet is WRN-28-4, in short WRN-10-1; resnet18 has an eighth of its channels in short.
"""

import functools

from randlabels.configs import base

# What both networks share: at all budgets, and at each.
_SHARED = {"labels.num_classes": 5, "model.init_scale": 2**0.5, "optimizer.learning_rate": 0.01}
_FULL = {
    **_SHARED,
    "data.name": "cifar10",
    **base.sizes(upstream=20_000, downstream=25_000, test=0),
    "data.image_size": 0,
    "train.epochs": 60,
    "train.batch_size": 256,
    "train.precision": "bfloat16",
    "population.seeds": 3,
}
_SHORT = {
    **_SHARED,
    "data.name": "cifar10",
    **base.sizes(upstream=500, downstream=500, test=500),
    "data.image_size": 16,
    "train.epochs": 50,
    "train.batch_size": 64,
    "population.seeds": 3,
}
_SMOKE = {
    **_SHARED,
    "data.name": "dead_leaves",
    **base.sizes(upstream=32, downstream=32, test=16),
    "train.epochs": 2,
    "train.batch_size": 16,
    "population.seeds": 2,
}


RECIPES: base.Recipes = {
    "resnet18": {
        "full": {**_FULL, "model.name": "resnet18", "model.width": 1.0},
        "short": {**_SHORT, "model.name": "resnet18", "model.width": 0.125},
        "smoke": {**_SMOKE, "model.name": "resnet18", "model.width": 0.03},
    },
    "wide_resnet": {
        "full": {
            **_FULL,
            "model.name": "wide_resnet",
            "model.depth": 28,
            "model.width": 4.0,
            "model.filters": 16,
        },
        "short": {
            **_SHORT,
            "model.name": "wide_resnet",
            "model.depth": 10,
            "model.width": 1.0,
            "model.filters": 16,
        },
        "smoke": {
            **_SMOKE,
            "model.name": "wide_resnet",
            "model.depth": 10,
            "model.width": 0.2,
            "model.filters": 4,
        },
    },
}

# A recipe at a budget, as "recipe.budget"; either may be left out.
get_config = functools.partial(base.from_recipes, RECIPES)
