"""Gain over scratch against the number of layers that are set (the paper's Figure 6, right)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import style


def plot(
    panels: Mapping[str, Mapping[str, np.ndarray]],
    numbers: Mapping[str, Sequence[int]],
    xlabel: str = "layers initialised",
) -> Figure:
    """One panel for each task or setting, one line for each way to set layers.

    Args:
        panels: {title: {label: gains [number of layers, seed]}}.
        numbers: {title: the numbers of layers}.
        xlabel: what the numbers count.

    Returns:
        A figure: lines are means over seeds, bands go from the lowest to the highest seed.
    """
    figure = style.new_figure(width=3.6 * len(panels) + 1.6, height=3.4)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for ax, (title, lines) in zip(axes, panels.items(), strict=True):
        ax.axhline(0, color=style.GREY, lw=1, ls="--")
        for (label, gains), colour in zip(lines.items(), style.SERIES, strict=False):
            ax.fill_between(numbers[title], gains.min(1), gains.max(1), color=colour, alpha=0.13)
            ax.plot(numbers[title], gains.mean(1), "o-", ms=4, color=colour, label=label)
        ax.set(title=title, xlabel=xlabel, xticks=list(numbers[title]))
        style.tidy(ax)
    axes[0].set_ylabel("gain over scratch in mean train accuracy")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize="small")
    return figure
