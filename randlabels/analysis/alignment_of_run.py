"""From the checkpoints of a run to records of alignment.

Every network's filters are first written in the eigenbasis of its layer's inputs (`filter_sets`).
The networks of a group (an arm at one point of a sweep) are pooled in these coordinates. For the
first layer, whose inputs are the data, all networks share one basis V and this is the same as
pooling the filters directly: mean_n V^T Sigma_n V = V^T (mean_n Sigma_n) V. For a deeper layer each
network has a basis V_n of its own, and pooling adds up what lies along the i-th eigenvector of
each: mean_n V_n^T Sigma_n V_n. An eigenvector has no sign, so what a network has off the diagonal
there adds up with random signs and the pooled misalignment falls like 1 / networks even if no
single network is aligned. So of deeper layers, judge the single networks by their misalignment, and
use the pooled map tau, which has no such flaw.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from absl import logging

from randlabels import hosts
from randlabels.analysis.costs import expected_seconds, progress_by_work, within
from randlabels.analysis.filter_sets import bootstrap, describe_sets
from randlabels.analysis.input_bases import Bases, input_bases
from randlabels.analysis.input_spectrum import profile_agreement
from randlabels.analysis.layer_inputs import (
    layers_to_analyse,
    open_inputs,
    read_kernels,
)
from randlabels.analysis.layers import Layer, LayerInputs
from randlabels.analysis.records import Alignment, AlignmentRecord, LayerData, Skipped
from randlabels.backend import say_machine
from randlabels.eigen.filters import flatten_kernel, pool_networks
from randlabels.errors import InputError
from randlabels.networks import EPOCHS
from randlabels.records import plain
from randlabels.runs import Run
from randlabels.states import refuse_if_all_lost

# Columns of the network table in which networks of one group differ.
_WITHIN_GROUP = ("network", "seed", "label_seed", "source", *EPOCHS)

# Eigenvectors of the data and of pooled weights that are kept for pictures.
LEADING = 10
# A basis of at most so many is kept whole: a filter's match need not be among the leading ones.
WHOLE = 150

# Float64 numbers of filters that are held at once (256 MiB).
_MAX_NUMBERS = 2**25


@dataclasses.dataclass(frozen=True)
class Group:
    """Networks that may be pooled: the columns of the table that they share, and their numbers."""

    columns: dict[str, Any]
    networks: list[int]


def groups_of(run: Run) -> list[Group]:
    """The groups of a run, without the networks that diverged or died.

    Raises:
        AllLostError: if these are all.
    """
    refuse_if_all_lost(run.workdir, run.networks)
    found: list[Group] = []
    for row in run.networks:
        if not row.healthy:
            continue
        fields = dataclasses.asdict(row).items()
        columns = plain({name: value for name, value in fields if name not in _WITHIN_GROUP})
        if columns not in [group.columns for group in found]:
            found.append(Group(columns, []))
        next(g for g in found if g.columns == columns).networks.append(row.network)
    return found


@dataclasses.dataclass(frozen=True)
class Block:
    """Filters of one layer at several checkpoints, in the eigenbases of their inputs.

    Attributes:
        layer: which layer.
        steps: of the checkpoints.
        networks: their numbers in the table.
        filters: [network, step, k, m], along the k eigenvectors that are looked at, all or some.
        eigenvalues: of Sigma_x, [network, step, k].
        norms: of the kernels, [network, step].
        shares: of the inputs' variance along these eigenvectors, [network, step].
        vectors: of the one Sigma_x of all networks [d, k], or None if each has its own.
    """

    layer: Layer
    steps: list[int]
    networks: list[int]
    filters: np.ndarray
    eigenvalues: np.ndarray
    norms: np.ndarray
    shares: np.ndarray
    vectors: np.ndarray | None


def read_blocks(
    run: Run,
    layer: Layer,
    bases: Bases,
    shared: bool,
    note: Callable[[int, str | None], None],
    steps: Sequence[int],
) -> Iterator[Block]:
    """The filters of all networks that did not diverge, a block of checkpoints at a time.

    Args:
        run: which run.
        layer: of its model.
        bases: from `input_bases`.
        shared: whether they are the same for all networks and steps.
        note: called after each step, with the reason if its checkpoint cannot be read.
        steps: of the checkpoints.
    """
    networks = list(itertools.chain.from_iterable(group.networks for group in groups_of(run)))
    numbers = len(networks) * layer.dim * max(layer.dim, layer.num_filters)
    size = max(1, _MAX_NUMBERS // numbers)
    for some in (steps[i : i + size] for i in range(0, len(steps), size)):
        read: dict[int, tuple[np.ndarray, ...]] = {}
        for step in some:
            try:
                read[step] = _rotated_filters(run, layer, bases, step, networks)
            except InputError as error:
                note(step, str(error))
            else:
                note(step, None)
        if read:
            arrays = (np.stack(of, 1) for of in zip(*read.values(), strict=True))
            vectors = bases(some[0], networks[0]).vectors if shared else None
            filters, values, norms, shares = arrays
            yield Block(layer, list(read), networks, filters, values, norms, shares, vectors)


def _rotated_filters(
    run: Run, layer: Layer, bases: Bases, step: int, networks: Sequence[int]
) -> tuple[np.ndarray, ...]:
    """`Block.filters`, `eigenvalues`, `norms` and `shares` of one step, without its axis."""
    kernels = read_kernels(run, step, layer.path)
    found = []
    for network in networks:
        basis, kernel = bases(step, network), flatten_kernel(kernels[network])
        norm = np.linalg.norm(kernel)
        found.append((basis.vectors.T @ kernel, basis.values, norm, np.float64(basis.share)))
    return tuple(np.stack(of) for of in zip(*found, strict=True))


def block_records(
    block: Block, group: Group, steps_per_epoch: int, random_bases: int
) -> list[AlignmentRecord]:
    """For each checkpoint of a block: a record of the group's networks pooled, and one for each."""
    rows = [block.networks.index(network) for network in group.networks]
    filters, eigenvalues = block.filters[rows], block.eigenvalues[rows]
    norms, shares = block.norms[rows], block.shares[rows]
    inside = np.linalg.norm(filters, axis=(-2, -1)) ** 2
    pooled = describe_sets(pool_networks(filters), eigenvalues.mean(0), random_bases)
    single = describe_sets(np.concatenate(filters), np.concatenate(eigenvalues), random_bases)
    taus = np.stack([own["tau"] for own in single]).reshape(eigenvalues.shape)
    intervals = bootstrap(filters)
    records = []
    for i, step in enumerate(block.steps):
        place: dict[str, Any] = {
            "layer": block.layer.path,
            "step": step,
            "epoch": step / steps_per_epoch,
            "group": group.columns,
        }
        vectors = pooled[i].pop("filter_eigenvectors")
        if block.vectors is not None:
            pooled[i] |= _leading(block.vectors, vectors)
        together = AlignmentRecord(
            **place,
            networks=tuple(group.networks),
            network=None,
            eigenvalues=eigenvalues[:, i].mean(0),
            kernel_norm=float(norms[:, i].mean()),
            input_share=float(shares[:, i].mean()),
            filter_share=_share(inside[:, i].sum(), np.square(norms[:, i]).sum()),
            profile_correlation=profile_agreement(taus[:, i]),
            **pooled[i],
            **intervals[i],
        )
        records.append(together)
        for k, network in enumerate(group.networks):
            own = single[k * len(block.steps) + i]
            del own["filter_eigenvectors"]
            alone = AlignmentRecord(
                **place,
                networks=(network,),
                network=network,
                eigenvalues=eigenvalues[k, i],
                kernel_norm=float(norms[k, i]),
                input_share=float(shares[k, i]),
                filter_share=_share(inside[k, i], norms[k, i] ** 2),
                **own,
            )
            records.append(alone)
    return records


