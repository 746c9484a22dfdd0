"""What studies of one kind share: their stages, their reading, their claims, figures and tables."""

# What fine-tuning changes. Its seeds are its own: fresh weights, labels and filters are independent
# of the upstream networks.
FINE_TUNING = {"seed": 1000, "labels.seed": 1000, "train.task": "downstream"}
