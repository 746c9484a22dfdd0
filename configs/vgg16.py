"""vgg16: Figures 1, 7 and 8, its part of Figure 6, and the study `critical`.

python -m randlabels.main --config=vgg16:short --workdir=runs/vgg16
"""

import functools

from randlabels.configs import base

RECIPES: base.Recipes = {
    "vgg16": base.Recipe(
        changes={"labels.num_classes": 5, "model.name": "vgg16", "model.init_scale": 2**0.5},
        at={
            "data.name": ("cifar10", "cifar10", "dead_leaves"),
            **base.sizes((20_000, 400, 32), (25_000, 400, 32), (0, 200, 32)),
            "data.image_size": (0, 0, 32),  # five poolings need 32 pixels
            "model.width": (1.0, 0.125, 0.04),
            # In short a sixteenth of the batch: at .01 the noise of the gradient keeps it from
            # learning.
            "optimizer.learning_rate": (0.01, 0.003, 0.003),
            "train.epochs": (120, 60, 2),
            "train.batch_size": (256, 16, 16),
            "train.precision": ("bfloat16", base.SAME, base.SAME),
            "population.seeds": (6, 6, 2),
        },
    )
}

# The recipe at a budget.
get_config = functools.partial(base.from_recipes, RECIPES)
