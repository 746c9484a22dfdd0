"""Every effect of the paper in minutes on a CPU, on dead-leaves images."""

from randlabels.configs.base import SAME
from randlabels.studies.declare import Stage, Tuning
from randlabels.studies.families.first_layer import FIRST_LAYER, first_layer_study
from randlabels.studies.readouts.alignment import LAYER

LEVELS = {"real": 0.6, "random": 0.5}  # train accuracy; chance is .2 and .1

# Not the seeds on which something was chosen, see its tuning.
_FINE_TUNING = FIRST_LAYER | {"seed": 1200, "labels.seed": 1200, "data.seed": 200}

_KEPT = (0, 5, 10, 20, 40, 80)
_EVALUATED = (0, 5, 10, 20, 40, 60, 80)

STUDY = first_layer_study(
    name="quickstart",
    title="What networks learn from random labels, on dead-leaves images",
    paper_item="Figures 2, 4 and 5",
    levels=LEVELS,
    stages=(
        Stage(
            "upstream",
            "simple_cnn.dead_leaves",
            analyze=(LAYER,),
            changes={"seed": 200, "labels.seed": 200, "data.seed": 200},
            at={
                "train.checkpoint_epochs": (_KEPT, _KEPT, (0, 1, 2)),
                "train.eval_epochs": (_EVALUATED, _EVALUATED, SAME),
            },
        ),
        Stage(
            "real",
            "simple_cnn.dead_leaves",
            reads="upstream",
            changes=_FINE_TUNING | {"labels.kind": "real"},
            at={"train.epochs": (16, 16, 3)},
        ),
        Stage(
            "random",
            "simple_cnn.dead_leaves",
            reads="upstream",
            # More classes than upstream: 5 are learned so fast that seeds differ more than arms.
            changes=_FINE_TUNING | {"labels.num_classes": 10},
            at={"train.epochs": (24, 24, 3)},
        ),
    ),
    primary=("specific", "pretrained_real", "covariance_real", "pretrained_random"),
    tuning=Tuning(
        seeds=tuple(
            k for first in (0, 100, 1000, 20_000, 21_000) for k in range(first, first + 12)
        ),
        note="Levels and numbers of classes were chosen on the first of these seeds. With 8 "
        "networks an arm, claims of speed were undecided on those from 20000; so there are 12 now, "
        "on other seeds and images.",
    ),
)
