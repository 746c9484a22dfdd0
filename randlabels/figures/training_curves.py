"""Train accuracy against steps for the arms of a transfer (the paper's Figures 1 and 5)."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import style

Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]


def plot(panels: Mapping[str, Curves], ylabel: str = "train accuracy") -> Figure:
    """One panel for each downstream task, one curve for each arm.

    Args:
        panels: {title: {arm: (steps [evaluation], values [seed, evaluation])}}.
        ylabel: what the values are.

    Returns:
        A figure: thick lines are means over seeds, bands go from the lowest to the highest seed.
    """
    figure = style.new_figure(width=4.6 * len(panels), height=3.5)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for ax, (title, curves) in zip(axes, panels.items(), strict=True):
        for arm, (steps, values) in curves.items():
            colour = style.arm_colour(arm)
            ax.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.18)
            ax.plot(steps, values.mean(axis=0), color=colour, label=style.arm_label(arm))
        ax.set(title=title, xlabel="steps", xlim=(0, max(c[0][-1] for c in curves.values())))
    axes[0].set_ylabel(ylabel)
    axes[-1].legend(frameon=False)
    return figure
