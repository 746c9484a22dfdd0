"""Runs with curves that are planted, so that every gain over scratch is known."""

from pathlib import Path

import numpy as np

from randlabels.networks import Network
from randlabels.runs import Run
from randlabels.studies.declare import Results

SEEDS = 4
STEPS = np.array([0, 10, 20])
SEED_FACTORS = 1 + 0.01 * np.arange(SEEDS)


def planted_run(starts, gain_of):
    """A run in which each start is ahead of scratch by a known gain, and seeds differ.

    starts: columns of the network table; gain_of(columns) is what the mean over steps is ahead.
    """
    networks, values = [], []
    for columns in starts:
        for seed in range(SEEDS):
            networks.append(Network(network=len(networks), seed=seed, **columns))
            base = np.array([0.1, 0.2 + 0.05 * seed, 0.4])
            ahead = 0 if columns["arm"] == "scratch" else gain_of(columns) * SEED_FACTORS[seed]
            values.append(base + ahead * np.array([0, 1, 2]))  # mean over steps: ahead
    metrics = [
        {
            "step": int(step),
            "train_accuracy": [v[i] for v in values],
            "test_accuracy": [v[i] / 2 for v in values],
        }
        for i, step in enumerate(STEPS)
    ]
    return Run(Path("x"), {"labels": {"num_classes": 10}}, tuple(networks), metrics, {}, ())


def read_planted(study, runs):
    """A study's reading of {stage: run}, and {claim: values}; none of its names come twice."""
    reading = study.read(Results(Path("x"), runs, {}))
    claimed = {claim.name: claim.of(reading) for claim in study.claims}
    assert len(claimed) == len(study.claims)
    return reading, claimed
