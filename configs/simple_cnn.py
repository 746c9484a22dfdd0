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

# What the recipes on CIFAR-10 share.
_CIFAR10 = {
    "labels.num_classes": 10,
    # Small initial weights let the filters move; at the He scale the effect disappears.
    "model.init_scale": 0.526,
    "optimizer.decay_at": (0.75,),
}
_CIFAR10_AT: base.Columns = {
    "data.name": ("cifar10", "cifar10", "dead_leaves"),
    "data.image_size": (0, 16, 16),
    "train.batch_size": (256, 64, 64),
    "train.precision": ("bfloat16", base.SAME, base.SAME),
}
_QUESTIONS_AT: base.Columns = {
    **_CIFAR10_AT,
    "model.filters": (256, 48, 32),
    "model.widths": ((64,), (32,), (16,)),
    "population.seeds": (5, 4, 2),
}

RECIPES: base.Recipes = {
    "dead_leaves": base.Recipe(
        at={
            **base.sizes((1_200, 1_200, 128), (1_200, 1_200, 128), (300, 300, 64)),
            "data.image_size": (14, 14, 14),
            "train.epochs": (30, 30, 2),
            "population.seeds": (12, 12, 2),
        },
    ),
    "cifar10": base.Recipe(
        changes=_CIFAR10,
        at={
            **_CIFAR10_AT,
            **base.sizes((20_000, 4_000, 64), (25_000, 4_000, 64), (0, 2_000, 32)),
            "model.widths": ((64,), (64,), (16,)),
            "model.filters": (256, 64, 32),
            # In full, more kills the ReLUs of the dense layer.
            "optimizer.learning_rate": (0.001, 0.002, 0.002),
            "train.epochs": (200, 120, 2),
            "population.seeds": (6, 6, 2),
        },
    ),
    "questions": base.Recipe(
        changes=_CIFAR10,
        at={
            **_QUESTIONS_AT,
            **base.sizes((20_000, 2_000, 64), (25_000, 2_000, 64), (0, 1_000, 32)),
            "optimizer.learning_rate": (0.001, 0.003, 0.002),
            "train.epochs": (200, 50, 2),
        },
    ),
    "few_images": base.Recipe(
        changes={**_CIFAR10, "optimizer.learning_rate": 0.01},
        at={
            **_QUESTIONS_AT,
            **base.sizes((2_000, 500, 64), (25_000, 2_000, 64), (0, 1_000, 32)),
            "train.epochs": (1_600, 1_600, 2),
        },
    ),
}

# A recipe at a budget, as "recipe.budget"; either may be left out.
get_config = functools.partial(base.from_recipes, RECIPES)
