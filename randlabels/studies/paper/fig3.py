"""Figure 3: leading eigenvectors of the weights of many WideResNets, beside those of the data.

Networks are pooled in disjoint groups with more filters than dimensions, one value for each.
Single eigenvectors are not determined where eigenvalues are close, and their order changes where f
falls; the overlap of the spaces of the k leading ones is what can be compared. Batch norm follows
the layer and leaves the scale of its filters free, which eigenvectors do not depend on. Where f is
flat, the order within the plateau is noise even for perfectly aligned weights, and the overlap is
high only from the k on at which the plateau ends; so larger k are shown than are claimed.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from randlabels.analysis.advantage import Advantage, learned_advantage
from randlabels.analysis.learned import LearnedAlignment, first_layer_bases
from randlabels.analysis.records import Alignment
from randlabels.configs.base import SAME
from randlabels.eigen import descending_eigh, filter_covariance, subspace_overlap
from randlabels.figures import overlap_by_rank
from randlabels.figures.alignment_figures import alignment_figures
from randlabels.runs import Run
from randlabels.studies.declare import (
    Claim,
    Drawings,
    Primary,
    Results,
    Stage,
    Study,
    Tables,
    Tuning,
)
from randlabels.studies.readouts.alignment import LAYER, accuracy_at
from randlabels.studies.readouts.cells import mean_range
from randlabels.studies.readouts.groups import (
    FILTERS_PER_DIMENSION,
    data_basis,
    disjoint_groups,
    pooled_filters,
)
from randlabels.studies.readouts.learned import (
    SPECIFIC,
    advantage_rows,
    default_groups,
    learned_rows,
    read_learned,
    specific_claim,
)

STAGE = "random"
RANKS = (*range(1, 11), 15, 20, 30, 40)
CLAIMED_RANKS = (1, 2, 5, 10)
CONTROLLED_RANK = 10
PLACE = "Section 2.3, Figure 3"


@dataclasses.dataclass(frozen=True)
class Overlaps:
    """Overlaps [group, rank] of leading eigenspaces of the weights with those of the data."""

    dim: int  # of the filters
    epochs: Mapping[int, np.ndarray]  # {epoch: overlaps}, of the first and the last checkpoint
    accuracy: str  # train accuracy at the end, a cell
    beyond: np.ndarray  # overlap of CONTROLLED_RANK learned less the largest with a control [group]
    alignment: Alignment  # of the first layer
    learned: LearnedAlignment  # of what groups had learned at the end
    advantage: Advantage  # of the data's eigenvectors over controls then, all networks pooled

    def of(self, k: int) -> np.ndarray:
        """Of the k leading eigenvectors at the end of training, [group]."""
        return self.epochs[max(self.epochs)][:, RANKS.index(k)]


def _read(results: Results) -> Overlaps:
    run = results.runs[STAGE]
    vectors = data_basis(run).vectors
    ends = (run.steps[0], run.steps[-1])
    return Overlaps(
        len(vectors),
        {step // run.steps_per_epoch: overlaps(run, vectors, step) for step in ends},
        accuracy_at(run, run.steps[-1]),
        beyond_controls(run),
        results.alignments[STAGE],
        read_learned(run, run.steps[-1]),
        learned_advantage(run, run.steps[-1]),
    )


def overlaps(run: Run, vectors: np.ndarray, step: int) -> np.ndarray:
    """Overlap [group, rank] of leading eigenspaces of Sigma_w with those of the data.

    Args:
        run: whose networks are pooled in groups.
        vectors: of the data [d, d].
        step: of the checkpoint.
    """
    least = FILTERS_PER_DIMENSION * len(vectors)
    groups = disjoint_groups(run.healthy_networks, run.config["model"]["filters"], least)
    filters = pooled_filters(run, step, groups)
    _, ours = descending_eigh(filter_covariance(filters, spatial=False))
    return np.stack([subspace_overlap(ours, vectors, k) for k in RANKS], axis=-1)


def beyond_controls(run: Run) -> np.ndarray:
    """Overlap [group] of the CONTROLLED_RANK leading eigenvectors of what was learned, w_t - w_0,
    with those of the data, minus the largest with those of a control basis.
    """
    bases = first_layer_bases(run)
    groups = default_groups(run, bases)
    end, start = (pooled_filters(run, step, groups) for step in (run.steps[-1], run.steps[0]))
    _, ours = descending_eigh(filter_covariance(end - start, spatial=False))
    controls = bases.controls
    counted = [of for name, of in controls.bases.items() if name not in controls.symmetries]
    data, *others = (
        subspace_overlap(ours, of, CONTROLLED_RANK) for of in (bases.basis.vectors, *counted)
    )
    return data - np.max(others, axis=0)


def _above_chance(k: int) -> Claim[Overlaps]:
    return Claim(
        name=f"above_chance_{k}",
        statement="The space of the k leading eigenvectors of the pooled weights overlaps with "
        f"that of the data more than by chance, k = {k}.",
        place=PLACE,
        unit=f"overlap minus its chance level {k} / d",
        of=lambda found: found.of(k) - k / found.dim,
    )


def _figures(found: Overlaps) -> Drawings:
    """Overlaps by rank, and the figures of the analysis of all networks pooled."""
    return alignment_figures(found.alignment, LAYER) | {
        "overlap": (
            overlap_by_rank.plot(RANKS, found.epochs, found.dim),
            "Overlap of the spaces of the k leading eigenvectors of the weights and of the data, 1 "
            "for equal spaces: mean and range over disjoint groups of networks. Dashed: chance, "
            "k / d.",
        )
    }


def _tables(found: Overlaps) -> Tables:
    """One row for each rank, at the end of training."""
    start, _ = found.epochs.values()
    return {
        "advantage": advantage_rows({"random labels": found.advantage}),
        "learned": learned_rows({"random labels": found.learned}),
        "overlaps": [
            {
                "k": k,
                "overlap": mean_range(found.of(k)),
                "at initialisation": f"{of_rank.mean():.3f}",
                "chance": f"{k / found.dim:.3f}",
                "groups": len(of_rank),
                "train accuracy": found.accuracy,
            }
            for k, of_rank in zip(RANKS, start.T, strict=True)
        ],
    }


STUDY = Study(
    name="fig3",
    title="Eigenvectors of a WideResNet's first layer, CIFAR-10 with random labels",
    paper_item="Figure 3",
    stages=(
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
                "data.upstream_size": (SAME, 2_000, 64),
                "model.filters": (SAME, SAME, 120),
                "model.width": (SAME, 0.5, 0.125),
                "train.epochs": (100, 30, SAME),
                "train.batch_size": (SAME, SAME, 32),
                "train.checkpoint_epochs": ((0, 10, 30, 100), (0, 3, 10, 30), (0, 2)),
                "train.eval_epochs": ((0, 10, 30, 50, 80, 100), (0, 3, 10, 20, 30), SAME),
                "population.seeds": (70, 48, SAME),
            },
        ),
    ),
    read=_read,
    claims=(
        specific_claim(
            "specific",
            "the first layer",
            PLACE,
            lambda found: found.advantage,
        ),
        Claim(
            name="beyond_controls",
            statement=f"The {CONTROLLED_RANK} leading eigenvectors of what was learned overlap "
            "more with those of the data than with those of any control basis.",
            place=PLACE,
            unit="overlap with the data minus the largest with a control",
            of=lambda found: found.beyond,
        ),
        *(_above_chance(k) for k in CLAIMED_RANKS),
        Claim(
            name="mostly_the_same",
            statement="The 10 leading eigenvectors of the pooled weights span mostly the same "
            "space as those of the data.",
            place=PLACE,
            unit="overlap (1 for equal spaces)",
            of=lambda found: found.of(10),
            threshold=0.5,
        ),
    ),
    figures=_figures,
    tables=_tables,
    primary={
        "specific": SPECIFIC,
        "beyond_controls": Primary(0.02, "a control whose leading eigenvectors are as like"),
    },
    tuning=Tuning(
        note="Nothing was chosen on results but the ranks above 10, which are shown, not claimed."
    ),
)
