"""Figure 4 (simple_cnn): eigenvalue map f at epochs 5, 10, 20, 40, and the closed form's account.

A linear network that starts at 0 has f_t(sigma) = |1 - (1 - eta sigma^2)^t| / sigma, which peaks at
sigma^2 = 1.2564 / (eta t) (arXiv:2206.02454): the peak moves to smaller eigenvalues as training
goes on, in inverse proportion to the number of steps. The weights of a real network contain its
initial ones, which dominate f at small eigenvalues and which the formula knows nothing of. So it is
fitted to the map of what was learned, w_t - w_0.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from randlabels.analysis.layer_inputs import read_kernels
from randlabels.analysis.records import Alignment
from randlabels.eigen import ClosedFormFit, energy_profile
from randlabels.figures import closed_form_maps, style
from randlabels.figures.closed_form_maps import CheckpointMap
from randlabels.figures.joined_maps import pool
from randlabels.runs import Run
from randlabels.studies.declare import Claim, Drawings, Primary, Study, Tables
from randlabels.studies.families import UNKNOWN_SEEDS
from randlabels.studies.families.label_kinds import LABELS, STAGES, paper_steps
from randlabels.studies.readouts.alignment import LAYER, accuracy_at, read_maps
from randlabels.studies.readouts.groups import data_basis

# {end of the spectrum: (name of the claim, what f does)}
ENDS = {
    "smallest": ("rises", "rises to a peak"),
    "largest": ("falls", "falls from its peak towards the largest eigenvalue"),
}


@dataclasses.dataclass(frozen=True)
class Maps:
    """Eigenvalue maps of the first layer of networks that learn labels of one kind."""

    f: Mapping[int, CheckpointMap]  # {epoch of the paper, 0 for initialisation: of the weights}
    learned: Mapping[int, CheckpointMap]  # {step: of w_t - w_0}, all checkpoints after 0
    accuracies: Mapping[int, str]  # {epoch of the paper: train accuracy, a cell}
    ends: Mapping[str, np.ndarray]  # {end of the spectrum: f at the peak over f there [network]}

    @property
    def learned_at(self) -> dict[int, CheckpointMap]:
        """{epoch of the paper: map of w_t - w_0}."""
        return {epoch: self.learned[self.f[epoch].step] for epoch in self.accuracies}

    @property
    def peak_moves(self) -> np.ndarray:
        """Eigenvalue at the fitted peak at the first of the epochs over that at the last."""
        epochs = list(self.learned_at.values())
        return peak_ratio(epochs[0].single_fits, epochs[-1].single_fits)


def _read_maps(run: Run, alignment: Alignment) -> Maps:
    steps = paper_steps(run)
    f = {
        epoch: CheckpointMap(
            step, alignment.single(LAYER, step)[0].eigenvalues, read_maps(alignment, step)
        )
        for epoch, step in {0: 0, **steps}.items()
    }
    accuracies = {epoch: accuracy_at(run, step) for epoch, step in steps.items()}
    ends = dict(zip(ENDS, rise_and_fall(f[max(f)].single), strict=True))
    return Maps(f, learned_maps(run), accuracies, ends)


def learned_maps(run: Run) -> dict[int, CheckpointMap]:
    """{step: map of w_t - w_0 of the first layer}, for checkpoints after 0."""
    basis = data_basis(run)
    start = read_kernels(run, 0, LAYER)
    found = {}
    for step in run.steps[1:]:
        learned = (read_kernels(run, step, LAYER) - start)[run.healthy_networks]
        found[step] = CheckpointMap(step, basis.values, energy_profile(basis.vectors, learned))
    return found


def rise_and_fall(single: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f at the peak over f at the smallest, and over f at the largest eigenvalue, [network] each.

    The largest of many noisy values is always above its neighbours. So each network is read where
    the other networks, pooled, are largest; if f is flat, the ratios are 1 on average.

    Args:
        single: f of each network [network, d], by descending eigenvalue, of two or more networks.
    """
    others = [pool(np.delete(single, network, axis=0)) for network in range(len(single))]
    at_peak = np.array([f[other.argmax()] for f, other in zip(single, others, strict=True)])
    return at_peak / single[:, -1], at_peak / single[:, 0]


def peak_ratio(first: Sequence[ClosedFormFit], last: Sequence[ClosedFormFit]) -> np.ndarray:
    """Eigenvalue at the fitted peak of the first over that of the last, [network].

    NaN where a fit has no peak within the spectrum.
    """
    pairs = zip(first, last, strict=True)
    return np.array(
        [
            np.nan if a.at_bound or b.at_bound else (a.peak_sigma / b.peak_sigma) ** 2
            for a, b in pairs
        ]
    )


