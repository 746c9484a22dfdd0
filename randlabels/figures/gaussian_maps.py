"""Eigenvalue maps of networks trained on Gaussian inputs, and their distance to the paper's."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from randlabels.figures import style

_LINES = {"at initialisation": style.GREY, "fitted": style.ORANGE, "by the rule": style.BLUE}


@dataclasses.dataclass(frozen=True)
class MapPanel:
    """Maps of one setting.

    Attributes:
        entries: of the diagonal [d], ascending.
        lines: {one of "at initialisation", "fitted", "by the rule": f [network, d]}.
        paper: {entry: f of the paper}.
    """

    entries: np.ndarray
    lines: Mapping[str, np.ndarray]
    paper: Mapping[float, float]


@dataclasses.dataclass(frozen=True)
class DistancePanel:
    """Distances to the paper of one setting.

    Attributes:
        epochs: of the checkpoints [checkpoint], ascending.
        lines: {learning rate: distances [network, checkpoint]}; NaN for a network that diverged.
        stops: {learning rate: (epochs at which networks stop, distances there) [network] each};
            NaN for a network that does not.
        rule: the learning rate by the rule; None if there is none.
        fitted: (learning rate, number of the checkpoint) of the smallest mean distance.
    """

    epochs: np.ndarray
    lines: Mapping[str, np.ndarray]
    stops: Mapping[str, tuple[np.ndarray, np.ndarray]]
    rule: str | None
    fitted: tuple[str, int]


def plot(panels: Mapping[str, MapPanel], columns: int) -> Figure:
    """Maps beside the paper's values: a line and a band from the lowest to the highest network.

    Args:
        panels: {title: maps}.
        columns: panels in a row; those of a column have the same axes.
    """
    figure, axes = _grid(panels, columns, share="col")
    for ax, panel in zip(axes, panels.values(), strict=True):
        for label, f in panel.lines.items():
            colour = _LINES[label]
            dashes = "--" if label == "fitted" else "-"
            ax.fill_between(panel.entries, f.min(0), f.max(0), color=colour, alpha=0.2, lw=0)
            ax.plot(panel.entries, f.mean(0), dashes, color=colour, label=label)
        ax.plot(
            list(panel.paper),
            list(panel.paper.values()),
            "x",
            color=style.BLACK,
            markersize=7,
            label="paper",
        )
        ax.set(
            xlabel="entry of the diagonal (as in the title)", ylabel=r"$f(\sigma)$ (weight units)"
        )
    keys = style.legend_of_all(axes)
    style.legend_below(figure, keys, ncols=len(keys))
    return figure


def plot_distances(panels: Mapping[str, DistancePanel], columns: int) -> Figure:
    """Distances over training: a line and a band for each learning rate, and where networks stop.

    Args:
        panels: {title: distances}; a rate has the same colour in all of them.
        columns: panels in a row.
    """
    figure, axes = _grid(panels, columns)
    rates = dict.fromkeys(rate for panel in panels.values() for rate in panel.lines)
    colours = dict(zip(rates, style.SERIES, strict=False))
    for ax, panel in zip(axes, panels.values(), strict=True):
        for rate, distances in panel.lines.items():
            colour = colours[rate]
            low, high = distances.min(0), distances.max(0)
            ax.fill_between(panel.epochs, low, high, color=colour, alpha=0.2, lw=0)
            ax.plot(panel.epochs, distances.mean(0), color=colour, label=f"rate {rate}")
            _draw_stop(ax, *panel.stops[rate], colour, chosen=rate == panel.rule)
        rate, k = panel.fitted
        ax.plot(
            panel.epochs[k], panel.lines[rate][:, k].mean(), "*", color=style.BLACK, markersize=10
        )
        ax.set_xscale("symlog", linthresh=panel.epochs[1], linscale=0.5)
        ax.set_xticks(panel.epochs[::4], [f"{epoch}" for epoch in panel.epochs[::4]])
        ax.set_xticks([], minor=True)
        ax.set_ylim(bottom=0)
        ax.set(xlabel=style.EPOCHS, ylabel="distance to the paper (relative)")
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    keys = style.legend_of_all(axes)
    style.legend_below(figure, keys, ncols=len(keys))
    return figure


def _draw_stop(
    ax: Axes, epochs: np.ndarray, distances: np.ndarray, colour: str, chosen: bool
) -> None:
    """A dot at the means over the networks that stop: open where some do not."""
    there = np.isfinite(epochs)
    if not there.any():
        return
    place = epochs[there].mean(), distances[there].mean()
    ax.plot(*place, "o", color=colour, markerfacecolor=colour if there.all() else "white")
    if chosen:
        ax.plot(*place, "o", color=style.BLACK, markerfacecolor="none", markersize=12)


def _grid(
    titles: Collection[str], columns: int, share: Literal["none", "col"] = "none"
) -> tuple[Figure, list[Axes]]:
    figure, axes, _ = style.panel_grid(len(titles), columns, width=3.6, height=3.1, share=share)
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, fontsize="small")
        style.tidy(ax)
    return figure, axes
