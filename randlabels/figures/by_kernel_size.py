"""Misalignment at the end of training against kernel size."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from randlabels.figures import style

_LABELS: dict[str, str | None] = {
    "floor": "as many isotropic filters, 95%",
    "random": "random bases, all of them",
    "data": "eigenvectors of the data",
}

OfSize = tuple[np.ndarray, np.ndarray, np.ndarray | None]


def plot(panels: Mapping[str, Mapping[int, OfSize]]) -> Figure:
    """One panel for each way of counting.

    Args:
        panels: {title: {kernel size: (misalignments to the data basis [group], to random bases
            [any number], of isotropic filters [sample] or None)}}.

    Returns:
        A figure: points are groups, bars the range of random bases and 95% of isotropic samples.
    """
    figure = style.new_figure(width=4.2 * len(panels), height=3.4)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for ax, (title, of_title) in zip(axes, panels.items(), strict=True):
        for i, (data, random, floor) in enumerate(of_title.values()):
            labels = _LABELS if i == 0 else dict.fromkeys(_LABELS)
            if floor is not None:
                within = np.quantile(floor, [0.025, 0.975])
                _bar(ax, i, 0.7, within, style.GREY, labels["floor"])
            _bar(ax, i, 0.3, (random.min(), random.max()), style.RED, labels["random"])
            at = i + np.linspace(-0.1, 0.1, len(data))
            ax.plot(at, data, "o", color=style.BLUE, ms=5, alpha=0.7, label=labels["data"])
        ax.set_xticks(range(len(of_title)), [f"{size}x{size}" for size in of_title])
        ax.set(title=title, xlabel="kernel (rows x columns of pixels)")
        ax.axhline(0, color=style.BLACK, lw=0.6)
        ax.set_ylabel(style.MISALIGNMENT)
        style.tidy(ax)
    axes[0].legend(frameon=False, fontsize="small", loc="upper left")
    return figure


def _bar(
    ax: Axes,
    at: float,
    width: float,
    limits: Sequence[float] | np.ndarray,
    colour: str,
    label: str | None,
) -> None:
    low, high = limits
    ax.bar(at, high - low, width, low, color=colour, alpha=0.35, label=label)
