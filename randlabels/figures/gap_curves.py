"""Gap between arms and scratch against a setting that is varied (the paper's Figure 8)."""

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import style

Gaps = Mapping[str, np.ndarray]


def plot(
    panels: Mapping[str, tuple[np.ndarray, Gaps]],
    xlabel: str,
    ylabel: str = style.GAIN,
    scale: str = "linear",
) -> Figure:
    """One panel for each case, one curve for each arm.

    Args:
        panels: {title: (x [point], {arm: gaps [point, seed]})}.
        xlabel: what is varied.
        ylabel: what the gap is.
        scale: of the x axis: "linear", "log", "symlog".

    Returns:
        A figure: lines are means over seeds, points single seeds; above the line at 0 the arm is
        better than scratch.
    """
    figure = style.new_figure(width=4.4 * len(panels), height=3.4)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, (title, (x, gaps)) in zip(axes, panels.items(), strict=True):
        for arm, values in gaps.items():
            ax.plot(x, values.mean(axis=1), **style.arm_line(arm), label=style.arm_label(arm))
            ax.plot(x, values, ".", color=style.arm_colour(arm), alpha=0.6)
        ax.axhline(0, color=style.GREY, linewidth=0.8)
        ax.set_xscale(scale)
        ax.set_xticks(x, [f"{value:g}" for value in x])
        ax.minorticks_off()
        ax.set(title=title, xlabel=xlabel)
        style.tidy(ax)
    axes[0].set_ylabel(textwrap.fill(ylabel, 36), fontsize="small")  # longer than the panel is high
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return figure
