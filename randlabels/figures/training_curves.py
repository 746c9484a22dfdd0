"""Train accuracy against steps for the arms of a transfer (the paper's Figures 1 and 5)."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import style

COLUMNS = 3

Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]


def plot(panels: Mapping[str, Curves], ylabel: str = "train accuracy") -> Figure:
    """One panel for each downstream task, one curve for each arm.

    Args:
        panels: {title: {arm: (steps [evaluation], values [seed, evaluation])}}.
        ylabel: what the values are.

    Returns:
        A figure: thick lines are means over seeds, bands go from the lowest to the highest seed.
    """
    figure, axes, columns = style.panel_grid(len(panels), COLUMNS, width=4.6, height=3.5)
    for ax, (title, curves) in zip(axes, panels.items(), strict=True):
        for arm, (steps, values) in curves.items():
            colour = style.arm_colour(arm)
            ax.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.18)
            ax.plot(steps, values.mean(axis=0), color=colour, label=style.arm_label(arm))
        ax.set(title=title, xlabel="steps", xlim=(0, max(c[0][-1] for c in curves.values())))
    for ax in axes[::columns]:
        ax.set_ylabel(ylabel)
    handles, labels = axes[0].get_legend_handles_labels()
    lines = -(-len(labels) // (2 * columns))
    ncols = -(-len(labels) // lines)
    figure.legend(handles, labels, loc="outside lower center", ncols=ncols, frameon=False)
    return figure
