"""Filters of a first layer that others have trained, against the eigenvectors of images.

What `analyze` finds out about a run, for any kernel: misalignment beside control bases, random
bases and exact alignment, its floor, and the eigenvalue map f.
"""

from __future__ import annotations  # help() would print all that ArrayLike stands for

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from randlabels.analysis.control_bases import control_bases, drawn_images
from randlabels.analysis.controlled import ControlledAlignment, compare
from randlabels.analysis.filter_sets import describe_sets
from randlabels.analysis.input_bases import InputBasis
from randlabels.analysis.kernel_order import in_our_order
from randlabels.data.sources import channel_statistics
from randlabels.data.standardise import standardise
from randlabels.eigen.filters import flatten_kernel, pool_networks
from randlabels.eigen.patches import patch_statistics
from randlabels.errors import InputError, shown

WEIGHTS, LEARNED = "weights", "learned"
LEAST_RANDOM = "random bases (nearest)"
LEADING = 8  # eigenvectors of the filters that are kept for pictures
SYMMETRY = "  (a symmetry of these images: no control)"
WHOLE = 150  # those of the images that are kept: a filter's match need not be a leading one
_LARGEST = 1e30  # of a pixel
MAX_BASES = 10**5
_ISOTROPIC = 1e-9  # nats, of an estimate that is shrunk all the way: to any basis, by rounding
_MAX_DIM = 2048  # of filters; hundreds of bases of more take hours


@dataclasses.dataclass(frozen=True, eq=False)
class FilterAlignment:
    """Alignment of one set of filters, of one network or of several pooled.

    Attributes:
        num_filters: how many.
        controlled: misalignments to the data's eigenvectors, control and random bases, and under
            exact alignment; each of one group.
        floor: misalignments of as many isotropic filters [sample], None where they are too few.
        p_value: of the misalignment to the data among those to random bases, None likewise.
        shrunk: of the Ledoit-Wolf estimate of Sigma_w where filters are few, else None.
        shrunk_random: the same to random bases [basis].
        tau: the eigenvalue map f [d], in the order of descending eigenvalues of Sigma_x.
        vectors: leading eigenvectors of Sigma_w as columns [d, k].
    """

    num_filters: int
    controlled: ControlledAlignment
    floor: np.ndarray | None
    p_value: float | None
    shrunk: float | None
    shrunk_random: np.ndarray | None
    tau: np.ndarray
    vectors: np.ndarray

    @property
    def misalignment(self) -> float:
        """To the data's eigenvectors, in nats; NaN where Sigma_w is singular."""
        return float(self.controlled.data[0])

    @property
    def nearest(self) -> str:
        """The control to which misalignment is least; the nearest random basis is one of them."""
        controlled = self.controlled
        counted = {
            name: float(values[0])
            for name, values in controlled.controls.items()
            if name not in controlled.symmetries
        } | {LEAST_RANDOM: float(controlled.random[0].min())}
        return min(counted, key=lambda name: counted[name])

    @property
    def few(self) -> str | None:
        """What can be told where filters are few, None where they are enough."""
        if self.shrunk is None or self.shrunk_random is None:
            return None
        if self.shrunk_random.max() < _ISOTROPIC:
            return (
                f"{self.num_filters} filters are too few to tell anything: the Ledoit-Wolf "
                "estimate of their covariance has no direction. Pool several networks."
            )
        least = self.shrunk_random.min()
        told = "below those to all" if self.shrunk < least else "not below those to all"
        return (
            f"{self.num_filters} filters are few: the Ledoit-Wolf estimate of their covariance has "
            f"misalignment {self.shrunk:.3g} to the data, {told} {len(self.shrunk_random)} random "
            f"bases ({self.shrunk_random.mean():.3g} on average, at least {least:.3g})."
        )

    @property
    def reason(self) -> str | None:
        """Why there is no misalignment, None where there is one."""
        return self.controlled.reasons[0]


