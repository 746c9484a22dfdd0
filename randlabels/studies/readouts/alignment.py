"""What studies read off the alignment analysis of a run, and off its checkpoints by epoch."""

import dataclasses
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from randlabels.analysis.records import Alignment
from randlabels.runs import Run
from randlabels.studies.declare import Claim

Reading = TypeVar("Reading")

LAYER = "conv1"  # the first layer of every convolutional network


@dataclasses.dataclass(frozen=True)
class Misalignments:
    """Misalignments of the first layer of single networks, or pooled groups, at one checkpoint.

    Attributes:
        data: to the data's eigenvectors [network]; NaN for a network with too few filters for a
            covariance that can be inverted.
        random: to random orthonormal bases [network, basis], NaN likewise.
        floor: of as many isotropic filters [sample], the same for all networks; empty likewise.
    """

    data: np.ndarray
    random: np.ndarray
    floor: np.ndarray

    @property
    def margin(self) -> np.ndarray:
        """Smallest misalignment to any random basis minus that to the data basis, [network].

        Above 0 the network's weights are closer to the data's eigenvectors than to any random
        basis.
        """
        return self.random.min(axis=1) - self.data


def read_misalignments(alignment: Alignment, step: int, layer: str = LAYER) -> Misalignments:
    """The misalignments of single networks at a checkpoint."""
    records = alignment.single(layer, step)
    bases = [r.misalignment_random for r in records]
    random = np.full((len(records), max(1 if of is None else len(of) for of in bases)), np.nan)
    for row, of_network in zip(random, bases, strict=True):
        row[:] = np.nan if of_network is None else of_network
    return Misalignments(
        data=np.array([r.misalignment_data for r in records], float),
        random=random,
        floor=np.array([]) if records[0].floor is None else records[0].floor,
    )


def read_maps(alignment: Alignment, step: int, layer: str = LAYER) -> np.ndarray:
    """Eigenvalue maps tau [network, d] of single networks, by descending eigenvalue."""
    return np.stack([record.tau for record in alignment.single(layer, step)])


def accuracy_at(run: Run, step: int) -> str:
    """Train accuracy at the evaluation nearest to a step: mean over networks that are not lost."""
    record = min(run.metrics, key=lambda record: abs(record["step"] - step))
    values = [record["train_accuracy"][network] for network in run.healthy_networks]
    return f"{np.mean(values):.3f}" if values else "none"


def closer_claim(
    name: str, whose: str, place: str, of: Callable[[Reading], np.ndarray], bases: int = 200
) -> Claim[Reading]:
    """The claim that weights are closer to the data's eigenvectors than to any random basis.

    Args:
        name: of the claim.
        whose: weights these are, as the beginning of a sentence.
        place: of the claim in the paper.
        of: margins, see `Misalignments.margin`, [network].
        bases: how many random ones there are.
    """
    return Claim(
        name=name,
        statement=f"{whose} weights are closer to the eigenvectors of the data than to any of "
        f"{bases} random orthonormal bases.",
        place=place,
        unit="smallest misalignment to a random basis minus misalignment to the data basis",
        of=of,
    )
