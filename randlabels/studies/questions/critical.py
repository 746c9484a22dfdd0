"""Critical stages: how the benefit of pre-training depends on its length, in Figure 1's settings.

One upstream run for each setting keeps several checkpoints; fine-tuning on real labels starts from
each of them. The benefit is the mean difference of train accuracy to networks from scratch. The
checkpoint of step 0 is a control: random weights of other seeds, whose benefit is 0 on average.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import gap_curves
from randlabels.runs import Run
from randlabels.studies import measures
from randlabels.studies.fig1 import ARMS, FINE_TUNING, LEVELS, SETTINGS, UPSTREAM, every_two
from randlabels.studies.study import Claim, Results, Stage, Study

COPIED = ARMS[1:]
LEVEL = LEVELS["real"]
PLACE = "A question asked of the paper: the link to critical stages"
UNIT = "gain over scratch in mean train accuracy, the former minus the latter"


def _from_steps(*steps: int) -> dict[str, Any]:
    """Start from the upstream checkpoints of these steps."""
    return {"population.sweep": (("init.step", steps),)}


# What fine-tuning changes at each budget; the steps are those of all checkpoints of UPSTREAM.
_AT: dict[str, dict[str, dict[str, Any]]] = {
    "positive": {
        "full": {
            "labels.num_classes": 10,
            **every_two(24),
            **_from_steps(0, 234, 936, 3120, 9360),
        },
        "short": {
            "labels.num_classes": 10,
            **every_two(12),
            **_from_steps(0, 100, 300, 750, 1500),
        },
        "smoke": {"train.epochs": 1, **_from_steps(0, 2, 4)},
    },
    "negative": {
        "full": {
            "labels.num_classes": 10,
            "optimizer.learning_rate": 0.003,
            **every_two(24),
            **_from_steps(0, 468, 1950, 7800, 19500),
        },
        "short": {
            "labels.num_classes": 10,
            "optimizer.learning_rate": 0.001,
            **every_two(14),
            **_from_steps(0, 100, 300, 1000, 3000),
        },
        "smoke": {
            "optimizer.learning_rate": 0.001,
            "train.epochs": 1,
            **_from_steps(0, 2, 4),
        },
    },
}

CLAIMS = (
    Claim(
        name="positive_grows",
        statement="In the positive setting, the whole of pre-training helps more than its first "
        "stage (the first checkpoint after initialisation).",
        place=PLACE,
        measure="positive_grows",
        threshold=0.0,
        unit=UNIT,
    ),
    Claim(
        name="negative_best_before_the_end",
        statement="In the negative setting, the checkpoint in the middle helps more, or hurts "
        "less, than the end of pre-training.",
        place=PLACE,
        measure="negative_best_before_the_end",
        threshold=0.0,
        unit=UNIT,
    ),
    Claim(
        name="negative_comes_from_rescaling",
        statement="In the negative setting, the pre-trained network at the end of pre-training "
        "does worse rescaled than not.",
        place="A reading of Figure 1, not in the paper",
        measure="negative_comes_from_rescaling",
        threshold=0.0,
        unit="mean train accuracy, not rescaled minus rescaled",
    ),
)


def lengths(run: Run) -> list[int]:
    """The steps of the upstream checkpoints that a fine-tuned population starts from."""
    return sorted({row.source_step for row in run.networks if row.source_step is not None})


def benefits(run: Run, arm: str) -> np.ndarray:
    """Area between the curves of an arm and scratch, [length, seed]."""
    starts = [{"arm": arm, "source_step": step} for step in lengths(run)]
    return np.stack([measures.area_between(run, start) for start in starts])


def measure(results: Results) -> dict[str, np.ndarray]:
    """The measures that the claims name, [seed]."""
    positive, negative = (
        benefits(results.runs[f"{setting}_real"], "pretrained") for setting in SETTINGS
    )
    unscaled = benefits(results.runs["negative_real"], "pretrained_unscaled")
    return {
        "positive_grows": positive[-1] - positive[1],
        "negative_best_before_the_end": negative[len(negative) // 2] - negative[-1],
        "negative_comes_from_rescaling": unscaled[-1] - negative[-1],
    }


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """Benefit against the length of pre-training, a panel for each setting."""
    panels = {}
    for setting in SETTINGS:
        run, upstream = results.runs[f"{setting}_real"], results.runs[setting]
        epochs = np.array(lengths(run)) / upstream.steps_per_epoch
        panels[f"{setting} setting"] = epochs, {arm: benefits(run, arm) for arm in COPIED}
    caption = (
        "Mean train accuracy of fine-tuning on real labels above scratch, against the epochs of "
        "pre-training. Points are seeds; epoch 0 is a control."
    )
    return {"benefit": (gap_curves.plot(panels, "epochs of pre-training"), caption)}


def summary(results: Results) -> list[dict[str, Any]]:
    """One row for each setting, length and arm."""
    rows = []
    for setting in SETTINGS:
        run, upstream = results.runs[f"{setting}_real"], results.runs[setting]
        learned = {record["step"]: record for record in upstream.metrics}
        for number, step in enumerate(lengths(run)):
            accuracy = learned.get(step, {}).get("train_accuracy")
            for arm in COPIED:
                steps, values = measures.curve(run, {"arm": arm, "source_step": step})
                gain = benefits(run, arm)[number]
                rows.append(
                    {
                        "setting": setting,
                        "epochs of pre-training": f"{step / upstream.steps_per_epoch:g}",
                        "train accuracy upstream": ""
                        if accuracy is None
                        else f"{np.mean(accuracy):.3f}",
                        "arm": arm,
                        f"steps to {LEVEL:g}": measures.mean_std(
                            measures.steps_to(steps, values, LEVEL), 0
                        ),
                        "train accuracy at the end": measures.mean_std(values[:, -1], 3),
                        "area": measures.mean_std(gain, 3),
                    }
                )
    return rows


STUDY = Study(
    name="critical",
    title="Benefit against the length of pre-training, vgg16 on CIFAR-10",
    paper_item="Critical stages (a question asked of the paper)",
    stages=(
        *UPSTREAM,
        *(
            Stage(
                f"{setting}_real",
                "vgg16",
                reads=setting,
                changes=FINE_TUNING | {"labels.kind": "real"},
                at=_AT[setting],
            )
            for setting in SETTINGS
        ),
    ),
    claims=CLAIMS,
    measures=measure,
    figures=figures,
    summary=summary,
)
