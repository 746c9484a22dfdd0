"""The eigenvalue map f: variance of the weights against variance of the data (Figures 4, 20)."""

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import joined_maps, style
from randlabels.figures.groups import Records, by_group, pooled, single

CURVES = 6


def plot(records: Records) -> Figure:
    """One panel for each group of networks of one layer, one curve for each of six checkpoints.

    The horizontal axis holds eigenvalues sigma^2 of the covariance of the layer's inputs. The
    paper's axis is labelled sigma and holds sigma^2 too: it ends where the largest eigenvalue of
    standardised CIFAR-10 patches is.

    Args:
        records: of one layer, from alignment.json.

    Returns:
        A figure with the same axes in all panels: pooled networks as `joined_maps` draws them. Of
        more than six checkpoints, the first, the last and four evenly between are drawn.
    """
    groups = by_group(records)
    figure = style.new_figure(width=4.2 * len(groups) + 1.8, height=3.8)
    axes = figure.subplots(1, len(groups), squeeze=False, sharex=True, sharey=True)[0]
    for ax, (title, of_group) in zip(axes, groups.items(), strict=True):
        together = pooled(of_group)
        shown = np.unique(np.linspace(0, len(together) - 1, CURVES).round().astype(int))
        for i, colour in zip(shown, style.epoch_colours(len(shown)), strict=True):
            record = together[i]
            taus = np.array([of_network[i].tau for of_network in single(of_group).values()])
            label = style.epoch_label(record.epoch)
            joined_maps.draw(ax, record.eigenvalues, record.tau, taus, colour, label)
        ax.set(title=title, xscale="log", xlabel=style.EIGENVALUE)
        style.tidy(ax)
    axes[0].set_ylim(bottom=0)  # after all panels: they share the axis
    axes[0].set_ylabel(style.DEVIATION)
    axes[-1].legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
