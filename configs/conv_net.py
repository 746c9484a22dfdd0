"""conv_net, four convolutions and a dense layer: Figure 6, Table 1, `layers`, the phase diagram.

python -m randlabels.main --config=conv_net:short --workdir=runs/conv_net
"""

import functools

from randlabels.configs import base

# Few random classes and the He scale: the setting in which vgg16's transfer is positive.
_SHARED = {
    "labels.num_classes": 5,
    "model.name": "conv_net",
    "model.init_scale": 2**0.5,
    # At a larger rate gains of aligned layers do not grow with their number.
    "optimizer.learning_rate": 0.003,
}

FULL = {
    **_SHARED,
    "data.name": "cifar10",
    **base.sizes(upstream=20_000, downstream=25_000, test=0),
    "data.image_size": 0,
    "model.channels": (64, 128, 128, 128),
    "model.widths": (128,),
    "train.epochs": 100,
    "train.batch_size": 256,
    "train.precision": "bfloat16",
    "population.seeds": 5,
}

SHORT = {
    **_SHARED,
    "data.name": "cifar10",
    **base.sizes(upstream=1_500, downstream=1_500, test=1_000),
    "data.image_size": 16,
    "model.channels": (16, 32, 32, 32),
    "model.widths": (64,),
    "train.epochs": 80,
    "train.batch_size": 64,
    "population.seeds": 4,
}

SMOKE = {
    **_SHARED,
    "data.name": "dead_leaves",
    **base.sizes(upstream=64, downstream=64, test=16),
    "model.channels": (14, 4, 4, 4),  # two networks pooled have more filters than 27
    "model.widths": (4,),
    "train.epochs": 2,
    "train.batch_size": 32,
    "population.seeds": 2,
}

RECIPES: base.Recipes = {"conv_net": {"full": FULL, "short": SHORT, "smoke": SMOKE}}

# The recipe at a budget.
get_config = functools.partial(base.from_recipes, RECIPES)
