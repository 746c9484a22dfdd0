"""Optimisers and regularisation: does alignment, and the gain from it, need SGD with momentum?

The learning rate of each optimiser is a usual one for it, not tuned for these networks. Downstream
all settings train with SGD and momentum, so that only what was learned upstream differs; the
regularisers act upstream only, too.
"""

from randlabels.studies.families.one_change import Setting, question


def _optimiser(name: str, label: str, learning_rate: float, weight_decay: float = 0.0) -> Setting:
    return Setting(
        name,
        label,
        upstream={
            "optimizer.name": name,
            "optimizer.learning_rate": learning_rate,
            "optimizer.momentum": 0.0,  # theirs has other names
            "optimizer.weight_decay": weight_decay,
        },
    )


SETTINGS = (
    Setting("momentum", "SGD with momentum"),
    Setting(
        "sgd",
        "SGD without momentum",
        upstream={"optimizer.momentum": 0.0, "optimizer.learning_rate": 0.03},
    ),
    _optimiser("adam", "Adam", 0.001),
    _optimiser("adamw", "AdamW, weight decay .1", 0.001, weight_decay=0.1),
    _optimiser("muon", "Muon", 0.003),
    Setting("decay", "weight decay .003", upstream={"optimizer.weight_decay": 0.003}),
    Setting("dropout", "dropout .2", upstream={"model.dropout": 0.2}),
)

STUDY = question(
    name="optimisers",
    title="Random labels with other optimisers and regularisers",
    asked="A question of the paper's reproduction reports; SGD with momentum in the paper",
    primary=("adam", "muon"),
    settings=SETTINGS,
)
