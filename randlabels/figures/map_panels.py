"""Eigenvalue maps f of several settings side by side, at the start and at the end of training."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import joined_maps, style

COLUMNS = 4

# Eigenvalues [d], f of single networks [network, d] at the start and at the end.
Maps = tuple[np.ndarray, np.ndarray, np.ndarray]


def plot(panels: Mapping[str, Maps]) -> Figure:
    """One panel for each setting.

    Args:
        panels: {title: (eigenvalues of the layer's inputs, f at the start, f at the end)}.

    Returns:
        A figure with the same axes in all panels: networks pooled as `joined_maps` draws them.
    """
    figure, axes, columns = style.panel_grid(
        len(panels), COLUMNS, width=3.3, height=2.8, share="all"
    )
    for ax, (title, (values, start, end)) in zip(axes, panels.items(), strict=True):
        for maps, colour, label in (
            (start, style.GREY, "at initialisation"),
            (end, style.BLUE, "at the end"),
        ):
            joined_maps.draw(ax, values, joined_maps.pool(maps), maps, colour, label)
        ax.set(title=title, xscale="log")
        style.tidy(ax)
    for ax in axes[-columns:]:
        ax.tick_params(labelbottom=True)  # also above an empty place
    figure.supxlabel(style.EIGENVALUE, fontsize="medium")
    figure.supylabel(style.DEVIATION, fontsize="medium")
    axes[0].set_ylim(bottom=0)  # after all panels: they share the axis
    axes[0].legend(frameon=False, fontsize="small")
    return figure
