"""Alignment of a run as typed records (provisional; the branch of the analysis has the real one)."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from randlabels import analyze
from randlabels.eigen import ClosedFormFit


class Misalignments(NamedTuple):
    """Misalignment of one set of filters, beside what chance gives."""

    data: float
    random: np.ndarray
    floor: np.ndarray


@dataclasses.dataclass(frozen=True)
class AlignmentRecord:
    """One group of networks pooled (network None), or one network, at one checkpoint."""

    layer: str
    step: int
    epoch: float
    group: dict[str, Any]
    networks: tuple[int, ...]
    network: int | None
    dim: int
    num_filters: int
    eigenvalues: np.ndarray
    kernel_norm: float
    tau: np.ndarray
    filter_eigenvalues: np.ndarray
    floor: np.ndarray | None
    misalignment_data: float | None
    misalignment_random: np.ndarray | None
    p_value: float | None
    reason: str | None
    misalignment_eigenspaces: Any
    misalignment_shrunk: float | None
    misalignment_shrunk_random: np.ndarray | None
    subspace_overlap: Any
    closed_form: ClosedFormFit | None
    closed_form_reason: str | None
    interval: np.ndarray | None = None
    interval_bias: float | None = None
    profile_correlation: Any = None
    filter_eigenvectors: np.ndarray | None = None
    nearest_rank: Any = None
    nearest_cosine: np.ndarray | None = None

    @property
    def misalignments(self) -> Misalignments:
        """The misalignment with both of its null distributions."""
        data, random, floor = self.misalignment_data, self.misalignment_random, self.floor
        if data is None or random is None or floor is None:
            raise ValueError(self.reason)
        return Misalignments(data, random, floor)

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


@dataclasses.dataclass(frozen=True)
class LayerData:
    """What is known of the inputs of a layer."""

    basis: str
    kernel_shape: tuple[int, ...]
    count: int
    eigenvalues: np.ndarray | None
    eigenvectors: np.ndarray | None

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


@dataclasses.dataclass(frozen=True)
class Alignment:
    """The analysis of a run."""

    networks: list[int]
    diverged: list[int]
    skipped: list[Any]
    data: dict[str, LayerData]
    records: tuple[AlignmentRecord, ...]

    def pooled(self, layer: str, step: int) -> AlignmentRecord:
        """All networks pooled at a checkpoint."""
        (found,) = (r for r in self._at(layer, step) if r.network is None)
        return found

    def single(self, layer: str, step: int) -> list[AlignmentRecord]:
        """Single networks at a checkpoint."""
        return [r for r in self._at(layer, step) if r.network is not None]

    def of_layer(self, layer: str) -> list[AlignmentRecord]:
        """All records of a layer."""
        return [r for r in self.records if r.layer == layer]

    def _at(self, layer: str, step: int) -> list[AlignmentRecord]:
        return [r for r in self.of_layer(layer) if r.step == step]

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


def load_alignment(workdir: str | Path) -> Alignment:
    """What `analyze` wrote."""
    found = analyze.load_alignment(workdir)
    names = {field.name for field in dataclasses.fields(AlignmentRecord)}
    records = []
    for record in found["records"]:
        fit = record.get("closed_form")
        record = {k: v for k, v in record.items() if k in names}
        record["closed_form"] = None if fit is None else ClosedFormFit(**fit)
        records.append(AlignmentRecord(**record))
    data = {layer: LayerData(**entry) for layer, entry in found["data"].items()}
    return Alignment(found["networks"], found["diverged"], found["skipped"], data, tuple(records))