def _share(inside: float, all_of_it: float) -> float:
    """At most 1, which rounding alone can exceed."""
    return min(float(inside / all_of_it), 1.0) if all_of_it > 0 else 1.0


def _leading(basis: np.ndarray, vectors: np.ndarray) -> dict[str, Any]:
    """The leading eigenvectors of Sigma_w [d, n] beside those of Sigma_x that they are most like.

    `basis` are the latter [d, k], `vectors` the former in their coordinates, so that entries are
    cosines. Signs are chosen that make the largest one positive.
    """
    cosines = vectors[:, :LEADING]
    nearest = np.abs(cosines).argmax(0)
    largest = cosines[nearest, np.arange(cosines.shape[1])]
    return {
        "filter_eigenvectors": basis @ (cosines * np.sign(largest)),
        "nearest_rank": nearest,
        "nearest_cosine": np.abs(largest),
    }


def alignment_of_run(
    run: Run,
    layers: Sequence[str],
    inputs: str,
    random_bases: int,
    limit: float = math.inf,
    leading: int = 0,
    together: bool = False,
) -> Alignment:
    """The alignment of all checkpoints of a run.

    Args:
        run: whose checkpoints are analysed. `skipped` names those that cannot be read, and layers
            that are too large.
        layers: paths, () for the first layer, ("all",) for every layer.
        inputs: of deeper layers, see `input_bases`.
        random_bases: how many, for each misalignment.
        limit: seconds; layers of "all" that would take longer are skipped, by their names refused.
        leading: eigenvectors of the inputs along which each layer is analysed; 0 is all.
        together: whether all processes call this and share the checkpoints.

    Raises:
        InputError: if the run has no such layer or no readable checkpoint, or none of its start
            where that is asked for, or a layer would take longer than the limit.
        AllLostError: as `groups_of`.
    """
    groups = groups_of(run)
    if not run.steps:
        raise InputError(f"{run.workdir} has no checkpoints; train it (again) with its config.")
    task = open_inputs(run)
    chosen, too_large = layers_to_analyse(layers, task.layers, len(task.images), leading)
    if inputs == "initialisation" and 0 not in run.steps and chosen != [task.layers[0]]:
        raise InputError(
            f"{run.workdir} has no checkpoint of its start; train with 0 in "
            "config.train.checkpoint_epochs, or analyse with inputs checkpoint."
        )
    sizes = [len(group.networks) for group in groups]
    seconds = {
        layer: expected_seconds(
            layer,
            len(task.images),
            1 if layer == task.layers[0] else _bases(run, sizes, inputs),
            sizes,
            len(run.steps),
            random_bases,
            leading,
        )
        for layer in chosen
    }
    chosen, too_long = within(limit, seconds, "all" in layers)
    say_machine(f"Analysis of {run.workdir.name}")
    healthy = [network for group in groups for network in group.networks]

    own_steps = run.steps[jax.process_index() :: jax.process_count()]

    def analysed(steps: Sequence[int]) -> list[LayerAlignment]:
        parts = []
        with progress_by_work([seconds[layer] for layer in chosen], len(steps)) as progress:
            for layer, advance in zip(chosen, progress, strict=True):
                settings = inputs, random_bases, leading
                parts.append(_layer_alignment(run, task, layer, settings, steps, advance))
        return parts

    shares = hosts.of_all(lambda: analysed(own_steps)) if together else [analysed(run.steps)]
    parts = [_joined(of_layer, run.steps) for of_layer in zip(*shares, strict=True)]
    if any(not part.records for part in parts):
        raise InputError(f"{run.workdir} has no intact checkpoint; train it again.")
    return Alignment(
        networks=tuple(healthy),
        diverged=tuple(row.network for row in run.networks if row.state == "diverged"),
        skipped=(*too_large, *too_long, *(entry for part in parts for entry in part.skipped)),
        data={layer.path: part.data for layer, part in zip(chosen, parts, strict=True)},
        records=tuple(record for part in parts for record in part.records),
        dead=tuple(row.network for row in run.networks if row.state == "dead"),
    )


