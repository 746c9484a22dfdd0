"""How a population and its batches lie on the devices: the only place that knows pmap.

Every array that a compiled function sees has a leading `device` axis. Two modes:

* `networks`: the population is spread over the devices; nothing is communicated.
* `batch`: every device holds all networks and a part of each batch; gradients are averaged.

One device is the same code with a device axis of one. In both modes results are the same, to
rounding, on any number of devices, and so are those of a run that continues on another number.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from randlabels.errors import InputError

AXIS = "devices"


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where networks and batches go. Made by `choose_layout`."""

    mode: str  # networks, batch
    devices: tuple[jax.Device, ...]

    @property
    def axis_name(self) -> str | None:
        """The axis to average over inside a step, or None where nothing is communicated."""
        return AXIS if self.mode == "batch" else None

    def pmap(
        self, function: Callable[..., Any], donate_argnums: tuple[int, ...] = ()
    ) -> Callable[..., Any]:
        """Compile a function of per-device arrays; all arguments carry the device axis."""
        return jax.pmap(
            function, axis_name=AXIS, devices=self.devices, donate_argnums=donate_argnums
        )

    def spread(self, tree: Any) -> Any:
        """Put host arrays [network, ...] on the devices as [device, network on it, ...]."""
        if self.mode == "batch":
            return self.replicate(tree)
        count = len(self.devices)
        return self._put(tree, lambda x: x.reshape(count, x.shape[0] // count, *x.shape[1:]))

    def replicate(self, tree: Any) -> Any:
        """Put a copy of host arrays [...] on every device as [device, ...]."""
        return self._put(tree, lambda x: np.broadcast_to(x, (len(self.devices), *x.shape)))

    def split_batches(self, order: np.ndarray, shared: bool) -> Any:
        """Put example indices on the devices.

        Args:
            order: [steps, batch] if shared by all networks, else [network, steps, batch].
            shared: whether all networks see the same batches.
        """
        count = len(self.devices)
        if self.mode == "batch":
            parts = order.reshape(*order.shape[:-1], count, order.shape[-1] // count)
            return self._put(np.moveaxis(parts, -2, 0), lambda x: x)
        return self.replicate(order) if shared else self.spread(order)

    def gather(self, tree: Any) -> Any:
        """Fetch device arrays [device, network on it, ...] as host arrays [network, ...]."""
        if self.mode == "batch":
            return jax.tree.map(lambda x: np.asarray(x.addressable_shards[0].data)[0], tree)
        return jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), tree)

    def _put(self, tree: Any, arrange: Callable[[np.ndarray], np.ndarray]) -> Any:
        mesh = jax.sharding.Mesh(np.array(self.devices), (AXIS,))
        sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(AXIS))
        return jax.tree.map(lambda x: jax.device_put(arrange(np.asarray(x)), sharding), tree)


def choose_layout(
    mode: str,
    num_networks: int,
    batch_size: int,
    devices: tuple[jax.Device, ...],
    splits: bool = True,
) -> Layout:
    """Pick a layout.

    `auto` spreads networks where their number divides over the devices, else batches where their
    size does, else networks over the largest number of devices that divides them. On a CPU it never
    splits batches: one network uses all cores as it is.

    Args:
        mode: config.population.devices.
        num_networks: of the population.
        batch_size: of all devices together.
        devices: that there are.
        splits: whether batches may be split (`can_be_split`). Otherwise they never are, since
            results would depend on the devices.

    Raises:
        InputError: if the asked-for mode does not divide over the devices, or splits batches of a
            model that does not allow it.
    """
    count = len(devices)
    _check_mode(mode, num_networks, batch_size, count, splits)
    if mode == "auto":
        on_cpu = devices[0].platform == "cpu"
        fits_batch = num_networks % count and not batch_size % count and splits and not on_cpu
        mode = "batch" if fits_batch else "networks"
    if mode == "networks":
        count = max(d for d in range(1, count + 1) if num_networks % d == 0)
    return Layout(mode, devices[:count])


def _check_mode(mode: str, num_networks: int, batch_size: int, count: int, splits: bool) -> None:
    """The errors of `choose_layout`, on `count` devices."""
    if mode == "networks" and num_networks % count:
        raise InputError(
            f"{num_networks} networks do not divide over {count} devices; change "
            f"config.population.seeds, or set config.population.devices to 'batch' or 'auto'."
        )
    if mode == "batch" and batch_size % count:
        raise InputError(
            f"config.train.batch_size {batch_size} does not divide over {count} devices; use a "
            f"multiple of {count}, or set config.population.devices to 'networks' or 'auto'."
        )
    if mode == "batch" and not splits:
        raise InputError(
            "config.population.devices is 'batch', but results of the model would depend on the "
            "number of devices: it draws random numbers by other means than nn.Dropout of "
            "[batch, ...], or is one of your own without a field batch_axis; set it to 'networks' "
            "or 'auto'."
        )
