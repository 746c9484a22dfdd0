"""appendix_b: its gains on planted curves."""

from pathlib import Path

import numpy as np

from randlabels.networks import Network
from randlabels.runs import Run
from randlabels.studies.declare import Results
from randlabels.studies.families.whole_networks import ARMS, TASKS
from randlabels.studies.paper.appendix_b import MODELS, STUDY

FACTORS = np.array([1, 1.01, 1.02, 1.03])  # of the gain, by seed


def planted_run(gain):
    """Four networks an arm; all but scratch are ahead by a gain on average over the steps."""
    pairs = [(arm, seed) for arm in ARMS for seed in range(4)]
    networks = tuple(Network(k, arm=arm, seed=seed) for k, (arm, seed) in enumerate(pairs))
    ahead = [gain * FACTORS[seed] * (arm != "scratch") for arm, seed in pairs]
    metrics = [
        {"step": 10 * k, "train_accuracy": [0.1 + 0.1 * k + k * one for one in ahead]}
        for k in range(3)
    ]
    return Run(Path("x"), {"labels": {"num_classes": 10}}, networks, metrics, {}, ())


def test_appendix_b_has_a_claim_for_each_model_task_and_arm():
    gains = {f"{m}_{t}": 0.04 + 0.01 * len(m + t) for m in MODELS for t in TASKS}
    runs = {stage: planted_run(gain) for stage, gain in gains.items()}
    reading = STUDY.read(Results(Path("x"), runs, {}))
    found = {claim.name: claim.of(reading) for claim in STUDY.claims}
    assert len(found) == 8
    for stage, gain in gains.items():
        for arm in ARMS[1:]:
            np.testing.assert_allclose(found[f"{stage}_{arm}"], gain * FACTORS)
    (rows,) = STUDY.tables(reading).values()
    cells = [row["gain over scratch"].split(" ")[0] for row in rows]
    means = [gain * FACTORS.mean() for gain in gains.values()]
    assert cells == [text for mean in means for text in ("+0.000", *[f"{mean:+.3f}"] * 2)]
