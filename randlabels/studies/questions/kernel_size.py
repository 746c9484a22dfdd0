"""Kernel size: do larger kernels bring larger misalignment, as a reviewer conjectured?

Misalignment M of m filters in d dimensions has a floor that grows with d. Estimated from a sample,
v^T Sigma_w v is off by a factor chi2_m / m and 1 / (v^T Sigma_w^-1 v) by chi2_{m-d+1} / m, whatever
Sigma_w (Wishart), so M + d is too large by a factor that is nearly the same for all Sigma_w. The
initial weights of the same networks are isotropic: they show that factor, and the luck of the draw,
most of which training leaves in place. So, for each basis,

    corrected M = d (M + d) / (M at initialisation + d) - d

which is 0 on average for aligned weights. Subtracting the floor would leave the part of M that is
not floor inflated by the factor, 1.5 for 256 filters in 147 dimensions.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
from jax.typing import ArrayLike
from matplotlib.figure import Figure

from randlabels.eigen import (
    filter_covariance,
    misalignment,
    misalignment_floor,
    random_basis_misalignment,
)
from randlabels.figures import by_kernel_size
from randlabels.runs import load_run
from randlabels.studies.alignment_study import accuracy_at
from randlabels.studies.network_groups import (
    FILTERS_PER_DIMENSION,
    data_basis,
    disjoint_groups,
    pooled_filters,
)
from randlabels.studies.study import Claim, Results, Stage, Study

KERNEL_SIZES = (3, 5, 7)
LARGEST_DIM = KERNEL_SIZES[-1] ** 2 * 3
FLOOR_SAMPLES = 200
# In this many dimensions all random bases give nearly the same misalignment.
RANDOM_BASES = 50
PLACE = "A reviewer's conjecture, not in the paper"

# What a run changes at each budget.
_AT: dict[str, dict[str, Any]] = {
    "full": {
        "train.checkpoint_epochs": (0, 13, 50, 100, 200),
        "train.eval_epochs": tuple(range(0, 201, 10)),
        "population.seeds": 9,
    },
    "short": {
        "data.upstream_size": 3_000,
        "data.test_size": 500,
        "model.widths": (32,),
        "optimizer.decay_at": (),
        "train.epochs": 54,
        "train.checkpoint_epochs": (0, 6, 18, 54),
        "train.eval_epochs": (0, 18, 54),
        "population.seeds": 24,
    },
    "smoke": {
        "data.test_size": 16,
        "model.filters": 224,
        "model.widths": (8,),
        "optimizer.decay_at": (),
        "train.batch_size": 32,
        "train.checkpoint_epochs": (0, 2),
        "population.seeds": 3,
    },
}


def _stage(size: int) -> str:
    return f"kernel_{size}"


@dataclasses.dataclass(frozen=True)
class GroupMisalignment:
    """Misalignments of groups of networks at initialisation and at the end of training."""

    dim: int
    data: np.ndarray  # to the data basis [2, group]
    random: np.ndarray  # to random bases [2, group, basis]
    floor: np.ndarray  # of as many isotropic filters [sample]

    @property
    def corrected_data(self) -> np.ndarray:
        """M(data) at the end, corrected for the floor [group]."""
        return without_floor(self.data[1], self.data[0], self.dim)

    @property
    def corrected_random(self) -> np.ndarray:
        """M(random bases) at the end, corrected for the floor [group, basis]."""
        return without_floor(self.random[1], self.random[0], self.dim)


def without_floor(values: np.ndarray, isotropic: ArrayLike, dim: int) -> np.ndarray:
    """Misalignments corrected by those of as many isotropic filters in `dim` dimensions."""
    return dim * (values + dim) / (np.asarray(isotropic) + dim) - dim


@functools.cache
def group_misalignment(workdir: Path, groups: tuple[tuple[int, ...], ...]) -> GroupMisalignment:
    """Misalignments of a run's groups of networks at the first and at the last checkpoint."""
    steps = load_run(workdir).steps
    filters = np.stack([pooled_filters(workdir, step, groups) for step in (steps[0], steps[-1])])
    dim, num_filters = filters.shape[-2:]
    sigma_w = filter_covariance(filters, spatial=False)
    return GroupMisalignment(
        dim,
        data=misalignment(data_basis(workdir).vectors, sigma_w),
        random=random_basis_misalignment(sigma_w, RANDOM_BASES, seed=0),
        floor=misalignment_floor(dim, num_filters, FLOOR_SAMPLES, seed=1),
    )


def by_size(results: Results) -> dict[int, GroupMisalignment]:
    """{kernel size: misalignments} of the groups of each run."""
    found = {}
    for size in KERNEL_SIZES:
        run = results.runs[_stage(size)]
        least = FILTERS_PER_DIMENSION * LARGEST_DIM
        groups = disjoint_groups(run.healthy_networks, run.config["model"]["filters"], least)
        found[size] = group_misalignment(run.workdir, tuple(map(tuple, groups)))
    return found


