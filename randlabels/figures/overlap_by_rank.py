"""Overlap of the leading eigenspaces of weights and data, by their dimension."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import style


def plot(ranks: Sequence[int], curves: Mapping[int, np.ndarray], dim: int) -> Figure:
    """One curve for each epoch, and the chance level.

    Args:
        ranks: dimensions k of the spaces.
        curves: {epoch: overlaps [group, rank]}.
        dim: d, of the filters; chance is k / d.

    Returns:
        A figure: means over groups, bands from the lowest to the highest.
    """
    figure = style.new_figure(width=4.8, height=3.4)
    ax = figure.subplots()
    colours = style.epoch_colours(len(curves))
    for (epoch, overlaps), colour in zip(curves.items(), colours, strict=True):
        ax.fill_between(ranks, overlaps.min(0), overlaps.max(0), color=colour, alpha=0.2, lw=0)
        ax.plot(ranks, overlaps.mean(0), "o-", color=colour, ms=4, label=style.epoch_label(epoch))
    ax.plot(ranks, np.array(ranks) / dim, "--", color=style.GREY, label="chance, k / d")
    ax.set(xlabel="k (eigenvectors)", ylabel="overlap of the k leading eigenvectors (share)")
    ax.set_ylim(0, 1)
    ax.set_xticks([k for k in ranks if k == ranks[0] or k % 5 == 0])
    style.tidy(ax)
    ax.legend(frameon=False, fontsize="small")
    return figure
