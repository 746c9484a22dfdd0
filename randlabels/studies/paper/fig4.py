"""Figure 4 (simple_cnn): eigenvalue map f at epochs 5, 10, 20, 40, and the closed form's account.

A linear network that starts at 0 has f_t(sigma) = |1 - (1 - eta sigma^2)^t| / sigma, which peaks at
sigma^2 = 1.2564 / (eta t) (arXiv:2206.02454): the peak moves to smaller eigenvalues as training
goes on, in inverse proportion to the number of steps. The weights of a real network contain its
initial ones, which dominate f at small eigenvalues and which the formula knows nothing of. So it is
fitted to the map of what was learned, w_t - w_0.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.analysis.layer_inputs import read_kernels
from randlabels.eigen import ClosedFormFit, energy_profile
from randlabels.figures import closed_form_maps
from randlabels.figures.closed_form_maps import CheckpointMap, pool
from randlabels.runs import load_run
from randlabels.studies.alignment_study import LABELS, STAGES, accuracy_at, paper_steps
from randlabels.studies.network_groups import LAYER, data_basis
from randlabels.studies.study import Claim, Results, Study

PLACE = "Section 2.4, Figure 4"
CLOSED_FORM = "Closed form for linear networks (arXiv:2206.02454), not in the paper"


def _claims(kind: str) -> tuple[Claim, ...]:
    labels = LABELS[kind]
    elsewhere = "where f of the other networks, pooled, is largest"
    return (
        Claim(
            name=f"rises_{kind}",
            statement=f"Trained on {labels} to epoch 40, f rises to a peak.",
            place=PLACE,
            measure=f"rises_{kind}",
            threshold=1.0,
            unit=f"f {elsewhere} over f at the smallest eigenvalue",
        ),
        Claim(
            name=f"falls_{kind}",
            statement=f"Trained on {labels} to epoch 40, f falls from its peak towards the largest "
            "eigenvalue.",
            place=PLACE,
            measure=f"falls_{kind}",
            threshold=1.0,
            unit=f"f {elsewhere} over f at the largest eigenvalue",
        ),
        Claim(
            name=f"peak_moves_{kind}",
            statement=f"Trained on {labels}, the peak of what is learned moves to smaller "
            "eigenvalues between epochs 5 and 40.",
            place=CLOSED_FORM,
            measure=f"peak_moves_{kind}",
            threshold=1.0,
            unit="eigenvalue at the fitted peak, epoch 5 over epoch 40 (8 if linear)",
        ),
    )


def maps(results: Results, kind: str) -> dict[int, CheckpointMap]:
    """{epoch of the paper: eigenvalue map f}, with 0 for initialisation."""
    found = {}
    for epoch, step in {0: 0, **paper_steps(results.runs[kind])}.items():
        records = results.alignments[kind].single(LAYER, step)
        single = np.array([record.tau for record in records])
        found[epoch] = CheckpointMap(step, records[0].eigenvalues, single)
    return found


@functools.cache
def learned_maps(workdir: Path) -> dict[int, CheckpointMap]:
    """{step: map of w_t - w_0 of the first layer}, for checkpoints after 0."""
    run, basis = load_run(workdir), data_basis(workdir)
    start = read_kernels(run, 0, LAYER)
    found = {}
    for step in run.steps[1:]:
        learned = (read_kernels(run, step, LAYER) - start)[run.healthy_networks]
        single = energy_profile(basis.vectors, learned)
        found[step] = CheckpointMap(step, basis.values, single)
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


def measure(results: Results) -> dict[str, np.ndarray]:
    """The measures that the claims name, [network]."""
    measured: dict[str, np.ndarray] = {}
    for kind in LABELS:
        found = maps(results, kind)
        rises, falls = rise_and_fall(found[max(found)].single)
        measured |= {f"rises_{kind}": rises, f"falls_{kind}": falls}
        steps = list(paper_steps(results.runs[kind]).values())
        learned = learned_maps(results.runs[kind].workdir)
        measured[f"peak_moves_{kind}"] = peak_ratio(
            learned[steps[0]].single_fits, learned[steps[-1]].single_fits
        )
    return measured


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """f as in the paper, what was learned with its closed form, and the movement of the peak."""
    learned = {kind: learned_maps(results.runs[kind].workdir) for kind in LABELS}
    at_epochs = {
        LABELS[kind]: {
            epoch: learned[kind][step] for epoch, step in paper_steps(results.runs[kind]).items()
        }
        for kind in LABELS
    }
    shown = (
        "Points are all networks pooled; lines go through near-equal eigenvalues together, bands "
        "from the lowest to the highest network."
    )
    return {
        "fig4": (
            closed_form_maps.plot_maps(
                {labels: maps(results, kind) for kind, labels in LABELS.items()}, r"$f(\sigma)$"
            ),
            "Eigenvalue map f of the first layer against the eigenvalues of the data's patches, at "
            f"the paper's epochs of 195 steps. {shown}",
        ),
        "learned": (
            closed_form_maps.plot_maps(at_epochs, r"map of $w_t - w_0$", fitted=True),
            "The same map of what was learned, the weights minus the initial ones. Dashed: the "
            f"closed form of a linear network, fitted to each. {shown}",
        ),
        "peaks": (
            closed_form_maps.plot_peaks(
                {labels: list(learned[kind].values()) for kind, labels in LABELS.items()}
            ),
            "Where the map of what was learned peaks, at all checkpoints. Red: peak of the fitted "
            "closed form, all networks pooled, and the range of single networks. Blue: eigenvalue "
            "with the largest value. Grey: in inverse proportion to the number of steps, as in a "
            "linear network of constant step size, from the first fit on.",
        ),
    }


def summary(results: Results) -> list[dict[str, Any]]:
    """One row for each label kind and epoch: f at the ends and the peak, and the closed form."""
    rows = []
    for kind in LABELS:
        found, learned = maps(results, kind), learned_maps(results.runs[kind].workdir)
        steps = paper_steps(results.runs[kind])
        first = learned[next(iter(steps.values()))]
        for epoch, step in steps.items():
            row = {
                "labels": LABELS[kind],
                "epoch of the paper": epoch,
                "step": step,
                "train accuracy": accuracy_at(results.runs[kind], step),
            }
            rows.append(row | _numbers(found[epoch], learned[step], first))
    return rows


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
    claims=tuple(claim for kind in LABELS for claim in _claims(kind)),
    measures=measure,
    figures=figures,
    summary=summary,
)
