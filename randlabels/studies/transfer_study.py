"""What studies of first-layer transfer share: measures, figures and the table of numbers.

Stages are called `upstream`, `real` and `random`: pre-training on random labels, then fine-tuning
on real and on random labels in four arms (the paper's Figure 5).
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import training_curves
from randlabels.figures.alignment_figures import alignment_figures
from randlabels.studies import measures
from randlabels.studies.study import Claim, Results

ARMS = ("scratch", "pretrained", "covariance", "pretrained_unscaled")
TASKS = {"real": "real labels", "random": "random labels"}
LAYER = "conv1"

# What fine-tuning changes. Its seeds are its own: fresh weights, labels and filters are independent
# of the upstream networks.
FINE_TUNING = {
    "seed": 1000,
    "labels.seed": 1000,
    "train.task": "downstream",
    "init.arms": ("scratch", "pretrained", "pretrained_unscaled", "covariance"),
    "init.layers": (LAYER,),
}


def claims(levels: dict[str, float], place: str) -> tuple[Claim, ...]:
    """The claims of a first-layer transfer.

    Args:
        levels: for each task, the train accuracy whose time of arrival is compared.
        place: of the transfer claims in the paper.
    """
    found = [
        Claim(
            name="alignment",
            statement="The first layer's weights are closer to the eigenvectors of the data than "
            "to any of 200 random orthonormal bases.",
            place="Section 2.3, Figure 2",
            measure="misalignment_margin",
            threshold=0.0,
            unit="smallest misalignment to a random basis minus misalignment to the data basis",
        )
    ]
    for task, label in TASKS.items():
        for arm in ("pretrained", "covariance"):
            found.append(
                Claim(
                    name=f"{arm}_{task}",
                    statement=f"With {label} downstream, {_PHRASES[arm]} reaches "
                    f"{levels[task]:.0%} train accuracy in fewer steps than scratch.",
                    place=place,
                    measure=f"{arm}_{task}",
                    threshold=1.0,
                    unit="steps from scratch over steps of the arm",
                )
            )
        found.append(
            Claim(
                name=f"covariance_keeps_half_{task}",
                statement=f"With {label} downstream, covariance keeps at least half of what "
                "pre-training gains over scratch.",
                place=place,
                measure=f"covariance_keeps_half_{task}",
                threshold=0.0,
                unit="gain of covariance minus half the gain of pretrained, mean train accuracy",
            )
        )
    return tuple(found)


_PHRASES = {
    "pretrained": "a first layer pre-trained on random labels",
    "covariance": "a first layer drawn from the covariance of pre-trained filters",
}


def measure(results: Results, levels: dict[str, float]) -> dict[str, np.ndarray]:
    """The measures that `claims` names."""
    upstream = results.runs["upstream"]
    found = {
        "misalignment_margin": measures.misalignment_margin(
            results.alignments["upstream"], LAYER, upstream.steps[-1]
        )
    }
    for task in TASKS:
        run = results.runs[task]
        for arm in ("pretrained", "covariance"):
            found[f"{arm}_{task}"] = measures.speed_up(run, arm, levels[task])
        gains = {arm: measures.area_between(run, arm) for arm in ("pretrained", "covariance")}
        found[f"covariance_keeps_half_{task}"] = gains["covariance"] - gains["pretrained"] / 2
    return found


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """The figures of the page: transfer curves, misalignment, eigenvalue map, eigenvectors."""
    panels = {
        label: {arm: measures.curve(results.runs[task], arm) for arm in ARMS}
        for task, label in TASKS.items()
    }
    alignment = results.alignments["upstream"]
    return {
        "transfer": (
            training_curves.plot(panels),
            "Fine-tuning from a first layer pre-trained on random labels (rescaled or not), drawn "
            "from its covariance, or from scratch. Lines are means over seeds, bands go from the "
            "lowest to the highest seed.",
        ),
        **alignment_figures(alignment, LAYER),
    }


def summary(results: Results, levels: dict[str, float]) -> list[dict[str, Any]]:
    """Rows of the table of numbers: every arm of both tasks, and what covariance keeps."""
    rows = []
    for task, label in TASKS.items():
        share, low, high = measures.share_kept(results.runs[task])
        found = f"{share:.2f} [{low:.2f}, {high:.2f}]" if np.isfinite(low) else "not determined"
        kept = {"covariance": found, "pretrained": "1"}
        for row in measures.table(results.runs[task], ARMS, levels[task]):
            gain = {"share of the pre-trained gain": kept.get(row["arm"], "")}
            rows.append({"downstream": label} | row | gain)
    return rows
