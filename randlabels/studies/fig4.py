"""Figure 4 (simple_cnn): eigenvalue map f at epochs 5, 10, 20, 40, and the closed form's account.

f of a linear network peaks where sigma^2 = 1.2564 / (eta t) (arXiv:2206.02454): the peak moves to
smaller eigenvalues as training goes on, in inverse proportion to the number of steps. The study
fits that curve to each map, and compares peaks.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.eigen import fit_closed_form
from randlabels.figures import closed_form_maps
from randlabels.figures.closed_form_maps import FittedMap
from randlabels.runs import Run
from randlabels.studies.alignment_study import LABELS, STAGES, accuracy_at, maps, paper_steps
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
            statement=f"Trained on {labels}, the peak of f moves to smaller eigenvalues between "
            "epochs 5 and 40.",
            place=CLOSED_FORM,
            measure=f"peak_moves_{kind}",
            threshold=1.0,
            unit="eigenvalue at the fitted peak, epoch 5 over epoch 40 (8 if linear)",
        ),
    )


def pool(single: np.ndarray) -> np.ndarray:
    """Map [d] of all networks' filters together, from maps [network, d] of equally many filters."""
    return np.sqrt(np.square(single).mean(0))


def fitted_maps(results: Results, kind: str) -> dict[int, FittedMap]:
    """{epoch of the paper: map and fit}."""
    found = {}
    for epoch, step in paper_steps(results.runs[kind]).items():
        eigenvalues, single = maps(results.alignments[kind], step)
        pooled = pool(single)
        fit = fit_closed_form(np.sqrt(eigenvalues), pooled)
        found[epoch] = FittedMap(step, eigenvalues, single, pooled, fit)
    return found


def rise_and_fall(single: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """f at the peak over f at the smallest, and over f at the largest eigenvalue, [network] each.

    The largest of many noisy values is always above its neighbours. So each network is read where
    the other networks, pooled, are largest; if f has no peak, the ratios are 1 on average or below.

    Args:
        single: f of each network [network, d], by descending eigenvalue, of two or more networks.
    """
    others = [pool(np.delete(single, network, axis=0)) for network in range(len(single))]
    at_peak = np.array([f[other.argmax()] for f, other in zip(single, others, strict=True)])
    return at_peak / single[:, -1], at_peak / single[:, 0]


def peak_movement_of(found: dict[int, FittedMap]) -> np.ndarray:
    """Eigenvalue of the fitted peak at the first epoch over that at the last one, [network].

    NaN where a fit has no peak within the spectrum.
    """
    first, last = (
        [fit_closed_form(np.sqrt(of_epoch.eigenvalues), f) for f in of_epoch.single]
        for of_epoch in (found[min(found)], found[max(found)])
    )
    return np.array(
        [
            np.nan if a.at_bound or b.at_bound else (a.peak_sigma / b.peak_sigma) ** 2
            for a, b in zip(first, last, strict=True)
        ]
    )


def measure(results: Results) -> dict[str, np.ndarray]:
    """The measures that the claims name, [network]."""
    measured = {}
    for kind in LABELS:
        found = fitted_maps(results, kind)
        rises, falls = rise_and_fall(found[max(found)].single)
        measured |= {f"rises_{kind}": rises, f"falls_{kind}": falls}
        measured[f"peak_moves_{kind}"] = peak_movement_of(found)
    return measured


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """Maps with their fits, and the movement of the peaks."""
    found = {LABELS[kind]: fitted_maps(results, kind) for kind in LABELS}
    return {
        "fig4": (
            closed_form_maps.plot_maps(
                found, {labels: _start(results, kind) for kind, labels in LABELS.items()}
            ),
            "Eigenvalue map f of the first layer against the eigenvalues of the data's patches, at "
            "the paper's epochs of 195 steps. Lines are all networks pooled, bands go from the "
            "lowest to the highest network; dotted: at initialisation. Dashed: the closed form of "
            "a linear network, fitted to each map.",
        ),
        "peaks": (
            closed_form_maps.plot_peaks(found),
            "Eigenvalue at which f is largest, during training. Blue: measured, all networks "
            "pooled, and the range of single networks. Red: peak of the fitted closed form. Grey: "
            "in inverse proportion to the number of steps, as in a linear network, from the first "
            "fit on.",
        ),
    }


def _start(results: Results, kind: str) -> tuple[np.ndarray, np.ndarray]:
    eigenvalues, single = maps(results.alignments[kind], 0)
    return eigenvalues, pool(single)


def summary(results: Results) -> list[dict[str, Any]]:
    """One row for each label kind and epoch: f at the ends and the peak, measured and fitted."""
    rows = []
    for kind in LABELS:
        found = fitted_maps(results, kind)
        first = next(iter(found.values()))
        for epoch, m in found.items():
            rows.append(_row(results.runs[kind], kind, epoch, m, first))
    return rows


def _row(run: Run, kind: str, epoch: int, m: FittedMap, first: FittedMap) -> dict[str, Any]:
    return {
        "labels": LABELS[kind],
        "epoch of the paper": epoch,
        "step": m.step,
        "train accuracy": accuracy_at(run, m.step),
        "f at the smallest eigenvalue": f"{m.pooled[-1]:.3f}",
        "f at the peak": f"{m.pooled.max():.3f}",
        "f at the largest": f"{m.pooled[0]:.3f}",
        "peak, measured": f"{m.measured_peak:.3g}",
        "single networks": f"{m.single_peaks.min():.3g} to {m.single_peaks.max():.3g}",
        "peak of the fit": f"{m.fitted_peak:.3g}" + (" (at the bound)" if m.fit.at_bound else ""),
        "1/steps, from the first fit": f"{first.fitted_peak * first.step / m.step:.3g}",
        "eta t": f"{m.fit.eta_t:.3g}",
        "R² of the fit": f"{m.fit.r_squared:.2f}",
        "correlation": f"{m.fit.pearson_r:.2f}",
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
