"""Misalignment at the end of training against kernel size."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import style

OfSize = tuple[np.ndarray, np.ndarray, np.ndarray]


def plot(panels: Mapping[str, Mapping[int, OfSize]]) -> Figure:
    """One panel for each way of counting.

    Args:
        panels: {title: {kernel size: (misalignments to the data basis [group], to random bases
            [any number], of isotropic filters [sample])}}.

    Returns:
        A figure: points are groups, bars the range of random bases and 95% of isotropic samples.
    """
    figure = style.new_figure(width=3.6 * len(panels) + 1.8, height=3.4)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for ax, (title, of_title) in zip(axes, panels.items(), strict=True):
        for i, (data, random, floor) in enumerate(of_title.values()):
            label = lambda text, first=i == 0: text if first else None
            low, high = np.quantile(floor, [0.025, 0.975])
            ax.bar(i, high - low, 0.7, low, color=style.GREY, alpha=0.3, label=label("isotropic"))
            spread = np.ptp(random)
            ax.bar(
                i,
                spread,
                0.3,
                random.min(),
                color=style.RED,
                alpha=0.5,
                label=label("random bases"),
            )
            ax.plot(
                [i] * len(data),
                data,
                "o",
                color=style.BLUE,
                ms=5,
                alpha=0.7,
                label=label("data basis"),
            )
        ax.set_xticks(range(len(of_title)), [f"{size}x{size}" for size in of_title])
        ax.set(title=title, xlabel="kernel")
        ax.axhline(0, color="black", lw=0.6)
        style.tidy(ax)
    axes[0].set_ylabel("misalignment")
    axes[-1].legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
