"""How a population and its batches lie on the devices: the only place that knows pmap.

Every array that a compiled function sees has a leading `device` axis. The devices are a grid: a row
for each part of the population, a column for each part of a batch. Devices of one row hold the same
networks, and average their gradients; rows communicate nothing. So a grid of one column spreads
networks, a grid of one row splits batches, and one device is the same code with a grid of one.

Rows hold equally many networks: the last one is filled up where they do not divide, and what fills
it is not fetched, nor computed where that takes time from others. Results are the same, to
rounding, on any grid, and so are those of a run that continues on another one.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from randlabels import hosts
from randlabels.errors import InputError

AXIS = "devices"
MODES = ("auto", "networks", "batch", "both")

Groups = tuple[tuple[int, ...], ...]

# Share of a step's time that parts of a batch do not save on accelerators: launches, sums over
# devices, products that become too small to fill a device. An assumption: nothing was measured.
_FIXED = 0.2
# Examples of a part of a batch on a CPU, unless splitting is asked for: fewer were not measured.
_LEAST_EXAMPLES = 32


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where networks and batches go. Made by `choose_layout`.

    Attributes:
        devices: of the grid, row by row.
        networks: how many the population has.
        parts: of each batch, which are the columns of the grid.
    """

    devices: tuple[jax.Device, ...]
    networks: int
    parts: int = 1

    @property
    def rows(self) -> int:
        """Parts of the population."""
        return len(self.devices) // self.parts

    @property
    def own(self) -> list[int]:
        """The positions of this process's devices in the grid; of each process equally many."""
        process = jax.process_index()
        return [k for k, device in enumerate(self.devices) if device.process_index == process]

    @property
    def per_device(self) -> int:
        """Networks that each device holds, with those that fill up the last row."""
        return math.ceil(self.networks / self.rows)

    @property
    def axis_name(self) -> str | None:
        """The axis to average over inside a step, or None where nothing is communicated."""
        return AXIS if self.parts > 1 else None

    @property
    def groups(self) -> Groups | None:
        """The rows, as numbers of their devices: who averages with whom. None is all with all."""
        if self.parts == 1 or self.rows == 1:
            return None
        numbers = np.arange(len(self.devices)).reshape(self.rows, self.parts)
        return tuple(tuple(row.tolist()) for row in numbers)

    def mean(self, tree: Any) -> Any:
        """Inside of `pmap`: averages over the parts of a batch; leaves keep their types."""
        means = self._reduce(jax.lax.pmean, tree)
        return jax.tree.map(lambda mean, x: mean.astype(x.dtype), means, tree)

    def sum(self, tree: Any) -> Any:
        """Inside of `pmap`: sums over the parts of a batch."""
        return self._reduce(jax.lax.psum, tree)

    def _reduce(self, function: Callable[..., Any], tree: Any) -> Any:
        if self.axis_name is None:
            return tree
        return function(tree, self.axis_name, axis_index_groups=self.groups)

    def there(self) -> jax.Array | None:
        """Inside of `pmap`: which networks of a device are to be computed, [n]; None if all are.

        Filling is not. Where devices communicate it is: one that waits for others saves nothing,
        and they would all have to leave it out alike.
        """
        if self.rows * self.per_device == self.networks or self.parts > 1:
            return None
        first = jax.lax.axis_index(AXIS) * self.per_device
        return first + jnp.arange(self.per_device) < self.networks

    def pmap(
        self, function: Callable[..., Any], donate_argnums: tuple[int, ...] = ()
    ) -> Callable[..., Any]:
        """Compile a function of per-device arrays; all arguments carry the device axis."""
        return jax.pmap(
            function, axis_name=AXIS, devices=self.devices, donate_argnums=donate_argnums
        )

    def spread(self, tree: Any) -> Any:
        """Put host arrays [network, ...] on the devices as [device, network on it, ...]."""
        return self._put(tree, self._rows_of)

    def replicate(self, tree: Any) -> Any:
        """Put a copy of host arrays [...] on every device as [device, ...]."""
        return self._put(tree, lambda x: np.broadcast_to(x, (len(self.devices), *x.shape)))

    def split_batches(self, order: np.ndarray, shared: bool) -> Any:
        """Put example indices on the devices.

        Args:
            order: [steps, batch] if shared by all networks, else [network, steps, batch].
            shared: whether all networks see the same batches.
        """
        parts = order.reshape(*order.shape[:-1], self.parts, order.shape[-1] // self.parts)
        columns = np.moveaxis(parts, -2, 0)  # [part, ...]
        if shared:
            return self._put(np.tile(columns, (self.rows, *(1,) * order.ndim)), lambda x: x)
        of_parts = np.stack([self._filled(column) for column in columns], axis=1)
        return self._put(of_parts.reshape(-1, *of_parts.shape[2:]), lambda x: x)

    @property
    def columns(self) -> tuple[tuple[int, ...], int]:
        """The parts of a batch that this process's devices take, and how many parts there are."""
        return tuple(sorted({k % self.parts for k in self.own})), self.parts

    def split_images(self, images: np.ndarray) -> jax.Array:
        """Put the images of batches on this process's devices, as `split_batches` their indices.

        Args:
            images: [steps, those of this process's columns, ...], one column after the other.
        """
        columns, _ = self.columns
        steps, examples = images.shape[:2]
        parts = images.reshape(steps, len(columns), examples // len(columns), *images.shape[2:])
        return self._on_own(np.stack([parts[:, columns.index(k % self.parts)] for k in self.own]))

    def gather(self, tree: Any) -> Any:
        """Fetch device arrays [device, network on it, ...] as host arrays [network, ...].

        All processes get those of all, so that all have to call it.
        """
        # The networks of a row are on all of its devices, which may belong to several processes.
        held = len(self.own)
        ours = self.parts if held % self.parts == 0 else held if self.parts % held == 0 else 1

        def fetch(x: jax.Array) -> np.ndarray:
            shards = sorted(x.addressable_shards, key=lambda shard: shard.index[0].start or 0)
            rows = [np.asarray(shard.data)[0] for shard in shards[::ours]]
            return rows[0][None] if len(rows) == 1 else np.stack(rows)

        def whole(found: np.ndarray) -> np.ndarray:
            rows = found.reshape(-1, *found.shape[2:])[:: self.parts // ours]
            return rows.reshape(-1, *rows.shape[2:])[: self.networks]

        return jax.tree.map(whole, hosts.joined(jax.tree.map(fetch, tree)))

    def _filled(self, x: np.ndarray) -> np.ndarray:
        """[network, ...] as [row, network of it, ...], filled up with copies of the last one."""
        missing = self.rows * self.per_device - len(x)
        filled = np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) if missing else x
        return filled.reshape(self.rows, self.per_device, *x.shape[1:])

    def _rows_of(self, x: np.ndarray) -> np.ndarray:
        """[network, ...] as [device, network on it, ...]."""
        return np.repeat(self._filled(x), self.parts, axis=0) if self.parts > 1 else self._filled(x)

    def _put(self, tree: Any, arrange: Callable[[np.ndarray], np.ndarray]) -> Any:
        own = self.own

        def put(x: Any) -> jax.Array:
            whole = arrange(np.asarray(x))
            return self._on_own(whole if len(own) == len(whole) else whole[own])

        return jax.tree.map(put, tree)

    def _on_own(self, x: np.ndarray) -> jax.Array:
        """Put [device of this process, ...] on them."""
        mesh = jax.sharding.Mesh(np.array([self.devices[k] for k in self.own]), (AXIS,))
        sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(AXIS))
        return jax.device_put(x, sharding)


@dataclasses.dataclass(frozen=True)
class Splits:
    """What a model allows, and what it gains.

    Attributes:
        over_all: whether a batch may be split over all devices, with the same results.
        in_groups: whether it may be split over some, beside others that have other networks.
        fixed_on_cpu: of the model's `Facts`.
    """

    over_all: bool = True
    in_groups: bool = True
    fixed_on_cpu: float = 1.0


def choose_layout(
    mode: str,
    num_networks: int,
    batch_size: int,
    devices: tuple[jax.Device, ...],
    splits: Splits = Splits(),
) -> Layout:
    """Pick the grid on which an epoch is expected to take least time.

    A device takes a time for each of its networks that falls with the number of parts of a batch,
    but for a share that stays. Of equally good grids it is the one of fewest parts. On a CPU that
    share is everything for most models (measured, benchmarks/NOTES.md), as one network uses all
    cores as it is: their batches are split only where that is asked for.

    Args:
        mode: config.population.devices: networks are spread only, batches are split only (over all
            devices), both, or `auto`, whatever of these is best.
        num_networks: of the population.
        batch_size: of all devices together.
        devices: that there are, of all processes; some are left out where they save nothing, of
            each process equally many.
        splits: what the model allows. Otherwise results would depend on the devices.

    Raises:
        InputError: if batches are to be split and do not divide, or the model does not allow it.
    """
    count, on_cpu = len(devices), devices[0].platform == "cpu"
    if mode == "both" or (mode == "batch" and count > 1):
        _check_splits(mode, num_networks, batch_size, count, splits)
    processes = sorted({device.process_index for device in devices})
    least = _LEAST_EXAMPLES if mode == "auto" and on_cpu else 1
    grids = [
        grid
        for parts in range(1, count + 1)
        if batch_size % parts == 0 and (parts == 1 or batch_size // parts >= least)
        for grid in [(_rows(num_networks, count // parts, parts, len(processes)), parts)]
        if math.prod(grid) <= count and _allowed(mode, *grid, count, splits)
    ]
    fixed = splits.fixed_on_cpu if on_cpu else _FIXED

    def cost(grid: tuple[int, int]) -> tuple[float, int]:
        rows, parts = grid
        return math.ceil(num_networks / rows) * (fixed + (1 - fixed) / parts), parts

    rows, parts = min(grids, key=cost)
    held = rows * parts // len(processes)
    used = [[d for d in devices if d.process_index == process][:held] for process in processes]
    return Layout(tuple(itertools.chain.from_iterable(used)), num_networks, parts)


def _rows(num_networks: int, most: int, parts: int, processes: int) -> int:
    """The fewest rows that hold no more networks each than `most` rows would.

    So many more that all processes hold equally many devices of the grid: some have nothing to do.
    """
    fewest = math.ceil(num_networks / math.ceil(num_networks / most))
    step = processes // math.gcd(parts, processes)
    return math.ceil(fewest / step) * step


def _allowed(mode: str, rows: int, parts: int, count: int, splits: Splits) -> bool:
    """Whether a grid is of the mode, and splits batches only as the model allows."""
    of_mode = {
        "auto": True,
        "networks": parts == 1,
        "batch": parts == count,
        "both": parts > 1 and rows > 1,
    }
    allowed = parts == 1 or (splits.over_all if rows == 1 else splits.in_groups)
    return of_mode[mode] and allowed


def _check_splits(
    mode: str, num_networks: int, batch_size: int, count: int, splits: Splits
) -> None:
    """The errors of `choose_layout`, on `count` devices."""
    if not (splits.over_all if mode == "batch" else splits.in_groups):
        raise InputError(
            f"config.population.devices is {mode!r}, but results of the model would depend on the "
            "number of devices: it draws random numbers by other means than nn.Dropout of "
            "[batch, ...], or is one of your own without a field batch_axis (for 'both', also "
            "batch_groups); set it to 'networks' or 'auto'."
        )
    if mode == "batch" and batch_size % count:
        raise InputError(
            f"config.train.batch_size {batch_size} does not divide over {count} devices; use a "
            f"multiple of {count}, or set config.population.devices to 'networks' or 'auto'."
        )
    parts = [n for n in range(2, count // 2 + 1) if batch_size % n == 0]
    if mode == "both" and (num_networks < 2 or not parts):
        raise InputError(
            f"a population of {num_networks} with batches of {batch_size} cannot be spread and "
            f"split over {count} device{'s' * (count > 1)}; take at least 2 networks, 4 devices "
            "and batches that divide, or set config.population.devices to 'networks' or 'auto'."
        )