@dataclasses.dataclass(frozen=True, eq=False)
class KernelComparison:
    """What `compare_kernel` found.

    Attributes:
        kernel_shape: (rows, columns, channels, filters) of one network.
        networks: how many kernels are pooled.
        images: what Sigma_x is of, in words.
        eigenvalues: of Sigma_x, descending [d].
        vectors: the 150 leading eigenvectors of Sigma_x as columns [d, k], all of fewer.
        sets: "weights", and "learned" (weights minus start) where a start was given.
    """

    kernel_shape: tuple[int, ...]
    networks: int
    images: str
    eigenvalues: np.ndarray
    vectors: np.ndarray
    sets: dict[str, FilterAlignment]

    def rows(self) -> list[dict[str, Any]]:
        """One row for each set and basis: misalignment, and what is known of it."""
        found = []
        for name, of in self.sets.items():
            controlled = of.controlled
            bases = {"eigenvectors of the data": controlled.data[0]}
            bases |= {basis: values[0] for basis, values in controlled.controls.items()}
            bases |= {"random bases (mean)": controlled.random[0].mean()}
            bases |= {LEAST_RANDOM: controlled.random[0].min()}
            bases |= {"exactly aligned (sign flips, mean)": controlled.null[0].mean()}
            if of.floor is not None:
                bases["isotropic filters, the floor (mean)"] = of.floor.mean()
            for basis, value in bases.items():
                counted = basis in controlled.controls and basis not in controlled.symmetries
                found.append(
                    {"of": name, "basis": basis, "misalignment": float(value), "control": counted}
                )
        return found

    def __str__(self) -> str:
        lines = [
            f"{self.networks} x {self.kernel_shape[-1]} filters of {self.kernel_shape[:-1]}, "
            f"d = {len(self.eigenvalues)}; {self.images}"
        ]
        for name, of in self.sets.items():
            lines.append(f"\n{name}:")
            if of.reason:
                lines.append(f"  no misalignment: {of.reason}")
            else:
                own = [row for row in self.rows() if row["of"] == name]
                width = max(len(row["basis"]) for row in own)
                lines += [
                    f"  {row['basis']:<{width}}  {row['misalignment']:9.3f}"
                    + (SYMMETRY if row["basis"] in of.controlled.symmetries else "")
                    for row in own
                ]
                lines += [f"  {text}" for text in _readings(of)]
            lines += [f"  {of.few}"] if of.few else []
        return "\n".join(lines)


def _readings(of: FilterAlignment) -> list[str]:
    """What the numbers of a set that has a misalignment say, a line each."""
    controlled = of.controlled
    less = "less" if controlled.log_ratio[0] > 0 else "more"
    found = [
        f"misalignment to the data is {less} than to the nearest control, {of.nearest} "
        f"({controlled.best_control[0]:.3f})"
    ]
    if of.p_value is not None:
        found.append(f"p of as little by a random basis: {of.p_value:.2g}")
    found.append(f"p of as much if exactly aligned: {controlled.exact_p[0]:.2g}")
    return found


def compare_kernel(
    kernel: ArrayLike | Sequence[ArrayLike],
    images: ArrayLike,
    *,
    start: ArrayLike | Sequence[ArrayLike] | None = None,
    order: str = "auto",
    strides: int = 1,
    padding: str = "VALID",
    source: str = "",
    random_bases: int = 200,
    seed: int = 0,
) -> KernelComparison:
    """Compare the filters of a first layer with the eigenvectors of images.

    Args:
        kernel: of 4 axes (a convolution) or 2 (a dense layer), or a sequence of such, of networks
            whose filters are pooled.
        images: [n, h, w, c] as the layer sees them; uint8 is standardised channel by channel
            first, as the package's own networks see it.
        start: the kernel before training; then what was learned, the difference, is compared too,
            which tells alignment from smoothness.
        order: auto, flax or torch: of the axes of the kernels.
        strides: of the convolution.
        padding: "VALID" (no patch with zeros beyond the border) or "SAME".
        source: name of the images' data set; of dead_leaves the control is pink noise.
        random_bases: how many, and samples of each null.
        seed: of both.

    Raises:
        InputError: if kernels or images are of another form, do not fit each other, or the filters
            have too many entries or are nearly the same.
    """
    _check_settings(strides, padding, random_bases, seed)
    shown = _images(images)
    kernels = _kernels(kernel, shown.shape[1:], order, "kernel")
    size = kernels.shape[1:3]
    basis = _basis(shown, size, strides, padding)
    if not basis.values[-1] > 0:
        raise InputError(
            "the images' patches do not vary in every direction, so they have no eigenvectors to "
            "compare with; give more images, or others."
        )
    others = {}
    if shown.shape[-1] in (1, 3):
        name, drawn = drawn_images(shown.shape[1:], source)
        others[name] = _basis(drawn, size, strides, padding).vectors
    controls = control_bases(basis, (*size, shown.shape[-1]), others)
    sets = {WEIGHTS: kernels}
    if start is not None:
        begun = _kernels(start, shown.shape[1:], order, "start")
        sets[LEARNED] = _learned(kernels, begun)
    alignments = {
        name: _alignment(of, basis, controls, random_bases, seed) for name, of in sets.items()
    }
    kind = "standardised channel by channel" if shown.dtype == np.uint8 else "as they are"
    return KernelComparison(
        kernel_shape=kernels.shape[1:],
        networks=len(kernels),
        images=f"patches of {len(shown)} images of {shown.shape[1:]}, {kind}",
        eigenvalues=basis.values,
        vectors=basis.vectors[:, :WHOLE],
        sets=alignments,
    )


