"""vgg16: Figures 1, 7 and 8, its part of Figure 6, and the study `critical`.

python -m randlabels.main --config=vgg16:short --workdir=runs/vgg16
"""

import functools

from randlabels.configs import base

_SHARED = {
    "labels.num_classes": 5,
    "model.name": "vgg16",
    "model.init_scale": 2**0.5,
}

FULL = {
    **_SHARED,
    "data.name": "cifar10",
    **base.sizes(upstream=20_000, downstream=25_000, test=0),
    "data.image_size": 0,
    "optimizer.learning_rate": 0.01,
    "train.epochs": 120,
    "train.batch_size": 256,
    "train.precision": "bfloat16",
    "population.seeds": 3,
}

SHORT = {
    **_SHARED,
    "data.name": "cifar10",
    **base.sizes(upstream=400, downstream=400, test=200),
    "data.image_size": 0,  # five poolings need 32 pixels
    "model.width": 0.125,
    # A sixteenth of the batch: at .01 the noise of the gradient keeps it from learning.
    "optimizer.learning_rate": 0.003,
    "train.epochs": 60,
    "train.batch_size": 16,
    "population.seeds": 3,
}

SMOKE = {
    **_SHARED,
    "data.name": "dead_leaves",
    **base.sizes(upstream=32, downstream=32, test=32),
    "data.image_size": 32,
    "model.width": 0.04,
    "optimizer.learning_rate": 0.003,
    "train.epochs": 2,
    "train.batch_size": 16,
    "population.seeds": 2,
}

RECIPES: base.Recipes = {"vgg16": {"full": FULL, "short": SHORT, "smoke": SMOKE}}

# The recipe at a budget.
get_config = functools.partial(base.from_recipes, RECIPES)
