"""mlp on Gaussian inputs with random labels: Figures 4 (left) and 20, and Proposition 1.

    python -m randlabels.main --config=gaussian_mlp:fig20 --workdir=runs/gaussian

fig20: the figure's middle setting. The paper's diagonal (0.1, ..., 3.0) is read as standard
deviations: the caption leaves it open, and the study covers both readings. The learning rate
decides how far f falls at the large eigenvalues; one much larger kills the second layer's units.
proposition1: many small networks, to be pooled.

full takes minutes on a CPU; short has fewer networks.
"""

import functools

from randlabels.configs import base

# What both recipes share at all budgets.
_GAUSSIAN = {
    "data.name": "gaussian",
    "data.diagonal_holds": "standard_deviations",
    "data.image_size": 0,
    "data.downstream_size": 0,
    "labels.num_classes": 10,
    "model.name": "mlp",
}

_FIG20 = {
    **_GAUSSIAN,
    "data.diagonal": tuple(round(0.1 * i, 1) for i in range(1, 31)),
    "model.init_scale": 1.0,  # f starts at 1 / sqrt(d), as in the paper's curves
    "optimizer.learning_rate": 0.025,
}
_FIG20_LARGE = {
    **_FIG20,
    "data.upstream_size": 10_000,
    "model.widths": (2048, 256),
    "train.epochs": 60,
    "train.batch_size": 128,
}

_PROPOSITION1 = {
    **_GAUSSIAN,
    "seed": 5000,
    "labels.seed": 5000,
    "data.seed": 1,
    "data.diagonal": tuple(round(0.25 * i, 2) for i in range(1, 11)),
    "model.widths": (64,),
    "model.init_scale": 0.5,
    "optimizer.learning_rate": 0.02,
    "train.batch_size": 100,
}
_PROPOSITION1_LARGE = {
    **_PROPOSITION1,
    "data.upstream_size": 10_000,
    "train.epochs": 40,
    "train.eval_epochs": (0, 40),
}

RECIPES: base.Recipes = {
    "fig20": {
        "full": {**_FIG20_LARGE, "population.seeds": 5},
        "short": {**_FIG20_LARGE, "population.seeds": 3},
        "smoke": {
            **_FIG20,
            "data.upstream_size": 128,
            "data.test_size": 16,
            "model.widths": (64, 16),
            "train.epochs": 2,
            "train.batch_size": 32,
            "population.seeds": 2,
        },
    },
    "proposition1": {
        "full": {**_PROPOSITION1_LARGE, "population.seeds": 64},
        "short": {**_PROPOSITION1_LARGE, "population.seeds": 32},
        "smoke": {
            **_PROPOSITION1,
            "data.upstream_size": 200,
            "data.test_size": 16,
            "train.epochs": 2,
            "population.seeds": 16,
        },
    },
}

# A recipe at a budget, as "recipe.budget"; either may be left out.
get_config = functools.partial(base.from_recipes, RECIPES)
