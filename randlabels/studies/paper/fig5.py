"""Figure 5: the first layer of simple_cnn on CIFAR-10, transferred as it is and redrawn."""

from randlabels.studies.declare import Stage, Tuning
from randlabels.studies.families.first_layer import FINE_TUNING, first_layer_study
from randlabels.studies.readouts.alignment import LAYER

LEVELS = {"real": 0.6, "random": 0.4}  # train accuracy; chance is 0.1

STAGES = (
    Stage(
        "upstream",
        "simple_cnn.cifar10",
        analyze=(LAYER,),
        at={
            "full": {
                "train.checkpoint_epochs": (0, 5, 10, 20, 40, 80, 120, 160, 200),
                "train.eval_epochs": tuple(range(0, 201, 10)),
            },
            "short": {
                "train.checkpoint_epochs": (0, 5, 10, 20, 40, 80, 120),
                "train.eval_epochs": tuple(range(0, 121, 10)),
            },
            "smoke": {"train.checkpoint_epochs": (0, 1, 2)},
        },
    ),
    Stage(
        "real",
        "simple_cnn.cifar10",
        reads="upstream",
        changes=FINE_TUNING | {"labels.kind": "real", "optimizer.learning_rate": 0.01},
        at={
            "full": {"train.epochs": 45},
            "short": {"train.epochs": 16},
            "smoke": {"train.epochs": 3, "labels.num_classes": 5},  # dead leaves
        },
    ),
    Stage(
        "random",
        "simple_cnn.cifar10",
        reads="upstream",
        changes=FINE_TUNING,
        at={
            "full": {"train.epochs": 45},
            "short": {"train.epochs": 28},
            "smoke": {
                "train.epochs": 3,
                "labels.num_classes": 5,
                "optimizer.learning_rate": 0.01,
            },
        },
    ),
)

STUDY = first_layer_study(
    name="fig5",
    title="Transfer of a first layer trained on random labels, CIFAR-10",
    paper_item="Figure 5",
    stages=STAGES,
    levels=LEVELS,
    tuning=Tuning(
        note="Learning rates and levels were chosen on earlier runs; their seeds are not known."
    ),
)
