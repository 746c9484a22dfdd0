"""The eigenvalue map f: variance of the weights against variance of the data (Figures 4, 20)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import style
from randlabels.figures.groups import by_group, pooled, single

Records = Sequence[dict[str, Any]]


def plot(records: Records) -> Figure:
    """One panel for each group of networks of one layer, one curve for each checkpoint.

    The horizontal axis holds eigenvalues sigma^2 of the covariance of the layer's inputs. The
    paper's axis is labelled sigma and holds sigma^2 too: it ends where the largest eigenvalue of
    standardised CIFAR-10 patches is.

    Args:
        records: of one layer, from alignment.json.

    Returns:
        A figure: thick lines are pooled networks, bands go from the lowest to the highest network.
    """
    groups = by_group(records)
    figure = style.new_figure(width=5.4 * len(groups), height=3.8)
    axes = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
    for ax, (title, of_group) in zip(axes, groups.items(), strict=True):
        together = pooled(of_group)
        apart = single(of_group).values()
        colours = style.epoch_colours(len(together))
        for i, (record, colour) in enumerate(zip(together, colours, strict=True)):
            taus = np.array([of_network[i]["tau"] for of_network in apart])
            values = record["eigenvalues"]
            ax.fill_between(values, taus.min(0), taus.max(0), color=colour, alpha=0.15, lw=0)
            label = style.epoch_label(record["epoch"])
            ax.plot(values, record["tau"], "o-", color=colour, lw=1.8, ms=3, label=label)
        ax.set(title=title, xscale="log", xlabel=r"eigenvalue $\sigma^2$ of the layer's inputs")
        ax.set_ylim(bottom=0)
        style.tidy(ax)
    axes[0].set_ylabel(r"$\tau = f(\sigma)$ of the weights")
    axes[-1].legend(frameon=False, fontsize="small")
    return figure
