"""What an analysis finds, as typed records: alignment.json and what reads it.

A field's annotation says what JSON becomes when it is read back; there is no other list of fields.
"""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from randlabels.analysis import manifest
from randlabels.disk import sentence_about
from randlabels.eigen import ClosedFormFit
from randlabels.errors import InputError
from randlabels.records import plain, read_json, typed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class EigenspaceMisalignment:
    """Misalignment to eigenspaces of near-equal eigenvalues, see `eigenspace_misalignments`.

    Attributes:
        misalignment: to the eigenspaces of Sigma_x, whatever the eigenvalues within them.
        num_eigenspaces: how many.
        tolerance: relative gap of eigenvalues that are of one eigenspace.
        random: the mean to random bases in blocks of the same sizes; None for large layers, as are
            the fields below, and in files of older versions.
        p_value: how likely a random basis is as close.
        aligned: the mean under exact alignment, of sign flips.
        p_aligned: how likely exact alignment gives as much.
    """

    misalignment: float
    num_eigenspaces: int
    tolerance: float
    random: float | None = None
    p_value: float | None = None
    aligned: float | None = None
    p_aligned: float | None = None


@dataclasses.dataclass(frozen=True)
class SubspaceOverlap:
    """Overlaps of leading eigenvectors of Sigma_w and Sigma_x, see `leading_overlaps`."""

    k: tuple[int, ...]
    overlap: tuple[float, ...]
    chance: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class ProfileCorrelation:
    """Pearson's r of two networks' maps tau, over all pairs, see `profile_agreement`."""

    mean: float
    min: float
    max: float


class Misalignments(NamedTuple):
    """Misalignment of one set of filters, beside what chance gives."""

    data: float  # to the eigenvectors of Sigma_x
    random: Floats  # to random bases [basis]
    floor: Floats  # of as many isotropic filters [sample]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)  # arrays have no one truth value
class AlignmentRecord:
    """Filters of one layer at one checkpoint: of a group of networks pooled, or of one network.

    Misalignments are None where Sigma_w is singular. How they are measured is said at
    `describe_sets`, `bootstrap` and `profile_agreement`.

    Attributes:
        layer: path.
        step: of the checkpoint.
        epoch: of the checkpoint.
        group: columns of the network table that all networks of the group share.
        networks: whose filters these are.
        network: which one; None: the whole group, pooled.
        dim: coordinates of a filter: d, or the leading eigenvectors that are looked at.
        num_filters: m.
        floor: misalignments of as many isotropic filters [sample].
        eigenvalues: of Sigma_x, descending [d]; means over networks where they differ.
        kernel_norm: mean Frobenius norm of a network's kernel.
        misalignment_data: to the eigenvectors of Sigma_x.
        misalignment_random: to random bases [basis].
        p_value: how likely a random basis is as close.
        reason: why a misalignment is missing.
        misalignment_eigenspaces: to eigenspaces of near-equal eigenvalues.
        misalignment_shrunk: of the Ledoit-Wolf estimate, where filters are few.
        misalignment_shrunk_random: the same, to random bases [basis].
        tau: eigenvalue map [d], in the order of `eigenvalues`.
        filter_eigenvalues: of Sigma_w, descending [d].
        subspace_overlap: of leading eigenvectors.
        closed_form: fitted to `tau`.
        closed_form_reason: why it cannot be.
        interval: pooled: 95% for infinitely many networks, [2].
        interval_bias: pooled: by about how much it lies lower.
        profile_correlation: pooled: agreement of the networks' maps.
        input_share: of the inputs' variance along the eigenvectors that are looked at: 1 if all.
        filter_share: likewise of the filters' squared norm.
        filter_eigenvectors: pooled, first layer: the leading ones, as columns [d, k].
        nearest_rank: pooled, first layer: rank of the data's eigenvector most like each, from 0.
        nearest_cosine: pooled, first layer: their cosines.
    """

    layer: str
    step: int
    epoch: float
    group: dict[str, Any]
    networks: tuple[int, ...]
    network: int | None
    dim: int
    num_filters: int
    floor: Floats | None
    eigenvalues: Floats
    kernel_norm: float
    misalignment_data: float | None
    misalignment_random: Floats | None
    p_value: float | None
    reason: str | None
    misalignment_eigenspaces: EigenspaceMisalignment | None
    misalignment_shrunk: float | None
    misalignment_shrunk_random: Floats | None
    tau: Floats
    filter_eigenvalues: Floats
    subspace_overlap: SubspaceOverlap
    closed_form: ClosedFormFit | None
    closed_form_reason: str | None
    interval: Floats | None = None
    interval_bias: float | None = None
    profile_correlation: ProfileCorrelation | None = None
    input_share: float = 1.0
    filter_share: float = 1.0
    filter_eigenvectors: Floats | None = None
    nearest_rank: Ints | None = None
    nearest_cosine: Floats | None = None

    @property
    def singular(self) -> bool:
        """Whether Sigma_w has no inverse and so no misalignment."""
        return self.misalignment_data is None

    @property
    def misalignments(self) -> Misalignments:
        """The misalignment with both of its null distributions.

        Raises:
            ValueError: where Sigma_w is singular, with the reason.
        """
        data, random, floor = self.misalignment_data, self.misalignment_random, self.floor
        if data is None or random is None or floor is None:
            raise ValueError(self.reason)
        return Misalignments(data, random, floor)