def _check_settings(strides: int, padding: str, random_bases: int, seed: int) -> None:
    if padding not in ("VALID", "SAME"):
        raise InputError(f"padding is {padding!r}; it may be VALID or SAME.")
    for name, value, least, most in (
        ("strides", strides, 1, 64),
        ("random_bases", random_bases, 1, MAX_BASES),
        ("seed", seed, 0, 2**31 - 1),
    ):
        if not isinstance(value, int) or not least <= value <= most:
            raise InputError(f"{name} is {value!r}; give a whole number from {least} to {most}.")


def _learned(kernels: np.ndarray, begun: np.ndarray) -> np.ndarray:
    """What was learned between two sets of kernels."""
    if begun.shape != kernels.shape:
        raise InputError(
            f"the start has shape {begun.shape[1:]} of {len(begun)} networks and the kernel "
            f"{kernels.shape[1:]} of {len(kernels)}; give the same layer of the same networks."
        )
    if not np.any(kernels - begun):
        raise InputError("the kernel is its start: nothing was learned between the two.")
    return kernels - begun


def _basis(images: np.ndarray, size: tuple[int, int], strides: int, padding: str) -> InputBasis:
    seen = images
    if images.dtype == np.uint8:
        seen = standardise(images, *channel_statistics(images))
    return InputBasis.of(patch_statistics(seen, size, strides, padding))


def _images(images: ArrayLike) -> np.ndarray:
    """Images [n, h, w, c] as they are, if they are such."""
    found = np.asarray(images)
    first = found.ndim == 4 and found.shape[-1] not in (1, 3) and found.shape[1] in (1, 3)
    if first:
        raise InputError(
            f"images have shape {found.shape}, channels first; give images.transpose(0, 2, 3, 1)."
        )
    if found.ndim != 4 or found.size == 0 or found.dtype.kind not in "uf":
        raise InputError(
            f"images are {found.dtype} {found.shape}; give uint8, or floats as the layer sees "
            "them, [n, h, w, c]."
        )
    if found.dtype.kind == "u" and found.dtype != np.uint8:
        raise InputError(f"images are {found.dtype}; give uint8, or floats.")
    if found.dtype.kind == "f" and not np.abs(found).max() < _LARGEST:
        raise InputError("images have numbers that are not finite, or too large.")
    return found


def _kernels(given: Any, image_shape: tuple[int, ...], order: str, name: str) -> np.ndarray:
    """Kernels [network, rows, columns, channels, filters], float64."""
    if given is None:
        raise InputError(f"{name} is None; give an array, or a sequence of arrays.")
    if isinstance(given, str | Path):
        raise InputError(
            f"{name} is {shown(str(given))}; give arrays, or compare a file of weights by "
            "analyze --weights (randlabels.compare.compare_weights)."
        )
    one = hasattr(given, "shape") or np.isscalar(given)
    kernels = [in_our_order(k, image_shape, order) for k in ([given] if one else given)]
    if not kernels:
        raise InputError(f"{name} is an empty sequence; give one kernel or more.")
    if len({k.shape for k in kernels}) > 1:
        raise InputError(f"{name} holds kernels of several shapes; give one layer of each network.")
    if kernels[0][..., 0].size > _MAX_DIM:
        raise InputError(
            f"filters of {kernels[0].shape[:3]} have more than {_MAX_DIM} entries, which would "
            "take hours; compare a smaller layer."
        )
    return np.stack(kernels).astype(np.float64)


def _alignment(
    kernels: np.ndarray, basis: InputBasis, controls: Any, random_bases: int, seed: int
) -> FilterAlignment:
    filters = flatten_kernel(kernels)  # [network, d, m]
    samples = {"random_bases": random_bases, "flips": random_bases, "seed": seed}
    try:
        controlled = compare([filters], basis.vectors, controls, **samples)
        rotated = basis.vectors.T @ pool_networks(filters)
        (described,) = describe_sets(rotated[None], basis.values[None], random_bases, seed)
    except ValueError as error:
        raise InputError(f"the filters are too much alike to be compared ({error}).") from error
    return FilterAlignment(
        num_filters=rotated.shape[1],
        controlled=controlled,
        floor=described["floor"],
        p_value=described["p_value"],
        shrunk=described["misalignment_shrunk"],
        shrunk_random=described["misalignment_shrunk_random"],
        tau=described["tau"],
        vectors=basis.vectors @ described["filter_eigenvectors"][:, :LEADING],
    )
