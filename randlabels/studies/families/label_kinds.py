"""Studies of one population of simple_cnn that learns random and real labels (Figures 2 and 4).

Stages are called `random` and `real`: the same networks learn both kinds of labels of CIFAR-10.
"""

import numpy as np

from randlabels.configs.base import SAME
from randlabels.runs import Run
from randlabels.studies.declare import Stage
from randlabels.studies.readouts.alignment import LAYER

LABELS = {"random": "random labels", "real": "real labels"}


_KEPT = (0, 2, 5, 13, 25, 50, 100, 150, 200)
_SHORT_KEPT = (0, 4, 8, 16, 31, 63, 94, 126)
# The paper's epochs are 195 steps each. Steps are what moves the weights, so fewer images stand in
# for its 50,000 with more epochs: 13, 25, 50, 100 and 16, 31, 63, 126 are its 5, 10, 20, 40.
STAGES = tuple(
    Stage(
        kind,
        "simple_cnn.cifar10",
        analyze=(LAYER,),
        changes={"labels.kind": kind, "data.downstream_size": 0},
        at={
            "data.test_size": (SAME, 1_000, SAME),
            # In smoke as many as real ones: both label kinds are one program.
            "labels.num_classes": (SAME, SAME, 5),
            "train.epochs": (SAME, 126, 4),
            "train.batch_size": (SAME, SAME, 32),
            "train.checkpoint_epochs": (_KEPT, _SHORT_KEPT, (0, 1, 2, 3, 4)),
            "train.eval_epochs": (_KEPT, _SHORT_KEPT, SAME),
            "population.seeds": (8, 6, 3),
        },
    )
    for kind in LABELS
)

PAPER_STEPS_PER_EPOCH = 195  # 50,000 images in batches of 256
PAPER_EPOCHS = (5, 10, 20, 40)  # Figure 4


def paper_steps(run: Run) -> dict[int, int]:
    """{epoch of the paper: the checkpoint of a run whose number of steps is nearest to its}.

    A checkpoint is named once, for the last of the epochs that it stands for (a short run ends
    before the paper's), and the start never.
    """
    trained = np.array([step for step in run.steps if step > 0])
    nearest = {
        int(trained[np.argmin(abs(trained - epoch * PAPER_STEPS_PER_EPOCH))]): epoch
        for epoch in PAPER_EPOCHS
    }
    return {epoch: step for step, epoch in nearest.items()}
