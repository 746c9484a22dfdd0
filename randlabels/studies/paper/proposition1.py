"""Proposition 1: with Gaussian inputs and random labels, weights align with the data.

It holds for any number of steps, width, depth, loss and optimizer, and it needs isotropic initial
weights and labels independent of the inputs. Where it holds, the misalignment of pooled networks
falls like its floor, in proportion to one over their number, so misalignment over floor stays where
it was for one network; where it does not hold, that ratio grows with the number pooled.

Real labels along a single eigenvector are a subtle case. Reflecting that eigenvector only renames
the classes, so averaged over data sets the weights would stay aligned; but all networks of a
population share one finite data set, whose asymmetries such labels pass on to every network, and
pooling does not remove them. (With random labels each network has labels of its own.)
"""

import functools
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.eigen import (
    eigenvalue_map,
    filter_covariance,
    misalignment,
    misalignment_floor,
    pool_networks,
    random_basis_misalignment,
)
from randlabels.figures import pooling_curves
from randlabels.runs import Run
from randlabels.studies.study import Claim, Results, Stage, Study

LAYER = "dense1"
RECIPE = "gaussian_mlp.proposition1"
POOL = 16  # networks pooled for one value of a claim
ALIGNED: dict[str, dict[str, Any]] = {
    "base": {},
    "wide": {"model.widths": (256,)},
    "deep": {"model.widths": (64, 64, 64)},
    "squared": {"train.loss": "squared", "optimizer.learning_rate": 0.005},
    "adam": {
        "optimizer.name": "adam",
        "optimizer.momentum": 0.0,
        "optimizer.learning_rate": 0.001,
    },
    "rotated": {"data.rotation_seed": 1},
}
MISALIGNED: dict[str, dict[str, Any]] = {
    "one_eigenvector": {"labels.kind": "real"},
    "not_isotropic": {"init.arms": ("covariance",), "init.layers": (LAYER,)},
    "two_eigenvectors": {"labels.kind": "real", "data.label_axes": "first_and_last"},
}
TITLES = {
    "base": "one layer of 64 units, SGD, cross-entropy",
    "wide": "256 units",
    "deep": "three layers of 64 units",
    "squared": "squared loss",
    "adam": "Adam",
    "rotated": "inputs rotated",
    "one_eigenvector": "real labels along one eigenvector",
    "not_isotropic": "initial weights with the covariance learned on rotated inputs",
    "two_eigenvectors": "real labels along the sum of two eigenvectors",
}
STAYS, GROWS = 1.5, 2.0  # growth of misalignment over floor from one network to POOL
SAME_MAP = 0.1  # relative difference of two maps that count as the same


def _claims() -> tuple[Claim, ...]:
    aligned = [
        _growth_claim(name, f"stays: it grows less than {STAYS}-fold", f"{STAYS} minus growth")
        for name in ALIGNED
    ]
    misaligned = [
        _growth_claim(name, f"grows more than {GROWS:g}-fold", f"growth minus {GROWS:g}")
        for name in MISALIGNED
    ]
    moved = Claim(
        name="not_trivial",
        statement=f"The weights have moved: misalignment of {POOL} pooled networks to random bases "
        f"is more than {GROWS:g} times its floor.",
        place="Section 2.3",
        measure="not_trivial",
        threshold=0.0,
        unit=f"mean misalignment to 200 random bases over the floor, minus {GROWS:g}",
    )
    same = Claim(
        name="same_map",
        statement="Rotating the inputs leaves the eigenvalue map f unchanged, to "
        f"{SAME_MAP:.0%} of its values.",
        place="Proposition 1",
        measure="same_map",
        threshold=0.0,
        unit=f"{SAME_MAP} minus mean relative difference of the maps of a quarter of the networks",
    )
    return (*aligned, moved, same, *misaligned)


def _growth_claim(name: str, words: str, unit: str) -> Claim:
    return Claim(
        name=name,
        statement=f"{TITLES[name].capitalize()}: misalignment over its floor {words} when {POOL} "
        "networks are pooled.",
        place="Proposition 1" if name in ALIGNED else "assumptions of Proposition 1",
        measure=name,
        threshold=0.0,
        unit=unit,
    )


def _kernels(run: Run) -> np.ndarray:
    """First-layer kernels of the networks that did not diverge, float64 [network, d, m]."""
    kernels = run.params(run.steps[-1], run.healthy_networks, LAYER)[LAYER]["kernel"]
    return kernels.astype(np.float64)


