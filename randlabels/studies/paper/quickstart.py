"""Every effect of the paper in minutes on a CPU, on dead-leaves images."""

from randlabels.studies.declare import Stage, Tuning
from randlabels.studies.families.first_layer import FINE_TUNING, first_layer_study
from randlabels.studies.readouts.alignment import LAYER

LEVELS = {"real": 0.6, "random": 0.5}  # train accuracy; chance is .2 and .1

_UPSTREAM = {
    "train.checkpoint_epochs": (0, 5, 10, 20, 40, 80),
    "train.eval_epochs": (0, 5, 10, 20, 40, 60, 80),
}

STAGES = (
    Stage(
        "upstream",
        "simple_cnn.dead_leaves",
        analyze=(LAYER,),
        changes={"seed": 100, "labels.seed": 100},  # not the seeds on which LEVELS were chosen
        at={
            "full": _UPSTREAM,
            "short": _UPSTREAM,
            "smoke": {"train.checkpoint_epochs": (0, 1, 2)},
        },
    ),
    Stage(
        "real",
        "simple_cnn.dead_leaves",
        reads="upstream",
        changes=FINE_TUNING | {"labels.kind": "real"},
        at={
            "full": {"train.epochs": 16},
            "short": {"train.epochs": 16},
            "smoke": {"train.epochs": 3},
        },
    ),
    Stage(
        "random",
        "simple_cnn.dead_leaves",
        reads="upstream",
        # More classes than upstream: 5 are learned so fast that seeds differ more than arms.
        changes=FINE_TUNING | {"labels.num_classes": 10},
        at={
            "full": {"train.epochs": 24},
            "short": {"train.epochs": 24},
            "smoke": {"train.epochs": 3},
        },
    ),
)

STUDY = first_layer_study(
    name="quickstart",
    title="What networks learn from random labels, on dead-leaves images",
    paper_item="Figures 2, 4 and 5",
    stages=STAGES,
    levels=LEVELS,
    tuning=Tuning(
        seeds=(0, 1, 2, 3),
        note="Levels and numbers of classes were chosen on these seeds; verdicts use others.",
    ),
)
