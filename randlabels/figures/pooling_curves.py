"""Misalignment over its floor against the number of pooled networks (Proposition 1)."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import style

Curves = Mapping[str, tuple[np.ndarray, Sequence[np.ndarray]]]


def plot(panels: Mapping[str, Curves]) -> Figure:
    """One panel for each group of cases.

    Args:
        panels: {title: {case: (networks in a pool [k], k arrays of values over pools)}}.

    Returns:
        A figure with logarithmic axes: means as lines, ranges over pools as bars; 1 is the floor.
    """
    figure = style.new_figure(width=5.2 * len(panels), height=4.2)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, (title, curves) in zip(axes, panels.items(), strict=True):
        for (case, (sizes, values)), colour in zip(curves.items(), style.SERIES, strict=False):
            means = np.array([v.mean() for v in values])
            low = means - [v.min() for v in values]
            high = [v.max() for v in values] - means
            ax.errorbar(sizes, means, [low, high], color=colour, marker="o", ms=3, label=case, lw=1)
        ax.axhline(1, color=style.GREY, linestyle="--", lw=1)
        ax.set(title=title, xlabel="networks pooled", xscale="log", yscale="log")
        ax.set_xticks(sizes, [str(size) for size in sizes])
        ax.minorticks_off()
        ax.legend(frameon=False, fontsize="x-small")
        style.tidy(ax)
    axes[0].set_ylabel("misalignment M / its mean floor (ratio)")
    return figure
