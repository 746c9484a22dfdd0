"""What the first layer of a run has learned, as studies read it and show it in tables."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from randlabels.analysis.advantage import RANDOM_BASES, Advantage
from randlabels.analysis.alignment_of_run import groups_of
from randlabels.analysis.controlled import ControlledAlignment
from randlabels.analysis.layer_inputs import read_kernels
from randlabels.analysis.learned import (
    FirstLayerBases,
    LearnedAlignment,
    first_layer_bases,
    learned_alignment,
)
from randlabels.runs import Run
from randlabels.studies.declare import Claim, Primary, Row
from randlabels.studies.readouts.cells import mean_range, signed_interval
from randlabels.studies.readouts.groups import FILTERS_PER_DIMENSION, disjoint_groups

Reading = TypeVar("Reading")

LEARNED, WEIGHTS = "learned, w_t - w_0", "weights, w_t"

ADVANTAGE = "M(control) - M(data) of what was learned (nats)"

CONTROLS = 10  # at most, of which the hardest is shown
# Of a difference of misalignments, in nats: that of the cosine transform to the data's covariance
# itself is several times as large, also for 3x3 patches of generated images.
SPECIFIC = Primary(0.02, "a control basis that is as near as the eigenvectors of the data")


def read_learned(
    run: Run,
    step: int,
    groups: Sequence[Sequence[int]] | None = None,
    mistaken: str = "",
) -> LearnedAlignment:
    """The alignment of what was learned by a checkpoint, of single networks where that can be.

    Args:
        run: whose first layer is read.
        step: of the checkpoint.
        groups: numbers of the networks to be pooled; None is every healthy network alone, or, where
            one has less than 1.5 filters for each dimension, disjoint groups of as many as have
            that, of networks that differ in nothing but seeds.
        mistaken: name of a control that is taken for the data's eigenvectors (see
            `FirstLayerBases.mistaken`); "" for none.

    Raises:
        InputError: as `learned_alignment`; also if all networks together are too few for a group.
    """
    bases = first_layer_bases(run)
    chosen = default_groups(run, bases) if groups is None else groups
    return learned_alignment(run, step, chosen, bases.mistaken(mistaken) if mistaken else bases)


def learned_over_training(run: Run) -> dict[float, ControlledAlignment]:
    """{epoch: alignment of w_t - w_0} of all networks pooled, of every checkpoint but the start.

    Raises:
        InputError: as `learned_alignment`.
    """
    bases, networks = first_layer_bases(run), groups_of(run)[0].networks
    return {
        step / run.steps_per_epoch: learned_alignment(
            run, step, [networks], bases, RANDOM_BASES, flips=RANDOM_BASES
        ).learned
        for step in run.steps
        if step > 0
    }


def default_groups(run: Run, bases: FirstLayerBases) -> list[list[int]]:
    """Disjoint groups of healthy networks, the smallest with filters enough for a covariance."""
    filters = read_kernels(run, run.steps[0], bases.layer).shape[-1]
    least = FILTERS_PER_DIMENSION * len(bases.basis.values)
    return [
        networks
        for group in groups_of(run)
        for networks in disjoint_groups(group.networks, filters, least)
    ]


def specific_claim(
    name: str, whose: str, place: str, of: Callable[[Reading], Advantage | None]
) -> Claim[Reading]:
    """The claim that what was learned is closer to the data's eigenvectors than to any control.

    Args:
        name: of the claim.
        whose: layer this is, as the subject of a sentence.
        place: of the claim in the paper.
        of: the advantage of the data's eigenvectors; None where there is none.
    """

    def values(reading: Reading) -> np.ndarray:
        found = of(reading)
        return np.array([]) if found is None else found.values

    return Claim(
        name=name,
        statement=f"What {whose} has learned, w_t - w_0, is closer to the eigenvectors of the data "
        "than to any control that is no symmetry of the data: a cosine transform with opponent "
        "colours, eigenvectors of a generated data set, patches flattened in a wrong order, random "
        "bases.",
        place=place,
        unit="misalignment to the control that is hardest to beat minus that to the data's "
        "eigenvectors, all networks pooled, jackknife values",
        of=values,
        comparisons=CONTROLS,
    )


def learned_rows(found: Mapping[str, LearnedAlignment]) -> list[Row]:
    """Two rows for each label: what was learned, and the weights; the columns are always the same.

    Cells are means over groups, with ranges or 95% intervals.
    """
    return [
        {"run": label, "of": name, **_summary(of, alignment.groups)}
        for label, alignment in found.items()
        for name, of in ((LEARNED, alignment.learned), (WEIGHTS, alignment.weights))
    ]


def advantage_rows(found: Mapping[str, Advantage]) -> list[Row]:
    """One row for each label and control: the difference of misalignments, pooled networks."""
    return [
        {
            "run": label,
            "control": control,
            "M(control) - M(data), pooled": f"{pooled:.3f}",
            "without chance": signed_interval(single),
            "hardest": "yes" if control == of.hardest else "",
        }
        for label, of in found.items()
        for control, pooled, single in zip(of.controls, of.pooled, of.single, strict=True)
    ]


def basis_rows(found: LearnedAlignment) -> list[Row]:
    """One row for each basis: the data's, every control, random ones, and exact alignment."""
    learned, weights = _by_basis(found.learned), _by_basis(found.weights)
    return [
        {"basis": name, LEARNED: _range(learned[name]), WEIGHTS: _range(weights[name])}
        for name in learned
    ]


def _by_basis(of: ControlledAlignment) -> dict[str, np.ndarray]:
    """{name of a basis: misalignments [group]}; the least of random ones, the mean of the null."""
    controls = {
        f"{name} (a symmetry, not counted)" if name in of.symmetries else name: values
        for name, values in of.controls.items()
    }
    return {
        "eigenvectors of the data": of.data,
        **controls,
        f"nearest of {of.random.shape[1]} random bases": of.random.min(axis=1),
        "exactly aligned (sign flips)": of.null.mean(axis=1),
    }


def _summary(of: ControlledAlignment, groups: Sequence[Sequence[int]]) -> Row:
    sizes = sorted({len(group) for group in groups})
    return {
        "groups": int(np.isfinite(of.data).sum()),
        "networks in a group": " to ".join(str(size) for size in {sizes[0], sizes[-1]}),
        "M(data)": _range(of.data),
        "M(best control)": _range(of.best_control),
        "M(exactly aligned)": _range(of.null.mean(axis=1)),
        "log(best control / data)": _interval(of.log_ratio),
        "specificity": _interval(of.specificity),
        "p of exact alignment": _range(of.exact_p, 3),
        "the same, by network": _range(of.network_p, 3),
    }


def _range(values: np.ndarray, digits: int = 2) -> str:
    known = values[np.isfinite(values)]
    return mean_range(known, digits=digits) if len(known) else "none"


def _interval(values: np.ndarray) -> str:
    """Mean and interval, and of how many groups if not of all."""
    known = values[np.isfinite(values)]
    if not len(known):
        return "none"
    shown = signed_interval(known) if len(known) > 1 else f"{known[0]:+.3f}"
    return shown if len(known) == len(values) else f"{shown}, {len(known)} of {len(values)} groups"
