"""What studies of one kind share: their stages, their reading, their claims, figures and tables."""

from randlabels.studies.declare import Tuning

# What fine-tuning changes. Its seeds are its own: fresh weights, labels and filters are independent
# of the upstream networks.
FINE_TUNING = {"seed": 1000, "labels.seed": 1000, "train.task": "downstream"}

UNKNOWN_SEEDS = Tuning(
    seeds=(*range(12), *range(1000, 1012)),
    note="Settings were chosen on earlier runs, on these seeds among others that are not known, "
    "all below 20000.",
)
