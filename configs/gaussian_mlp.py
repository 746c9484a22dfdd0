"""mlp on Gaussian inputs with random labels: Figures 4 (left) and 20, and Proposition 1.

    python -m randlabels.main --config=gaussian_mlp:fig20 --workdir=runs/gaussian

fig20: the figure's middle setting. The paper's diagonal (0.1, ..., 3.0) is read as standard
deviations: the caption leaves it open, and the study covers both readings. The learning rate
decides how far f falls at the large eigenvalues; one much larger kills the second layer's units.
The rate and the epochs here were fitted to the paper's curve; the study sets its own by a rule.
proposition1: many small networks, to be pooled.

full takes minutes on a CPU; short has fewer networks.
"""

import functools

from randlabels.configs import base

# What both recipes share.
_GAUSSIAN = {
    "data.name": "gaussian",
    "data.diagonal_holds": "standard_deviations",
    "data.image_size": 0,
    "data.downstream_size": 0,
    "labels.num_classes": 10,
    "model.name": "mlp",
}
_GAUSSIAN_AT: base.Columns = {"data.test_size": (base.SAME, base.SAME, 16)}

RECIPES: base.Recipes = {
    "fig20": base.Recipe(
        changes={
            **_GAUSSIAN,
            "data.diagonal": tuple(round(0.1 * i, 1) for i in range(1, 31)),
            "model.init_scale": 1.0,  # f starts at 1 / sqrt(d), as in the paper's curves
            "optimizer.learning_rate": 0.025,
        },
        at={
            **_GAUSSIAN_AT,
            "data.upstream_size": (10_000, 10_000, 128),
            "model.widths": ((2048, 256), (2048, 256), (64, 16)),
            "train.epochs": (60, 60, 2),
            "train.batch_size": (128, 128, 32),
            "population.seeds": (6, 6, 2),
        },
    ),
    "proposition1": base.Recipe(
        changes={
            **_GAUSSIAN,
            "data.diagonal": tuple(round(0.25 * i, 2) for i in range(1, 11)),
            "model.widths": (64,),
            "model.init_scale": 0.5,
            "optimizer.learning_rate": 0.02,
            "train.batch_size": 100,
        },
        at={
            **_GAUSSIAN_AT,
            "data.upstream_size": (10_000, 10_000, 200),
            "train.epochs": (40, 40, 2),
            "train.eval_epochs": ((0, 40), (0, 40), base.SAME),
            "population.seeds": (128, 96, 16),
        },
    ),
}

# A recipe at a budget, as "recipe.budget"; either may be left out.
get_config = functools.partial(base.from_recipes, RECIPES)
