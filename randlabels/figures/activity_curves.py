"""Sorted activity of the units of each layer, before and after transfer (the paper's Figure 7)."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import style

Curves = Mapping[str, Mapping[str, np.ndarray]]

COLUMNS = 5
# In order of the moments; the third is dashed, since it may lie on the second.
LINES = ((style.GREY, "-"), (style.BLUE, "-"), (style.ORANGE, "--"), (style.RED, "-"))


def sorted_curve(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve of one layer: units from the most to the least active, averaged over networks.

    Args:
        shares: [network, units], such as the share of inputs on which a unit is active.

    Returns:
        (rank [units], mean [units]): rank is the middle of each unit's place, 0 to 1; the mean is
        over networks, of the units of the same place in their own network's order.
    """
    units = shares.shape[-1]
    return (np.arange(units) + 0.5) / units, np.sort(shares, axis=-1)[:, ::-1].mean(axis=0)


def plot(
    moments: Curves,
    ylabel: str = "share of inputs on which active",
    order: str = "from the most to the least active",
    null: float = 0.5,
) -> Figure:
    """One panel for each layer, one curve for each moment.

    Args:
        moments: {moment: {layer: shares [network, units]}}, at most four, the same layers in each,
            in forward order.
        ylabel: what the shares are of.
        order: of the units.
        null: what it would be by chance; one half is the share of inputs on which a unit of a
            random network is active at one position.

    Returns:
        A figure: curves are means over networks; the dotted line is `null`.
    """
    layers = list(next(iter(moments.values())))
    columns = min(COLUMNS, len(layers))
    rows = math.ceil(len(layers) / columns)
    figure = style.new_figure(width=2.3 * columns, height=2.1 * rows + 0.5)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    lines = dict(zip(moments, LINES, strict=False))
    for ax, layer in zip(axes.flat, layers, strict=False):
        for moment, activity in moments.items():
            rank, shares = sorted_curve(activity[layer])
            colour, dashes = lines[moment]
            ax.plot(rank, shares, color=colour, linestyle=dashes, label=moment)
        ax.axhline(null, color=style.GREY, linewidth=0.6, linestyle=":")
        ax.set(title=layer, xlim=(0, 1))
        style.tidy(ax)
    for ax in axes.flat[len(layers) :]:
        ax.set_axis_off()
    figure.supxlabel(f"units, {order} (share of units)")
    figure.supylabel(ylabel)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return figure
