"""Figure 2: misalignment of simple_cnn's first layer while it learns random and real labels."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from randlabels.analysis.advantage import NEAREST_RANDOM, Advantage, learned_advantage
from randlabels.analysis.controlled import ControlledAlignment
from randlabels.analysis.label_kinds import KindDistances, compare_label_kinds
from randlabels.analysis.layer_inputs import read_kernels
from randlabels.analysis.learned import LearnedAlignment
from randlabels.eigen import filter_covariance
from randlabels.figures import (
    controls_over_training,
    gain_bars,
    learned_controls,
    misalignment_over_training,
    misalignment_panels,
)
from randlabels.runs import Run
from randlabels.studies.declare import Claim, Drawings, Results, Row, Study, Tables
from randlabels.studies.families import UNKNOWN_SEEDS
from randlabels.studies.families.label_kinds import LABELS, STAGES, paper_steps
from randlabels.studies.readouts.alignment import (
    LAYER,
    Misalignments,
    accuracy_at,
    closer_claim,
    read_misalignments,
)
from randlabels.studies.readouts.cells import mean_range, signed_interval
from randlabels.studies.readouts.gains import bars
from randlabels.studies.readouts.learned import (
    ADVANTAGE,
    SPECIFIC,
    advantage_rows,
    basis_rows,
    learned_over_training,
    learned_rows,
    read_learned,
    specific_claim,
)

PLACE = "Section 2.3, Figure 2"
FLOOR_QUANTILE = 0.975

_COLUMNS = {
    "bures_wasserstein": "Bures-Wasserstein distance",
    "bures_wasserstein_unit_trace": "both scaled to trace 1",
    "affine_invariant": "affine-invariant distance",
    "affine_invariant_unit_trace": "both of trace 1",
}


@dataclasses.dataclass(frozen=True)
class BothKinds:
    """The same networks while they learn random and real labels."""

    results: Results
    single: Mapping[str, Sequence[Misalignments]]  # {kind: of single networks, by checkpoint}
    learned: Mapping[str, LearnedAlignment]  # {kind: of what single networks learned, at the end}
    advantage: Mapping[str, Advantage]  # {kind: of the data's eigenvectors over controls then}
    trained: Mapping[str, Mapping[float, ControlledAlignment]]  # {kind: {epoch: all pooled}}
    distances: Mapping[int, Mapping[str, KindDistances]]  # {step: {measure: of Sigma_w}}


def _read(results: Results) -> BothKinds:
    runs = results.runs
    single = {
        kind: [read_misalignments(results.alignments[kind], step) for step in runs[kind].steps]
        for kind in LABELS
    }
    steps = paper_steps(runs["random"]).values()
    distances = {step: label_kind_distances(runs["random"], runs["real"], step) for step in steps}
    learned = {kind: read_learned(runs[kind], runs[kind].steps[-1]) for kind in LABELS}
    advantage = {kind: learned_advantage(runs[kind], runs[kind].steps[-1]) for kind in LABELS}
    trained = {kind: learned_over_training(runs[kind]) for kind in LABELS}
    return BothKinds(results, single, learned, advantage, trained, distances)


def label_kind_distances(first: Run, second: Run, step: int) -> dict[str, KindDistances]:
    """Distances between Sigma_w of two runs at one checkpoint.

    Of networks that diverged in neither run: those of one number start from the same weights.
    """
    healthy = sorted(set(first.healthy_networks) & set(second.healthy_networks))
    kernels = [read_kernels(run, step, LAYER)[healthy] for run in (first, second)]
    return compare_label_kinds(filter_covariance(kernels[0]), filter_covariance(kernels[1]))


def _claims(kind: str) -> tuple[Claim[BothKinds], ...]:
    def at_floor(found: BothKinds) -> np.ndarray:
        end = found.single[kind][-1]
        return np.quantile(end.floor, FLOOR_QUANTILE) - end.data

    def growth(found: BothKinds) -> np.ndarray:
        single = found.single[kind]
        return single[-1].random.mean(1) / single[0].random.mean(1)

    trained = f"Trained on {LABELS[kind]}, "
    return (
        specific_claim(
            f"specific_{kind}",
            f"the first layer, trained on {LABELS[kind]},",
            PLACE,
            lambda found: found.advantage[kind],
        ),
        closer_claim(
            f"below_random_bases_{kind}",
            f"{trained}the first layer's",
            PLACE,
            lambda found: found.single[kind][-1].margin,
        ),
        Claim(
            name=f"at_floor_{kind}",
            statement=f"{trained}misalignment to the data basis stays within what as many "
            "isotropic filters have by chance.",
            place=PLACE,
            unit="97.5% quantile of the floor minus misalignment to the data basis",
            of=at_floor,
        ),
        Claim(
            name=f"random_bases_grow_{kind}",
            statement=f"{trained}misalignment to random bases grows by half or more.",
            place=PLACE,
            unit="mean misalignment to random bases at the end over that at initialisation",
            of=growth,
            threshold=1.5,
            scale="ratio",
        ),
    )


def _figures(found: BothKinds) -> Drawings:
    """Weights of single networks as the paper has them, what was learned, all networks pooled."""
    panels, pooled = {}, {}
    for kind, labels in LABELS.items():
        run, alignment = found.results.runs[kind], found.results.alignments[kind]
        epochs = np.array(run.steps) / run.steps_per_epoch
        panels[labels] = (epochs, [(m.data, m.random, m.floor) for m in found.single[kind]])
        pooled[f"pooled_{kind}"] = (
            misalignment_over_training.plot(alignment.of_layer(LAYER)),
            f"Weights of all networks pooled beside single networks, {labels}: more filters, a "
            "lower floor. Blue band: the 95% bootstrap interval for infinitely many networks.",
        )
    return {
        "fig2": (
            misalignment_panels.plot(panels),
            "Misalignment of the first layer of single networks during training, to the "
            "eigenvectors of the data (blue) and to 200 random orthonormal bases (red): mean over "
            "networks, and the range of all networks and bases. Grey: as many isotropic filters, "
            "95% of samples.",
        ),
        **_learned_figures(found),
        **pooled,
        "controls": (
            learned_controls.plot({LABELS[kind]: of.learned for kind, of in found.learned.items()}),
            learned_controls.CAPTION,
        ),
    }


def _learned_figures(found: BothKinds) -> Drawings:
    """What was learned beside controls during training, and the advantage that is claimed."""
    advantages = {
        _advantage_title(kind, found.advantage[kind]): _over_controls(found.advantage[kind])
        for kind in LABELS
    }
    return {
        "learned": (
            controls_over_training.plot({LABELS[kind]: of for kind, of in found.trained.items()}),
            controls_over_training.CAPTION,
        ),
        "advantage": (
            gain_bars.plot(advantages, ADVANTAGE),
            "How much farther from what the first layer has learned, w_t - w_0, each control is "
            "than the eigenvectors of the data, at the end of training, all networks pooled. Large "
            "points are means of jackknife values, lines their 95% intervals, small points single "
            "values. The claim is about the hardest, whose interval begins lowest. Random bases "
            "are left out; the table has them.",
        ),
    }


def _over_controls(of: Advantage) -> dict[str, tuple[np.ndarray, tuple[float, float]]]:
    """Jackknife values over each control but the random bases, for figures."""
    rows = bars(dict(zip(of.controls, of.single, strict=True)))
    return {name: row for name, row in rows.items() if name != NEAREST_RANDOM}


def _advantage_title(kind: str, of: Advantage) -> str:
    """The labels, and the effect that is claimed, as documents state it."""
    return f"{LABELS[kind]}\nover the hardest:\n{signed_interval(of.values)} nats"


def _tables(found: BothKinds) -> Tables:
    """What was learned beside controls, pooled misalignments, distances between label kinds."""
    runs = found.results.runs
    return {
        "advantage": advantage_rows({LABELS[k]: of for k, of in found.advantage.items()}),
        "learned": learned_rows({LABELS[kind]: of for kind, of in found.learned.items()}),
        "bases": basis_rows(found.learned["random"]),
        "pooled": [
            _pooled_row(found.results, kind, step)
            for kind in LABELS
            for step in (runs[kind].steps[0], runs[kind].steps[-1])
        ],
        "distances": [
            row
            for epoch, step in paper_steps(runs["random"]).items()
            for row in _distance_rows(epoch, step, found.distances[step])
        ],
    }


def _pooled_row(results: Results, kind: str, step: int) -> Row:
    record = results.alignments[kind].pooled(LAYER, step)
    misalignments, interval = record.misalignments, record.interval
    return {
        "labels": LABELS[kind],
        "step": step,
        "train accuracy": accuracy_at(results.runs[kind], step),
        "filters pooled": record.num_filters,
        "M(data)": f"{misalignments.data:.3f}",
        "for infinitely many networks": "none"
        if interval is None
        else f"{interval[0]:.3f} to {interval[1]:.3f}",
        "floor": mean_range(misalignments.floor, 0.95),
        "M(random bases)": mean_range(misalignments.random),
        "kernel norm": f"{record.kernel_norm:.2f}",
    }


def _distance_rows(epoch: int, step: int, distances: Mapping[str, KindDistances]) -> list[Row]:
    """Distances between halves of the networks, their null, and between all networks."""
    found = [distances[measure] for measure in _COLUMNS]
    compared = {
        "random to real labels, halves without a common seed": [
            mean_range(d.between) for d in found
        ],
        "same labels, the same halves": [mean_range(d.within) for d in found],
        "random to real labels, all networks (same initial weights)": [
            f"{d.pooled:.3f}" for d in found
        ],
    }
    return [
        {
            "Σ_w of": what,
            "epoch of the paper": epoch,
            "step": step,
            **dict(zip(_COLUMNS.values(), cells, strict=True)),
        }
        for what, cells in compared.items()
    ]


STUDY = Study(
    name="fig2",
    title="Misalignment during training on random and real labels, CIFAR-10",
    paper_item="Figure 2",
    stages=STAGES,
    read=_read,
    claims=tuple(claim for kind in LABELS for claim in _claims(kind)),
    figures=_figures,
    tables=_tables,
    primary={f"specific_{kind}": SPECIFIC for kind in LABELS},
    tuning=UNKNOWN_SEEDS,
)
