"""Activations: does alignment, and the gain from it, need ReLU?"""

from randlabels.studies.families.one_change import FEW_IMAGES, FEW_IMAGES_ADDED, Setting, question

STUDY = question(
    name="activations",
    title="Random labels with other activations",
    asked="A question of the paper's reproduction reports; ReLU in the paper",
    settings=tuple(
        Setting(name, name.replace("_", " "), changes={"model.activation": name})
        for name in ("relu", "leaky_relu", "gelu", "tanh", "sigmoid")
    )
    + tuple(
        Setting(
            f"few_{name}",
            f"{name}, few images",
            changes={"model.activation": name},
            recipe=FEW_IMAGES,
        )
        for name in ("relu", "sigmoid")
    ),
    primary=("tanh", "sigmoid"),
    tuning=FEW_IMAGES_ADDED,
)
