"""Runs with curves that are planted, so that every gain over scratch is known."""

from pathlib import Path

import numpy as np

from randlabels.networks import Network
from randlabels.runs import Run
from randlabels.studies.declare import Results

SEEDS = 4
STEPS = np.array([0, 10, 20])
SEED_FACTORS = 1 + 0.01 * np.arange(SEEDS)


def planted_run(starts, gain_of, of_scratch=lambda columns: 0.0, rate=0.01):
    """A run in which each start is ahead of scratch by a known gain, and seeds differ.

    starts: columns of the network table; gain_of(columns) is what the mean over steps is ahead,
    of_scratch(columns) what scratch itself is, and rate the learning rate of the config.
    """
    networks, values = [], []
    for columns in starts:
        for seed in range(SEEDS):
            networks.append(Network(network=len(networks), seed=seed, **columns))
            base = np.array([0.1, 0.2 + 0.05 * seed, 0.4])
            gain = (of_scratch if columns["arm"] == "scratch" else gain_of)(columns)
            ahead = gain * SEED_FACTORS[seed]
            values.append(base + ahead * np.array([0, 1, 2]))  # mean over steps: ahead
    metrics = [
        {
            "step": int(step),
            "train_accuracy": [v[i] for v in values],
            "test_accuracy": [v[i] / 2 for v in values],
        }
        for i, step in enumerate(STEPS)
    ]
    config = {"labels": {"num_classes": 10}, "optimizer": {"learning_rate": rate}}
    return Run(Path("x"), config, tuple(networks), metrics, {}, ())


def planted_rates(starts, best, rates, gains):
    """A run that sweeps the learning rate; a start at another than its best is .05 behind that.

    starts: {start: columns of the network table}; best: {start: rate}; gains: {start: gain at its
    best rate, over nothing}; the common rate is the middle one.
    """

    def gain_of(columns):
        (name,) = (n for n, of in starts.items() if of.items() <= columns.items())
        return gains[name] - 0.05 * (columns["learning_rate"] != best[name])

    rows = [
        {"layers": None, **of, "learning_rate": rate} for of in starts.values() for rate in rates
    ]
    rows = [{"arm": "aligned", **row} for row in rows]
    return planted_run(rows, gain_of, of_scratch=gain_of, rate=rates[len(rates) // 2])


def read_planted(study, runs):
    """A study's reading of {stage: run}, and {claim: values}; none of its names come twice."""
    reading = study.read(Results(Path("x"), runs, {}))
    claimed = {claim.name: claim.of(reading) for claim in study.claims}
    assert len(claimed) == len(study.claims)
    return reading, claimed