@dataclasses.dataclass(frozen=True, eq=False)
class LayerData:
    """The inputs of one layer.

    Attributes:
        basis: in whose eigenvectors the layer's filters are written.
        kernel_shape: of one network.
        count: of patches that Sigma_x is measured on.
        eigenvalues: of the Sigma_x that all networks share [d]; None where each has its own.
        eigenvectors: the leading ones, as columns [d, k], of small filters all; None likewise.
    """

    basis: str
    kernel_shape: tuple[int, ...]
    count: int
    eigenvalues: Floats | None
    eigenvectors: Floats | None


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A checkpoint that cannot be read, or with step None a layer that is too large."""

    layer: str
    step: int | None
    reason: str


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Alignment:
    """The analysis of a run: a record of each group pooled and of each network, at each checkpoint.

    Attributes:
        networks: that are analysed.
        diverged: those that are not, because they diverged.
        skipped: what else was left out.
        data: of each analysed layer, in forward order.
        records: by layer, checkpoint and group.
        dead: those that are not analysed because they died.
    """

    networks: tuple[int, ...]
    diverged: tuple[int, ...]
    skipped: tuple[Skipped, ...]
    data: dict[str, LayerData]
    records: tuple[AlignmentRecord, ...]
    dead: tuple[int, ...] = ()

    def __repr__(self) -> str:
        steps = len({record.step for record in self.records})
        return (
            f"Alignment({len(self.networks)} networks, layers {', '.join(self.data)}, "
            f"{steps} checkpoints)"
        )

    def frame(self) -> Any:
        """The records as a pandas DataFrame in long form, see `tables.alignment_frame`."""
        from randlabels.tables import alignment_frame

        return alignment_frame(self)

    def plot(self, layer: str = "") -> Any:
        """Misalignment of a layer (the first if not given) over training, as a figure.

        Raises:
            InputError: if the layer was not analysed.
        """
        from randlabels.figures import misalignment_over_training

        chosen = layer or next(iter(self.data))
        if chosen not in self.data:
            raise InputError(f"layer {chosen!r} was not analysed; {', '.join(self.data)} were.")
        return misalignment_over_training.plot(self.of_layer(chosen))

    def of_layer(self, layer: str) -> list[AlignmentRecord]:
        """All records of a layer."""
        return [record for record in self.records if record.layer == layer]

    def pooled(self, layer: str, step: int) -> AlignmentRecord:
        """The record of all networks pooled, at one checkpoint.

        Raises:
            ValueError: if there is none, or several groups of networks.
        """
        found = [r for r in self.of_layer(layer) if r.step == step and r.network is None]
        if len(found) != 1:
            raise ValueError(f"{len(found)} groups of networks are pooled at {layer}, step {step}.")
        return found[0]

    def single(self, layer: str, step: int) -> list[AlignmentRecord]:
        """The records of single networks at one checkpoint, in the order of the network table."""
        found = [r for r in self.of_layer(layer) if r.step == step and r.network is not None]
        return sorted(found, key=lambda record: record.networks)

    @classmethod
    def from_json(cls, saved: Any) -> Self:
        """What `to_json` gave, or an older version wrote.

        Raises:
            TypeError, ValueError: if it is of another form.
        """
        return typed(cls, saved)

    def to_json(self) -> dict[str, Any]:
        """The contents of alignment.json; numbers that are not finite are None."""
        return plain(dataclasses.asdict(self))


def alignment_path(workdir: str | Path) -> Path:
    """Where the analysis of a run is."""
    return Path(workdir) / "analysis" / "alignment.json"


def load_alignment(workdir: str | Path) -> Alignment:
    """What `randlabels.analyze` wrote.

    Raises:
        InputError: if the run was not analysed, or the file is damaged.
    """
    path = alignment_path(workdir)
    try:
        alignment = Alignment.from_json(read_json(path))
        manifest.check_file(Path(workdir), str(path.relative_to(workdir)))
    except FileNotFoundError as error:
        raise InputError(
            f"{workdir} was not analysed; run `python -m randlabels.analyze --workdir={workdir}`."
        ) from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged ({error}); analyse the run again.") from error
    except OSError as error:
        raise InputError(sentence_about(error, Path(workdir)) or f"{path}: {error}") from error
    return alignment
