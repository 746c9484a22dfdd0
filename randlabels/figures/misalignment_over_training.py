"""Misalignment of a layer's weights with its inputs during training (the paper's Figure 2)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from randlabels.figures import style
from randlabels.figures.groups import Records, by_group, pooled, single


def plot(records: Records) -> Figure:
    """One panel for each group of networks of one layer.

    Args:
        records: of one layer, from alignment.json. Where a misalignment is None it is not drawn.

    Returns:
        A figure. Thick line: pooled networks against the data's eigenvectors; blue band: the 95%
        bootstrap interval for infinitely many networks, which lies lower, by the floor, and goes to
        the bottom where it holds 0. Thin lines: single networks. Red and grey bands: pooled
        networks against random bases, all of them, and as many isotropic filters, 95% of them.
    """
    groups = by_group(records)
    figure = style.new_figure(width=4.2 * len(groups) + 2.4, height=3.8)
    axes = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
    bottom = _bottom(records)
    for ax, (title, of_group) in zip(axes, groups.items(), strict=True):
        _draw(ax, of_group, bottom)
        ax.set(title=title, xlabel="epoch", yscale="log")
        style.tidy(ax)
    axes[0].set_ylim(bottom=bottom)
    axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[0].yaxis.set_major_formatter("{x:g}")
    axes[0].yaxis.set_minor_formatter("")
    axes[0].set_ylabel("misalignment")
    axes[-1].legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _bottom(records: Records) -> float:
    """Half the least value that is drawn, of the logarithmic axis."""
    drawn = [record.misalignments for record in records if not record.singular]
    values = [min(m.data, float(np.quantile(m.floor, 0.025))) for m in drawn]
    return max(0.5 * min(values, default=1), 1e-4)


def _draw(ax: Axes, records: Records, bottom: float) -> None:
    together = [record for record in pooled(records) if not record.singular]
    epochs = [record.epoch for record in together]
    if together:
        null = np.array([record.misalignment_random for record in together])
        _band(ax, epochs, (null.min(1), null.max(1)), style.RED, "random bases")
        floor = [np.quantile(record.misalignments.floor, [0.025, 0.975]) for record in together]
        _band(ax, epochs, np.transpose(floor), style.GREY, "as many isotropic filters", style.GREY)
    resampled = [record for record in together if record.interval is not None]
    if resampled:
        interval = np.array([record.interval for record in resampled]).clip(bottom)
        at = [record.epoch for record in resampled]
        _band(ax, at, interval.T, style.BLUE, "infinitely many networks, 95%")
    apart = single(records).values()
    for number, of_network in enumerate(apart):
        points = [(r.epoch, r.misalignment_data) for r in of_network]
        known = [point for point in points if point[1] is not None]
        label = "single networks" if number == 0 else None
        if known and len(apart) > 1:
            ax.plot(*zip(*known, strict=True), color=style.BLUE, lw=0.7, alpha=0.6, label=label)
    values = np.array([record.misalignment_data for record in together]).clip(bottom)
    ax.plot(epochs, values, "o-", color=style.BLUE, lw=2.2, ms=4, label="eigenvectors of the data")


def _band(
    ax: Axes,
    epochs: Sequence[float],
    limits: Sequence[np.ndarray] | np.ndarray,
    colour: str,
    label: str,
    edge: str = "none",
) -> None:
    low, high = limits
    ax.fill_between(
        epochs, low, high, facecolor=(colour, 0.3), edgecolor=edge, linestyle="--", label=label
    )
