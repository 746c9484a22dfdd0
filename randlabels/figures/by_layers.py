"""Gain over scratch against the number of layers that are set (the paper's Figure 6, right)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import style

COLUMNS = 3


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
    labels = list(dict.fromkeys(label for lines in panels.values() for label in lines))
    colours = dict(zip(labels, style.SERIES, strict=False))
    figure, axes, _ = style.panel_grid(
        len(panels), COLUMNS, width=3.6, height=3.2, legend_width=2.6
    )
    for ax, (title, lines) in zip(axes, panels.items(), strict=True):
        ax.axhline(0, color=style.GREY, lw=1, ls="--")
        for label, gains in lines.items():
            colour = colours[label]
            ax.fill_between(numbers[title], gains.min(1), gains.max(1), color=colour, alpha=0.13)
            ax.plot(numbers[title], gains.mean(1), "o-", ms=4, color=colour, label=label)
        ax.set_title(title, fontsize="medium")
        ax.set_xticks(list(numbers[title]))
        style.tidy(ax)
    figure.supxlabel(xlabel, fontsize="medium")
    figure.supylabel(style.GAIN, fontsize="medium")
    shown = [axes[0].plot([], [], "o-", ms=4, color=colours[label])[0] for label in labels]
    figure.legend(shown, labels, loc="outside right center", frameon=False, fontsize="small")
    return figure
