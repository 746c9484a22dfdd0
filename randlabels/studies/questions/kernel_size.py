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
from collections.abc import Callable, Mapping

import numpy as np
from jax.typing import ArrayLike

from randlabels import eigen
from randlabels.configs.base import SAME
from randlabels.figures import by_kernel_size
from randlabels.runs import Run
from randlabels.studies.declare import (
    Claim,
    Drawings,
    Primary,
    Results,
    Row,
    Stage,
    Study,
    Tables,
    Tuning,
)
from randlabels.studies.readouts.alignment import Misalignments, accuracy_at, closer_claim
from randlabels.studies.readouts.cells import mean_std
from randlabels.studies.readouts.groups import (
    FILTERS_PER_DIMENSION,
    data_basis,
    disjoint_groups,
    pooled_filters,
)

KERNEL_SIZES = (3, 5, 7)
LARGEST_DIM = KERNEL_SIZES[-1] ** 2 * 3
FLOOR_SAMPLES = 200
# In this many dimensions all random bases give nearly the same misalignment.
RANDOM_BASES = 50


def _stage(size: int) -> str:
    return f"kernel_{size}"


@dataclasses.dataclass(frozen=True)
class OfSize:
    """First layers with kernels of one size, networks pooled in groups."""

    dim: int  # of the filters
    start: Misalignments  # of each group at initialisation
    end: Misalignments  # at the end of training, to the same bases
    accuracy: str  # train accuracy at the end, a cell

    @property
    def corrected_data(self) -> np.ndarray:
        """M(data) at the end, corrected for the floor [group]."""
        return without_floor(self.end.data, self.start.data, self.dim)

    @property
    def corrected_random(self) -> np.ndarray:
        """M(random bases) at the end, corrected for the floor [group, basis]."""
        return without_floor(self.end.random, self.start.random, self.dim)

    @property
    def relative(self) -> np.ndarray:
        """Corrected M(data) in units of that to random bases [group]."""
        return self.corrected_data / self.corrected_random.mean(1)


def without_floor(values: np.ndarray, isotropic: ArrayLike, dim: int) -> np.ndarray:
    """Misalignments corrected by those of as many isotropic filters in `dim` dimensions."""
    return dim * (values + dim) / (np.asarray(isotropic) + dim) - dim


def _read(results: Results) -> dict[int, OfSize]:
    """{kernel size: misalignments}."""
    return {size: read_size(results.runs[_stage(size)]) for size in KERNEL_SIZES}


def read_size(run: Run) -> OfSize:
    """Misalignments of a run's groups of networks at the first and at the last checkpoint."""
    least = FILTERS_PER_DIMENSION * LARGEST_DIM
    groups = disjoint_groups(run.healthy_networks, run.config["model"]["filters"], least)
    ends = (run.steps[0], run.steps[-1])
    filters = np.stack([pooled_filters(run, step, groups) for step in ends])
    dim, num_filters = filters.shape[-2:]
    sigma_w = eigen.filter_covariance(filters, spatial=False)
    data = eigen.misalignment(data_basis(run).vectors, sigma_w)
    random = eigen.random_basis_misalignment(sigma_w, RANDOM_BASES, seed=0)
    floor = eigen.misalignment_floor(dim, num_filters, FLOOR_SAMPLES, seed=1)
    start, end = (Misalignments(data[i], random[i], floor) for i in (0, 1))
    return OfSize(dim, start, end, accuracy_at(run, run.steps[-1]))


def _aligned_claim(size: int) -> Claim[Mapping[int, OfSize]]:
    def margin(found: Mapping[int, OfSize]) -> np.ndarray:
        return found[size].end.margin

    whose = f"With kernels of {size}x{size},"
    return closer_claim(f"aligned_{size}", whose, "Section 2.3, Figure 2", margin, RANDOM_BASES)


# {name: (words, unit, what is larger)}
_LARGER: dict[str, tuple[str, str, Callable[[OfSize], np.ndarray]]] = {
    "total": ("", "", lambda of: of.corrected_data),
    "per_dimension": (" per dimension", " / d", lambda of: of.corrected_data / of.dim),
    "relative": (
        " in units of that to random bases",
        " / corrected M(random bases)",
        lambda of: of.relative,
    ),
}