def _bases(run: Run, sizes: Sequence[int], inputs: str) -> int:
    """How many Sigma_x a deeper layer has."""
    return sum(sizes) * (len(run.steps) if inputs == "checkpoint" else 1)


@dataclasses.dataclass(frozen=True)
class LayerAlignment:
    """The part of an `Alignment` that is about one layer."""

    data: LayerData
    records: list[AlignmentRecord]
    skipped: list[Skipped]


def _joined(shares: Sequence[LayerAlignment], steps: Sequence[int]) -> LayerAlignment:
    """The alignment of a layer at all steps, from those at some."""
    records = [record for share in shares for record in share.records]
    skipped = [entry for share in shares for entry in share.skipped]
    return LayerAlignment(
        shares[0].data,
        sorted(records, key=lambda record: steps.index(record.step)),
        [entry for step in steps for entry in skipped if entry.step == step],
    )


def _layer_alignment(
    run: Run,
    task: LayerInputs,
    layer: Layer,
    settings: tuple[str, int, int],
    steps: Sequence[int],
    advance: Callable[[str], None],
) -> LayerAlignment:
    """`settings` are whose inputs, random bases and leading eigenvectors."""
    inputs, random_bases, leading = settings
    first = layer == task.layers[0]
    skipped: list[Skipped] = []

    def note(step: int, reason: str | None) -> None:
        if reason is not None:
            logging.warning("%s It is left out.", reason)
            skipped.append(Skipped(layer.path, step, reason))
        advance(layer.path)

    bases = input_bases(run, task, layer, inputs, leading)
    records = [
        record
        for block in read_blocks(run, layer, bases, first, note, steps)
        for group in groups_of(run)
        for record in block_records(block, group, run.steps_per_epoch, random_bases)
    ]
    basis = bases(0, 0) if first else None
    kept = WHOLE if basis is not None and len(basis.values) <= WHOLE else LEADING
    data = LayerData(
        basis=f"inputs at {inputs}" if basis is None else "first layer inputs",
        kernel_shape=layer.kernel_shape,
        count=len(task.images) * layer.patches_per_image,
        eigenvalues=None if basis is None else basis.values,
        eigenvectors=None if basis is None else basis.vectors[:, :kept],
    )
    return LayerAlignment(data, records, skipped)
