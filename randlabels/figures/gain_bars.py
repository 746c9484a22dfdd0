"""Gains over scratch, one row for each way to start: the mean with its interval, and every seed."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import style

Interval = tuple[float, float]


def plot(
    panels: Mapping[str, Mapping[str, tuple[np.ndarray, Interval]]],
    xlabel: str = style.GAIN,
) -> Figure:
    """One panel for each task.

    Args:
        panels: {title: {label: (gains [seed], (low, high))}}; labels are the same in all panels.
        xlabel: what the values are.
    """
    labels = list(next(iter(panels.values())))
    height = 1.2 + 0.32 * len(labels)
    figure = style.new_figure(width=2.2 + 3.4 * len(panels), height=height)
    axes = figure.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
    places = np.arange(len(labels))[::-1]
    for ax, (title, rows) in zip(axes, panels.items(), strict=True):
        ax.axvline(0, color=style.GREY, lw=1)
        for place, label in zip(places, labels, strict=True):
            gains, (low, high) = rows[label]
            ax.plot([low, high], [place, place], color=style.BLUE, lw=2.5, alpha=0.5)
            ax.plot(gains, np.full(len(gains), place), ".", color=style.GREY, ms=4)
            ax.plot(gains.mean(), place, "o", color=style.BLUE, ms=6)
        ax.set_title(title, fontsize="medium")
        ax.set_yticks(places, labels)
        ax.set_ylim(-0.6, len(labels) - 0.4)
        style.tidy(ax)
    figure.supxlabel(xlabel, fontsize="medium")
    return figure
