"""Figure 2: misalignment of simple_cnn's first layer while it learns random and real labels."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.analysis.label_kinds import KindDistances, compare_label_kinds
from randlabels.analysis.layer_inputs import read_kernels
from randlabels.eigen import filter_covariance
from randlabels.figures import misalignment_over_training, misalignment_panels
from randlabels.studies import measures
from randlabels.studies.alignment_study import (
    LABELS,
    STAGES,
    accuracy_at,
    misalignments,
    paper_steps,
)
from randlabels.studies.network_groups import LAYER
from randlabels.studies.study import Claim, Results, Study

PLACE = "Section 2.3, Figure 2"
FLOOR_QUANTILE = 0.975

_COLUMNS = {
    "bures_wasserstein": "Bures-Wasserstein distance",
    "bures_wasserstein_unit_trace": "both scaled to trace 1",
    "affine_invariant": "affine-invariant distance",
    "affine_invariant_unit_trace": "both of trace 1",
}


def _claims(kind: str) -> tuple[Claim, ...]:
    labels = LABELS[kind]
    return (
        Claim(
            name=f"below_random_bases_{kind}",
            statement=f"Trained on {labels}, the first layer's weights are closer to the "
            "eigenvectors of the data than to any of 200 random orthonormal bases.",
            place=PLACE,
            measure=f"below_random_bases_{kind}",
            threshold=0.0,
            unit="smallest misalignment to a random basis minus misalignment to the data basis",
        ),
        Claim(
            name=f"at_floor_{kind}",
            statement=f"Trained on {labels}, misalignment to the data basis stays within what as "
            "many isotropic filters have by chance.",
            place=PLACE,
            measure=f"at_floor_{kind}",
            threshold=0.0,
            unit="97.5% quantile of the floor minus misalignment to the data basis",
        ),
        Claim(
            name=f"random_bases_grow_{kind}",
            statement=f"Trained on {labels}, misalignment to random bases grows by half or more.",
            place=PLACE,
            measure=f"random_bases_grow_{kind}",
            threshold=1.5,
            unit="mean misalignment to random bases at the end over that at initialisation",
        ),
    )


def measure(results: Results) -> dict[str, np.ndarray]:
    """The measures that the claims name, [network], at the last checkpoint."""
    found = {}
    for kind in LABELS:
        alignment, steps = results.alignments[kind], results.runs[kind].steps
        _, random_at_start, _ = misalignments(alignment, steps[0])
        data, random, floor = misalignments(alignment, steps[-1])
        margin = measures.misalignment_margin(alignment, LAYER, steps[-1])
        found[f"below_random_bases_{kind}"] = margin
        found[f"at_floor_{kind}"] = np.quantile(floor, FLOOR_QUANTILE) - data
        found[f"random_bases_grow_{kind}"] = random.mean(1) / random_at_start.mean(1)
    return found


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """Single networks as the paper has them, and all networks of each label kind pooled."""
    panels = {}
    for kind, labels in LABELS.items():
        run, alignment = results.runs[kind], results.alignments[kind]
        epochs = np.array(run.steps) / run.steps_per_epoch
        panels[labels] = (epochs, [misalignments(alignment, step) for step in run.steps])
    found = {
        "fig2": (
            misalignment_panels.plot(panels),
            "Misalignment of the first layer of single networks during training, to the "
            "eigenvectors of the data (blue) and to 200 random orthonormal bases (red): mean over "
            "networks, and the range of all networks and bases. Grey: as many isotropic filters, "
            "95% of samples.",
        )
    }
    for kind, labels in LABELS.items():
        records = results.alignments[kind].of_layer(LAYER)
        found[f"pooled_{kind}"] = (
            misalignment_over_training.plot(records),
            f"All networks pooled, {labels}: more filters, a lower floor. The blue band is the 95% "
            "bootstrap interval for infinitely many networks.",
        )
    return found


def summary(results: Results) -> list[dict[str, Any]]:
    """Pooled misalignments at the start and at the end, then distances between label kinds."""
    return _pooled_misalignments(results) + _distances_of_kinds(results)


def label_kind_distances(results: Results, step: int) -> dict[str, KindDistances]:
    """Distances between Sigma_w after random and after real labels, at one checkpoint.

    Of networks that diverged in neither run: those of one number start from the same weights.
    """
    runs = results.runs.values()
    healthy = sorted(set.intersection(*(set(run.healthy_networks) for run in runs)))
    first, second = (filter_covariance(read_kernels(run, step, LAYER)[healthy]) for run in runs)
    return compare_label_kinds(first, second)


def _distances_of_kinds(results: Results) -> list[dict[str, Any]]:
    """Three rows for each of the paper's epochs: halves of the networks, and all of them."""
    rows = []
    for epoch, step in paper_steps(results.runs["random"]).items():
        distances = label_kind_distances(results, step)
        found = [distances[name] for name in _COLUMNS]
        compared = {
            "random to real labels, halves without a common seed": [
                _mean_and_range(d.between, 1) for d in found
            ],
            "same labels, the same halves": [_mean_and_range(d.within, 1) for d in found],
            "random to real labels, all networks (same initial weights)": [
                f"{d.pooled:.3f}" for d in found
            ],
        }
        for what, cells in compared.items():
            place = {"Σ_w of": what, "epoch of the paper": epoch, "step": step}
            rows.append(place | dict(zip(_COLUMNS.values(), cells, strict=True)))
    return rows


def _pooled_misalignments(results: Results) -> list[dict[str, Any]]:
    rows = []
    for kind, labels in LABELS.items():
        run = results.runs[kind]
        for step in (run.steps[0], run.steps[-1]):
            record = results.alignments[kind].pooled(LAYER, step)
            data, random, floor = record.misalignments
            interval = record.interval
            rows.append(
                {
                    "labels": labels,
                    "step": step,
                    "train accuracy": accuracy_at(run, step),
                    "filters pooled": record.num_filters,
                    "M(data)": f"{data:.3f}",
                    "for infinitely many networks": "none"
                    if interval is None
                    else f"{interval[0]:.3f} to {interval[1]:.3f}",
                    "floor": _mean_and_range(floor, 0.95),
                    "M(random bases)": _mean_and_range(random, 1),
                    "kernel norm": f"{record.kernel_norm:.2f}",
                }
            )
    return rows


def _mean_and_range(values: np.ndarray, share: float) -> str:
    low, high = np.quantile(values, [(1 - share) / 2, (1 + share) / 2])
    return f"{values.mean():.3f} ({low:.3f} to {high:.3f})"


STUDY = Study(
    name="fig2",
    title="Misalignment during training on random and real labels, CIFAR-10",
    paper_item="Figure 2",
    stages=STAGES,
    claims=tuple(claim for kind in LABELS for claim in _claims(kind)),
    measures=measure,
    figures=figures,
    summary=summary,
)