def _larger_claim(
    name: str, words: str, unit: str, quantity: Callable[[OfSize], np.ndarray]
) -> Claim[Mapping[int, OfSize]]:
    def difference(found: Mapping[int, OfSize]) -> np.ndarray:
        large, small = quantity(found[KERNEL_SIZES[-1]]), quantity(found[KERNEL_SIZES[0]])
        # A network that diverged takes its group with it, so there may be fewer on one side.
        groups = min(len(large), len(small))
        return large[:groups] - small[:groups]

    return Claim(
        name=f"larger_{name}",
        statement=f"Corrected for the floor, misalignment to the data basis{words} is larger with "
        "7x7 than with 3x3 kernels.",
        place="A reviewer's conjecture, not in the paper",
        unit=f"corrected M(data){unit}, 7x7 minus 3x3",
        of=difference,
    )


def _figures(found: Mapping[int, OfSize]) -> Drawings:
    """Misalignment by kernel size, as it is and corrected."""
    panels: dict[str, dict[int, by_kernel_size.OfSize]] = {
        "as estimated": {k: (of.end.data, of.end.random, of.end.floor) for k, of in found.items()},
        "corrected for the floor": {
            k: (of.corrected_data, of.corrected_random, None) for k, of in found.items()
        },
    }
    return {
        "kernel_size": (
            by_kernel_size.plot(panels),
            "Misalignment of the first layer at the end of training, by kernel size: groups of "
            "pooled networks to the eigenvectors of the data (blue) and to random bases (red, "
            "range), and as many isotropic filters (grey, 95%). Left as estimated, right corrected "
            "for the floor by the same networks' initial weights.",
        )
    }


def _tables(found: Mapping[int, OfSize]) -> Tables:
    return {"sizes": [_row(size, of) for size, of in found.items()]}


def _row(size: int, of: OfSize) -> Row:
    misalignments = {
        "floor": of.end.floor,
        "M(data) at the start": of.start.data,
        "at the end": of.end.data,
        "M(random bases) at the end": of.end.random.mean(1),
        "corrected M(data)": of.corrected_data,
        "corrected M(random bases)": of.corrected_random.mean(1),
        "their ratio, %": 100 * of.relative,
    }
    return {
        "kernel": f"{size}x{size}",
        "d": of.dim,
        "train accuracy": of.accuracy,
        "groups": len(of.end.data),
        **{column: mean_std(values, 2) for column, values in misalignments.items()},
    }


STUDY = Study(
    name="kernel_size",
    title="Kernel size and misalignment, CIFAR-10 with random labels",
    paper_item="A reviewer's question about Figure 2",
    stages=tuple(
        Stage(
            _stage(size),
            "simple_cnn.cifar10",
            changes={"model.kernel_size": size, "data.downstream_size": 0},
            at={
                "data.upstream_size": (SAME, 3_000, SAME),
                "data.test_size": (SAME, 500, 16),
                "model.filters": (SAME, SAME, 224),
                "model.widths": (SAME, (32,), (8,)),
                "optimizer.decay_at": (SAME, (), ()),
                "train.epochs": (SAME, 54, SAME),
                "train.batch_size": (SAME, SAME, 32),
                "train.checkpoint_epochs": ((0, 13, 50, 100, 200), (0, 6, 18, 54), (0, 2)),
                "train.eval_epochs": (tuple(range(0, 201, 10)), (0, 18, 54), SAME),
                "population.seeds": (9, 24, 3),
            },
        )
        for size in KERNEL_SIZES
    ),
    read=_read,
    claims=(
        *(_aligned_claim(size) for size in KERNEL_SIZES),
        *(_larger_claim(name, *larger) for name, larger in _LARGER.items()),
    ),
    figures=_figures,
    tables=_tables,
    primary={
        f"larger_{name}": Primary(smallest, "misalignment that does not grow with the kernel")
        for name, smallest in (("total", 0.5), ("per_dimension", 0.01), ("relative", 0.01))
    },
    tuning=Tuning(
        seeds=tuple(range(12)),
        note="After a first run on these seeds the number of networks was doubled.",
    ),
)
