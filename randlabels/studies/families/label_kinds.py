"""Studies of one population of simple_cnn that learns random and real labels (Figures 2 and 4).

Stages are called `random` and `real`: the same networks learn both kinds of labels of CIFAR-10.
"""

from typing import Any

import numpy as np

from randlabels.runs import Run
from randlabels.studies.declare import Stage, Tuning
from randlabels.studies.readouts.alignment import LAYER

LABELS = {"random": "random labels", "real": "real labels"}

TUNING = Tuning(
    note="Initial scale and learning rate of simple_cnn were chosen on earlier runs, so that "
    "filters move; their seeds are not known."
)


def _kept(*epochs: int) -> dict[str, Any]:
    """Checkpoints after these epochs, and evaluation at each."""
    return {"train.checkpoint_epochs": epochs, "train.eval_epochs": epochs}


# The paper's epochs are 195 steps each. Steps are what moves the weights, so fewer images stand in
# for its 50,000 with more epochs: 13, 25, 50, 100 and 16, 31, 63, 126 are its 5, 10, 20, 40.
STAGES = tuple(
    Stage(
        kind,
        "simple_cnn.cifar10",
        analyze=(LAYER,),
        changes={"labels.kind": kind, "data.downstream_size": 0},
        at={
            "full": {"population.seeds": 8, **_kept(0, 2, 5, 13, 25, 50, 100, 150, 200)},
            "short": {
                "data.test_size": 1_000,
                "train.epochs": 126,
                "population.seeds": 6,
                **_kept(0, 4, 8, 16, 31, 63, 94, 126),
            },
            "smoke": {
                "labels.num_classes": 5,  # as many as real ones: both label kinds are one program
                "train.epochs": 4,
                "train.batch_size": 32,
                "train.checkpoint_epochs": (0, 1, 2, 3, 4),
                "population.seeds": 3,
            },
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
