"""Figure 3: leading eigenvectors of the weights of many WideResNets, beside those of the data.

Networks are pooled in disjoint groups with more filters than dimensions, one value for each.
Single eigenvectors are not determined where eigenvalues are close, and their order changes where f
falls; the overlap of the spaces of the k leading ones is what can be compared. Batch norm follows
the layer and leaves the scale of its filters free, which eigenvectors do not depend on. Where f is
flat, the order within the plateau is noise even for perfectly aligned weights, and the overlap is
high only from the k on at which the plateau ends; so larger k are shown than are claimed.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.eigen import descending_eigh, filter_covariance, subspace_overlap
from randlabels.figures import overlap_by_rank
from randlabels.figures.alignment_figures import alignment_figures
from randlabels.runs import Run
from randlabels.studies.alignment_study import accuracy_at
from randlabels.studies.network_groups import (
    FILTERS_PER_DIMENSION,
    LAYER,
    data_basis,
    disjoint_groups,
    pooled_filters,
)
from randlabels.studies.study import Claim, Results, Stage, Study

STAGE = "random"
STAGES = (
    Stage(
        STAGE,
        "residual.wide_resnet",
        analyze=(LAYER,),
        changes={
            "data.downstream_size": 0,
            "labels.num_classes": 10,
            "model.kernel_size": 5,
            # Gradients of what batch norm follows are as 1 / scale: small weights turn faster.
            "model.init_scale": 0.5,
            "optimizer.learning_rate": 0.02,
            "optimizer.decay_at": (0.75,),
        },
        at={
            "full": {
                "train.epochs": 100,
                "train.checkpoint_epochs": (0, 10, 30, 100),
                "train.eval_epochs": (0, 10, 30, 50, 80, 100),
                "population.seeds": 70,
            },
            "short": {
                "data.upstream_size": 2_000,
                "model.width": 0.5,
                "train.epochs": 30,
                "train.checkpoint_epochs": (0, 3, 10, 30),
                "train.eval_epochs": (0, 3, 10, 20, 30),
                "population.seeds": 24,
            },
            "smoke": {
                "data.upstream_size": 64,
                "model.filters": 120,
                "model.width": 0.125,
                "train.batch_size": 32,
                "train.checkpoint_epochs": (0, 2),
            },
        },
    ),
)
RANKS = (*range(1, 11), 15, 20, 30, 40)
CLAIMED_RANKS = (1, 2, 5, 10)
PLACE = "Section 2.3, Figure 3"

CLAIMS = (
    *(
        Claim(
            name=f"above_chance_{k}",
            statement="The space of the k leading eigenvectors of the pooled weights overlaps with "
            f"that of the data more than by chance, k = {k}.",
            place=PLACE,
            measure=f"above_chance_{k}",
            threshold=0.0,
            unit=f"overlap minus its chance level {k} / d",
        )
        for k in CLAIMED_RANKS
    ),
    Claim(
        name="mostly_the_same",
        statement="The 10 leading eigenvectors of the pooled weights span mostly the same space as "
        "those of the data.",
        place=PLACE,
        measure="mostly_the_same",
        threshold=0.5,
        unit="overlap (1 for equal spaces)",
    ),
)


def overlaps(run: Run, step: int) -> tuple[np.ndarray, int]:
    """(overlap [group, rank] of leading eigenspaces of the weights with the data's, d)."""
    basis = data_basis(run.workdir).vectors
    dim = len(basis)
    least = FILTERS_PER_DIMENSION * dim
    groups = disjoint_groups(run.healthy_networks, run.config["model"]["filters"], least)
    filters = pooled_filters(run.workdir, step, groups)
    _, vectors = descending_eigh(filter_covariance(filters, spatial=False))
    return np.stack([subspace_overlap(vectors, basis, k) for k in RANKS], axis=-1), dim


def measure(results: Results) -> dict[str, np.ndarray]:
    """The measures that the claims name, [group], at the last checkpoint."""
    run = results.runs[STAGE]
    found, dim = overlaps(run, run.steps[-1])
    of_rank = dict(zip(RANKS, found.T, strict=True))
    return {f"above_chance_{k}": of_rank[k] - k / dim for k in CLAIMED_RANKS} | {
        "mostly_the_same": of_rank[CLAIMED_RANKS[-1]]
    }


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """Overlaps by rank, and the figures of the analysis of all networks pooled."""
    run = results.runs[STAGE]
    at_step = {step: overlaps(run, step) for step in (run.steps[0], run.steps[-1])}
    _, dim = at_step[run.steps[-1]]
    curves = {step // run.steps_per_epoch: found for step, (found, _) in at_step.items()}
    found = alignment_figures(results.alignments[STAGE], LAYER)
    found["overlap"] = (
        overlap_by_rank.plot(RANKS, curves, dim),
        "Overlap of the spaces of the k leading eigenvectors of the weights and of the data, 1 for "
        "equal spaces: mean and range over disjoint groups of networks. Dashed: chance, k / d.",
    )
    return found


def summary(results: Results) -> list[dict[str, Any]]:
    """One row for each rank, at the end of training."""
    run = results.runs[STAGE]
    start, dim = overlaps(run, run.steps[0])
    end, _ = overlaps(run, run.steps[-1])
    return [
        {
            "k": k,
            "overlap": f"{end[:, i].mean():.3f} ({end[:, i].min():.3f} to {end[:, i].max():.3f})",
            "at initialisation": f"{start[:, i].mean():.3f}",
            "chance": f"{k / dim:.3f}",
            "groups": len(end),
            "train accuracy": accuracy_at(run, run.steps[-1]),
        }
        for i, k in enumerate(RANKS)
    ]


STUDY = Study(
    name="fig3",
    title="Eigenvectors of a WideResNet's first layer, CIFAR-10 with random labels",
    paper_item="Figure 3",
    stages=STAGES,
    claims=CLAIMS,
    measures=measure,
    figures=figures,
    summary=summary,
)