def pools(kernels: np.ndarray, size: int) -> np.ndarray:
    """Sigma_w [pool, d, d], uncentred, of disjoint pools of `size` networks."""
    count = len(kernels) // size
    groups = kernels[: count * size].reshape(count, size, *kernels.shape[1:])
    return filter_covariance(pool_networks(groups, network_axis=1), spatial=False)


def _basis(results: Results, stage: str) -> np.ndarray:
    return np.asarray(results.alignments[stage].data[LAYER].eigenvectors)


@functools.cache
def _floor(dim: int, filters: int) -> float:
    return float(np.mean(misalignment_floor(dim, filters, num_samples=400, seed=0)))


def ratios(results: Results, stage: str, size: int) -> np.ndarray:
    """Misalignment to the data over its mean floor, for disjoint pools of `size` networks."""
    kernels = _kernels(results.runs[stage])
    _, dim, units = kernels.shape
    found = misalignment(_basis(results, stage), pools(kernels, size))
    return found / _floor(dim, size * units)


def growth(results: Results, stage: str) -> np.ndarray:
    """Misalignment over floor of each pool of POOL networks, over the mean of single networks."""
    return ratios(results, stage, POOL) / ratios(results, stage, 1).mean()


def measure(results: Results) -> dict[str, np.ndarray]:
    """The measures that the claims name, one value for each pool of networks."""
    found = {name: STAYS - growth(results, name) for name in ALIGNED}
    found |= {name: growth(results, name) - GROWS for name in MISALIGNED}
    kernels = _kernels(results.runs["base"])
    random = random_basis_misalignment(pools(kernels, POOL), num_bases=200).mean(axis=-1)
    found["not_trivial"] = random / _floor(kernels.shape[1], POOL * kernels.shape[2]) - GROWS
    maps = [
        eigenvalue_map(_basis(results, stage), pools(kernels, len(kernels) // 4))
        for stage, kernels in ((s, _kernels(results.runs[s])) for s in ("base", "rotated"))
    ]
    found["same_map"] = SAME_MAP - np.mean(np.abs(maps[1] / maps[0] - 1), axis=-1)
    return found


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """Misalignment against the number of pooled networks, for every case."""
    panels = {}
    for title, cases in (("assumptions hold", ALIGNED), ("assumptions broken", MISALIGNED)):
        curves = {}
        for stage in cases:
            count = len(_kernels(results.runs[stage]))
            sizes = [size for size in (1, 2, 4, 8, 16, 32, 64) if size <= count]
            values = [ratios(results, stage, size) for size in sizes]
            curves[TITLES[stage]] = (np.array(sizes), values)
        panels[title] = curves
    caption = (
        "Misalignment of the first layer to the data over its mean floor (isotropic filters of the "
        "same number), when networks are pooled: mean and range over disjoint pools. Where "
        "Proposition 1 applies it stays at the floor, which itself falls like one over the number "
        "of networks."
    )
    return {"pooling": (pooling_curves.plot(panels), caption)}


def summary(results: Results) -> list[dict[str, Any]]:
    """One row for each case."""
    rows = []
    for stage, title in TITLES.items():
        kernels = _kernels(results.runs[stage])
        size = len(kernels)
        accuracy = np.nanmean(results.runs[stage].metrics[-1]["train_accuracy"])
        rows.append(
            {
                "case": title,
                "networks": size,
                "train accuracy": f"{accuracy:.2f}",
                "M / floor, 1 network": f"{ratios(results, stage, 1).mean():.2f}",
                f"M / floor, {POOL} pooled": f"{ratios(results, stage, POOL).mean():.2f}",
                "M / floor, all pooled": f"{ratios(results, stage, size).mean():.2f}",
            }
        )
    return rows


STUDY = Study(
    name="proposition1",
    title="Alignment of weights with Gaussian inputs, where it must hold and where it must fail",
    paper_item="Proposition 1",
    stages=(
        *(Stage(s, RECIPE, "", (LAYER,), changes) for s, changes in ALIGNED.items()),
        *(
            Stage(s, RECIPE, "rotated" if "init.arms" in changes else "", (LAYER,), changes)
            for s, changes in MISALIGNED.items()
        ),
    ),
    claims=_claims(),
    measures=measure,
    figures=figures,
    summary=summary,
)