def _end_claim(kind: str, end: str) -> Claim[Mapping[str, Maps]]:
    name, words = ENDS[end]
    return Claim(
        name=f"{name}_{kind}",
        statement=f"Trained on {LABELS[kind]} to epoch 40, f {words}.",
        place="Section 2.4, Figure 4",
        unit=f"f where f of the other networks, pooled, is largest over f at the {end} eigenvalue",
        of=lambda found: found[kind].ends[end],
        threshold=1.0,
        scale="ratio",
    )


def _peak_claim(kind: str) -> Claim[Mapping[str, Maps]]:
    return Claim(
        name=f"peak_moves_{kind}",
        statement=f"Trained on {LABELS[kind]}, the peak of what is learned moves to smaller "
        "eigenvalues between epochs 5 and 40.",
        place="Closed form for linear networks (arXiv:2206.02454), not in the paper",
        unit="eigenvalue at the fitted peak, epoch 5 over epoch 40 (8 if linear)",
        of=lambda found: found[kind].peak_moves,
        threshold=1.0,
        scale="ratio",
    )


def _figures(found: Mapping[str, Maps]) -> Drawings:
    """f as in the paper, what was learned with its closed form, and the movement of the peak."""
    of_labels = {labels: found[kind] for kind, labels in LABELS.items()}
    shown = (
        "Points are all networks pooled; lines go through near-equal eigenvalues together, bands "
        "from the lowest to the highest network."
    )
    return {
        "fig4": (
            closed_form_maps.plot_maps(
                {labels: maps.f for labels, maps in of_labels.items()}, style.DEVIATION
            ),
            "Eigenvalue map f of the first layer against the eigenvalues of the data's patches, at "
            f"the paper's epochs of 195 steps. {shown}",
        ),
        "learned": (
            closed_form_maps.plot_maps(
                {labels: maps.learned_at for labels, maps in of_labels.items()},
                r"$f(\sigma)$ of what was learned, $w_t - w_0$ (weight units)",
                fitted=True,
            ),
            "The same map of what was learned, the weights minus the initial ones. Dashed: the "
            f"closed form of a linear network, fitted to each. {shown}",
        ),
        "peaks": (
            closed_form_maps.plot_peaks(
                {labels: list(maps.learned.values()) for labels, maps in of_labels.items()}
            ),
            "Where the map of what was learned peaks, at all checkpoints. Red: peak of the fitted "
            "closed form, all networks pooled, and the range of single networks. Blue: eigenvalue "
            "with the largest value. Grey: in inverse proportion to the number of steps, as in a "
            "linear network of constant step size, from the first fit on.",
        ),
    }


def _tables(found: Mapping[str, Maps]) -> Tables:
    """One row for each label kind and epoch: f at the ends and the peak, and the closed form."""
    rows = []
    for kind, labels in LABELS.items():
        maps = found[kind]
        first = next(iter(maps.learned_at.values()))
        for epoch, learned in maps.learned_at.items():
            place = {
                "labels": labels,
                "epoch of the paper": epoch,
                "step": learned.step,
                "train accuracy": maps.accuracies[epoch],
            }
            rows.append(place | _numbers(maps.f[epoch], learned, first))
    return {"maps": rows}


def _numbers(of_f: CheckpointMap, learned: CheckpointMap, first: CheckpointMap) -> dict[str, str]:
    linear = first.fit.peak_sigma**2 * first.step / learned.step
    return {
        "f at the smallest eigenvalue": f"{of_f.pooled[-1]:.3f}",
        "at its peak": f"{of_f.pooled.max():.3f}",
        "at the largest": f"{of_f.pooled[0]:.3f}",
        "peak of f at": f"{of_f.peak:.3g}",
        "learned part: peak at": f"{learned.peak:.3g}",
        "of the closed form": f"{learned.fit.peak_sigma**2:.3g}",
        "of the first, times 1/steps": f"{linear:.3g}",
        "fitted eta t": f"{learned.fit.eta_t:.3g}",
        "R²": f"{learned.fit.r_squared:.2f}",
        "correlation": f"{learned.fit.pearson_r:.2f}",
        "R² of a fit to f itself": f"{of_f.fit.r_squared:.2f}",
    }


STUDY = Study(
    name="fig4",
    title="Eigenvalue maps of a first layer during training, CIFAR-10",
    paper_item="Figure 4 (right)",
    stages=STAGES,
    read=lambda results: {
        kind: _read_maps(results.runs[kind], results.alignments[kind]) for kind in LABELS
    },
    claims=tuple(
        claim
        for kind in LABELS
        for claim in (*(_end_claim(kind, end) for end in ENDS), _peak_claim(kind))
    ),
    figures=_figures,
    tables=_tables,
    primary={
        f"{name}_{kind}": Primary(1.1, "f that is flat, or largest at that end")
        for kind in LABELS
        for name, _ in ENDS.values()
    },
    tuning=UNKNOWN_SEEDS,
)
