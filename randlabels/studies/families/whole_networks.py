"""Studies that take over all layers but the head, rescaled to their initial norms or not."""

from collections.abc import Iterable, Mapping

import numpy as np

from randlabels.configs.base import SAME, Columns
from randlabels.studies.declare import Results
from randlabels.studies.families import FINE_TUNING
from randlabels.studies.readouts.curves import Curves, arm_curves

COPIED = ("pretrained", "pretrained_unscaled")
ARMS = ("scratch", *COPIED)
HOW = {"pretrained": "rescaled", "pretrained_unscaled": "as they are"}  # layers are taken over
TASKS = {"real": "real labels", "random": "10 random labels"}
BANDS = "Lines are means over seeds, bands go from the lowest to the highest seed."

ALL_ARMS = {**FINE_TUNING, "init.arms": ARMS}
TEN_CLASSES: Columns = {"labels.num_classes": (10, 10, SAME)}  # dead leaves, in smoke, have 5

Arms = Mapping[str, Curves]  # {arm: curves} of one stage of fine-tuning
Cases = Mapping[str, Arms]  # {stage: arms}


def read_cases(results: Results, stages: Iterable[str]) -> Cases:
    """The curves of all arms of some stages."""
    return {stage: arm_curves(results.runs[stage], ARMS) for stage in stages}


def gain(arms: Arms, arm: str = "pretrained") -> np.ndarray:
    """Mean train accuracy of an arm over all steps above scratch, [seed]."""
    return arms[arm].gain_over(arms["scratch"])
