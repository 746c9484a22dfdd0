"""Train accuracy against steps for the arms of a transfer (the paper's Figures 1 and 5)."""

import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from randlabels.figures import style

COLUMNS = 3
TITLE_WIDTH = 44  # letters on a line

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
        ax.set(
            title=textwrap.fill(title, TITLE_WIDTH),
            xlabel="steps",
            xlim=(0, max(c[0][-1] for c in curves.values())),
        )
    for ax in axes[::columns]:
        ax.set_ylabel(ylabel)
    # Of what any of the panels shows: not all have the same arms.
    shown: dict[str, Artist] = {}
    for ax in axes:
        of_panel = ax.get_legend_handles_labels()
        shown |= dict(zip(of_panel[1], of_panel[0], strict=True))
    lines = -(-len(shown) // (2 * columns))
    ncols = -(-len(shown) // lines)
    handles, labels = list(shown.values()), list(shown)
    figure.legend(handles, labels, loc="outside lower center", ncols=ncols, frameon=False)
    return figure
