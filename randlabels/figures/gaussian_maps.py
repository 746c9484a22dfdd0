"""Eigenvalue maps of networks trained on Gaussian inputs (the paper's Figure 20)."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import style

Panel = tuple[np.ndarray, Mapping[int, np.ndarray], Mapping[float, float]]


def plot(panels: Mapping[str, Panel], columns: int) -> Figure:
    """A grid of panels.

    Args:
        panels: {title: (entries of the diagonal [d], {epoch: f [network, d]}, {entry: f of the
            paper})}, all by ascending entry.
        columns: panels in a row.

    Returns:
        A figure: a line and a band from the lowest to the highest network for each epoch, and a
        cross for each value of the paper.
    """
    rows = -(-len(panels) // columns)
    figure = style.new_figure(width=3.6 * columns, height=3.1 * rows)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax, (title, (entries, maps, paper)) in zip(axes.flat, panels.items(), strict=True):
        colours = style.epoch_colours(len(maps))
        for colour, (epoch, tau) in zip(colours, maps.items(), strict=True):
            ax.fill_between(entries, tau.min(axis=0), tau.max(axis=0), color=colour, alpha=0.2)
            ax.plot(entries, tau.mean(axis=0), color=colour, label=style.epoch_label(epoch))
        ax.plot(list(paper), list(paper.values()), "kx", markersize=7, label="paper")
        ax.set_title(title, fontsize="small")
        ax.set(xlabel="entry of the diagonal", ylabel=r"$f(\sigma)$")
        style.tidy(ax)
    axes[0, -1].legend(frameon=False, fontsize="x-small")
    return figure
