"""Eigenvalue maps f of several settings side by side, at the start and at the end of training."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import style

COLUMNS = 4

# Eigenvalues [d], f of single networks [network, d] at the start and at the end.
Maps = tuple[np.ndarray, np.ndarray, np.ndarray]


def plot(panels: Mapping[str, Maps]) -> Figure:
    """One panel for each setting.

    Args:
        panels: {title: (eigenvalues of the layer's inputs, f at the start, f at the end)}.

    Returns:
        A figure: lines are root mean squares over networks (networks pooled), bands go from the
        lowest to the highest network.
    """
    figure, axes, columns = style.panel_grid(len(panels), COLUMNS, width=3.3, height=2.8)
    for ax, (title, (values, start, end)) in zip(axes, panels.items(), strict=True):
        for maps, colour, label in (
            (start, style.GREY, "at initialisation"),
            (end, style.BLUE, "at the end"),
        ):
            ax.fill_between(values, maps.min(0), maps.max(0), color=colour, alpha=0.15, lw=0)
            pooled = np.sqrt(np.square(maps).mean(0))
            ax.plot(values, pooled, "o-", ms=3, color=colour, label=label)
        ax.set(title=title, xscale="log", ylim=(0, None))
        style.tidy(ax)
    for ax in axes[-columns:]:
        ax.set_xlabel(r"eigenvalue $\sigma^2$ of the inputs")
    for ax in axes[::columns]:
        ax.set_ylabel(r"$f(\sigma)$")
    axes[0].legend(frameon=False, fontsize="small")
    return figure
