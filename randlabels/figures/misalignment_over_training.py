"""Misalignment of a layer's weights with its inputs during training (the paper's Figure 2)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from randlabels.figures import style
from randlabels.figures.groups import by_group, pooled, single

Records = Sequence[dict[str, Any]]


def plot(records: Records) -> Figure:
    """One panel for each group of networks of one layer.

    Args:
        records: of one layer, from alignment.json. Where a misalignment is None it is not drawn.

    Returns:
        A figure. Thick line: pooled networks against the data's eigenvectors, with the 95%
        bootstrap interval for infinitely many networks as a band (it lies lower, by the floor).
        Thin lines: single networks. Bands: pooled networks against random bases, all of them, and
        as many isotropic filters, 95% of them.
    """
    groups = by_group(records)
    figure = style.new_figure(width=5.4 * len(groups), height=3.8)
    axes = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
    for ax, (title, of_group) in zip(axes, groups.items(), strict=True):
        _draw(ax, of_group)
        ax.set(title=title, xlabel="epoch")
        ax.set_ylim(bottom=0)
        style.tidy(ax)
    axes[0].set_ylabel("misalignment")
    axes[-1].legend(frameon=False, fontsize="small")
    return figure


def _draw(ax: Axes, records: Records) -> None:
    together = [record for record in pooled(records) if record["misalignment_data"] is not None]
    epochs = [record["epoch"] for record in together]
    if together:
        null = np.array([record["misalignment_random"] for record in together])
        _band(ax, epochs, null.min(1), null.max(1), style.RED, "random bases")
        ax.plot(epochs, null.mean(1), color=style.RED)
        floor = np.array([np.quantile(record["floor"], [0.025, 0.975]) for record in together])
        _band(ax, epochs, *floor.T, style.GREY, "isotropic filters, as many", linestyle="--")
    resampled = [record for record in together if record["interval"] is not None]
    if resampled:
        interval = np.array([record["interval"] for record in resampled])
        at = [record["epoch"] for record in resampled]
        _band(ax, at, *interval.T, style.BLUE, "95%, infinitely many networks")
    for number, of_network in enumerate(single(records).values()):
        points = [(r["epoch"], r["misalignment_data"]) for r in of_network]
        known = [point for point in points if point[1] is not None]
        label = "single networks" if number == 0 else None
        if known and len(single(records)) > 1:
            ax.plot(*zip(*known, strict=True), color=style.BLUE, lw=0.7, alpha=0.6, label=label)
    values = [record["misalignment_data"] for record in together]
    ax.plot(epochs, values, "o-", color=style.BLUE, lw=2.5, ms=4, label="eigenvectors of the data")


def _band(
    ax: Axes,
    epochs: Sequence[float],
    low: np.ndarray,
    high: np.ndarray,
    colour: str,
    label: str,
    linestyle: str = "-",
) -> None:
    ax.fill_between(
        epochs, low, high, facecolor=(colour, 0.2), edgecolor=colour, ls=linestyle, label=label
    )
