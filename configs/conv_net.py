"""conv_net, four convolutions and a dense layer: Figure 6, Table 1, `layers`, the phase diagram.

python -m randlabels.main --config=conv_net:short --workdir=runs/conv_net
"""

import functools

from randlabels.configs import base

RECIPES: base.Recipes = {
    "conv_net": base.Recipe(
        changes={
            # Few random classes and the He scale: the setting in which vgg16's transfer is
            # positive.
            "labels.num_classes": 5,
            "model.name": "conv_net",
            "model.init_scale": 2**0.5,
            # At a larger rate gains of aligned layers do not grow with their number.
            "optimizer.learning_rate": 0.003,
        },
        at={
            "data.name": ("cifar10", "cifar10", "dead_leaves"),
            **base.sizes((20_000, 1_500, 64), (25_000, 1_500, 64), (0, 1_000, 16)),
            "data.image_size": (0, 16, 16),
            # In smoke, two networks pooled have more filters than 27.
            "model.channels": ((64, 128, 128, 128), (16, 32, 32, 32), (14, 4, 4, 4)),
            "model.widths": ((128,), (64,), (4,)),
            "train.epochs": (100, 80, 2),
            "train.batch_size": (256, 64, 32),
            "train.precision": ("bfloat16", base.SAME, base.SAME),
            "population.seeds": (6, 6, 2),
        },
    )
}

# The recipe at a budget.
get_config = functools.partial(base.from_recipes, RECIPES)