def _aligned_claim(size: int) -> Claim:
    return Claim(
        name=f"aligned_{size}",
        statement=f"With kernels of {size}x{size}, weights are closer to the eigenvectors of the "
        f"data than to any of {RANDOM_BASES} random orthonormal bases.",
        place="Section 2.3, Figure 2",
        measure=f"aligned_{size}",
        threshold=0.0,
        unit="smallest misalignment to a random basis minus misalignment to the data basis",
    )


_QUANTITIES = {
    "total": ("misalignment to the data basis", "corrected M(data)"),
    "per_dimension": ("misalignment to the data basis per dimension", "corrected M(data) / d"),
    "relative": (
        "misalignment to the data basis in units of that to random bases",
        "corrected M(data) / corrected M(random bases)",
    ),
}

CLAIMS = tuple(_aligned_claim(size) for size in KERNEL_SIZES) + tuple(
    Claim(
        name=f"larger_{name}",
        statement=f"Corrected for the floor, {words} is larger with 7x7 than with 3x3 kernels.",
        place=PLACE,
        measure=f"larger_{name}",
        threshold=0.0,
        unit=f"{unit}, 7x7 minus 3x3",
        seeds_needed=5,  # groups; what is compared is close to 0 and to its noise
    )
    for name, (words, unit) in _QUANTITIES.items()
)


def _quantity(name: str, of_size: GroupMisalignment) -> np.ndarray:
    """One of the quantities of the claims [group]."""
    units = {
        "total": 1,
        "per_dimension": of_size.dim,
        "relative": of_size.corrected_random.mean(1),
    }
    return of_size.corrected_data / units[name]


def measure(results: Results) -> dict[str, np.ndarray]:
    """The measures that the claims name, [group], at the last checkpoint."""
    found = by_size(results)
    smallest, largest = found[KERNEL_SIZES[0]], found[KERNEL_SIZES[-1]]
    measured = {
        f"aligned_{size}": of_size.random[1].min(1) - of_size.data[1]
        for size, of_size in found.items()
    }
    for name in _QUANTITIES:
        # A network that diverged takes its group with it, so there may be fewer on one side.
        pairs = zip(_quantity(name, largest), _quantity(name, smallest), strict=False)
        measured[f"larger_{name}"] = np.array([large - small for large, small in pairs])
    return measured


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """Misalignment by kernel size, as it is and corrected."""
    raw: dict[int, by_kernel_size.OfSize] = {}
    corrected: dict[int, by_kernel_size.OfSize] = {}
    for size, of_size in by_size(results).items():
        raw[size] = (of_size.data[1], of_size.random[1], of_size.floor)
        corrected[size] = (of_size.corrected_data, of_size.corrected_random, None)
    caption = (
        "Misalignment of the first layer at the end of training, by kernel size: groups of pooled "
        "networks to the eigenvectors of the data (blue) and to random bases (red, range), and as "
        "many isotropic filters (grey, 95%). Left as estimated, right corrected for the floor by "
        "the same networks' initial weights."
    )
    panels = {"as estimated": raw, "corrected for the floor": corrected}
    return {"kernel_size": (by_kernel_size.plot(panels), caption)}


def summary(results: Results) -> list[dict[str, Any]]:
    """One row for each kernel size."""
    rows = []
    for size, of_size in by_size(results).items():
        run = results.runs[_stage(size)]
        relative = 100 * _quantity("relative", of_size)
        rows.append(
            {
                "kernel": f"{size}x{size}",
                "d": of_size.dim,
                "train accuracy": accuracy_at(run, run.steps[-1]),
                "groups": len(of_size.corrected_data),
                "floor": _mean_std(of_size.floor),
                "M(data) at the start": _mean_std(of_size.data[0]),
                "at the end": _mean_std(of_size.data[1]),
                "M(random bases) at the end": _mean_std(of_size.random[1].mean(1)),
                "corrected M(data)": _mean_std(of_size.corrected_data),
                "corrected M(random bases)": _mean_std(of_size.corrected_random.mean(1)),
                "their ratio, %": _mean_std(relative),
            }
        )
    return rows


def _mean_std(values: np.ndarray) -> str:
    return f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"


STUDY = Study(
    name="kernel_size",
    title="Kernel size and misalignment, CIFAR-10 with random labels",
    paper_item="A reviewer's question about Figure 2",
    stages=tuple(
        Stage(
            _stage(size),
            "simple_cnn.cifar10",
            changes={"model.kernel_size": size, "data.downstream_size": 0},
            at=_AT,
        )
        for size in KERNEL_SIZES
    ),
    claims=CLAIMS,
    measures=measure,
    figures=figures,
    summary=summary,
)
