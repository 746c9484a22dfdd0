"""simple_cnn, a convolution and a dense layer: all studies of a first layer.

    python -m randlabels.main --config=simple_cnn:cifar10.short --workdir=runs/simple_cnn

dead_leaves: the quickstart, without any download; short is full.
cifar10: Figures 2, 4 and 5 and the study `kernel_size`.
questions: the same for studies that compare many settings, and smaller in short.
few_images: questions about what is slow to learn, such as sigmoids or random crops: fewer images at
a larger learning rate, for as many steps as it takes.
"""

import functools

from randlabels.configs import base

# What the recipes on CIFAR-10 share: at all budgets, and at each.
_CIFAR10 = {
    "labels.num_classes": 10,
    # Small initial weights let the filters move; at the He scale the effect disappears.
    "model.init_scale": 0.526,
    "optimizer.decay_at": (0.75,),
}
_FULL = {
    **_CIFAR10,
    "data.name": "cifar10",
    "data.downstream_size": 25_000,
    "data.test_size": 0,
    "data.image_size": 0,
    "model.filters": 256,
    "model.widths": (64,),
    "train.batch_size": 256,
    "train.precision": "bfloat16",
}
_SHORT = {
    **_CIFAR10,
    "data.name": "cifar10",
    "data.image_size": 16,
    "train.batch_size": 64,
}
_SMOKE = {
    **_CIFAR10,
    "data.name": "dead_leaves",
    **base.sizes(upstream=64, downstream=64, test=32),
    "model.filters": 32,
    "model.widths": (16,),
    "train.epochs": 2,
    "population.seeds": 2,
}

_DEAD_LEAVES = {
    **base.sizes(upstream=1_200, downstream=1_200, test=500),
    "train.epochs": 80,
    "population.seeds": 8,
}

RECIPES: base.Recipes = {
    "dead_leaves": {
        "full": _DEAD_LEAVES,
        "short": _DEAD_LEAVES,
        "smoke": {
            **base.sizes(upstream=128, downstream=128, test=64),
            "train.epochs": 2,
            "population.seeds": 2,
        },
    },
    "cifar10": {
        "full": {
            **_FULL,
            "data.upstream_size": 20_000,
            "optimizer.learning_rate": 0.001,  # more kills the ReLUs of the dense layer
            "train.epochs": 200,
            "population.seeds": 4,
        },
        "short": {
            **_SHORT,
            **base.sizes(upstream=4_000, downstream=4_000, test=2_000),
            "model.filters": 64,
            "model.widths": (64,),
            "optimizer.learning_rate": 0.002,
            "train.epochs": 120,
            "population.seeds": 5,
        },
        "smoke": {**_SMOKE, "optimizer.learning_rate": 0.002},
    },
    "questions": {
        "full": {
            **_FULL,
            "data.upstream_size": 20_000,
            "optimizer.learning_rate": 0.001,
            "train.epochs": 200,
            "population.seeds": 5,
        },
        "short": {
            **_SHORT,
            **base.sizes(upstream=2_000, downstream=2_000, test=1_000),
            "model.filters": 48,
            "model.widths": (32,),
            "optimizer.learning_rate": 0.003,
            "train.epochs": 50,
            "population.seeds": 4,
        },
        "smoke": {**_SMOKE, "optimizer.learning_rate": 0.002},
    },
    "few_images": {
        "full": {
            **_FULL,
            "data.upstream_size": 2_000,
            "optimizer.learning_rate": 0.01,
            "train.epochs": 1_600,
            "population.seeds": 5,
        },
        "short": {
            **_SHORT,
            **base.sizes(upstream=500, downstream=2_000, test=1_000),
            "model.filters": 48,
            "model.widths": (32,),
            "optimizer.learning_rate": 0.01,
            "train.epochs": 1_600,
            "population.seeds": 4,
        },
        "smoke": {**_SMOKE, "optimizer.learning_rate": 0.01},
    },
}

# A recipe at a budget, as "recipe.budget"; either may be left out.
get_config = functools.partial(base.from_recipes, RECIPES)
