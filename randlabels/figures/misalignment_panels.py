"""Misalignment of single networks during training, label kinds side by side (paper, Figure 2)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from randlabels.figures import style
from randlabels.figures.misalignment_over_training import DATA, FLOOR

Checkpoint = tuple[np.ndarray, np.ndarray, np.ndarray]


def plot(panels: Mapping[str, tuple[np.ndarray, Sequence[Checkpoint]]]) -> Figure:
    """One panel for each label kind, on one vertical axis.

    Args:
        panels: {title: (epochs [checkpoint], for each of them misalignment to the data basis
            [network], to random bases [network, basis], of isotropic filters [sample])}.

    Returns:
        A figure: lines are means over networks (and bases), blue and red bands are ranges over
        all networks (and bases), the grey band holds 95% of the isotropic samples.
    """
    figure = style.new_figure(width=4.4 * len(panels) + 1.6, height=3.6)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, (title, (epochs, checkpoints)) in zip(axes, panels.items(), strict=True):
        data, random, floor = zip(*checkpoints, strict=True)
        within = [np.quantile(samples, [0.025, 0.975]) for samples in floor]
        low, high = np.transpose(within)
        ax.fill_between(epochs, low, high, color=style.GREY, alpha=0.2, lw=0)
        ax.plot(epochs, low, "--", color=style.GREY, lw=0.8)
        ax.plot(epochs, high, "--", color=style.GREY, lw=0.8, label=FLOOR)
        _line(ax, epochs, random, style.RED, "random bases")
        _line(ax, epochs, data, style.BLUE, DATA)
        ax.set(title=title, xlabel=style.EPOCHS)
        ax.set_ylim(bottom=0)
        style.tidy(ax)
    axes[0].set_ylabel(f"{style.MISALIGNMENT}\nof each single network's weights")
    axes[-1].legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _line(
    ax: Axes, epochs: np.ndarray, values: Sequence[np.ndarray], colour: str, label: str
) -> None:
    low, high = [v.min() for v in values], [v.max() for v in values]
    ax.fill_between(epochs, low, high, color=colour, alpha=0.18, lw=0)
    ax.plot(
        epochs,
        [v.mean() for v in values],
        "o-",
        color=colour,
        lw=2,
        ms=4,
        label=f"{label}, mean and range",
    )
