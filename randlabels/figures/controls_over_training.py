"""Misalignment of what was learned, w_t - w_0, during training, to the data and to controls."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from randlabels.analysis.controlled import ControlledAlignment
from randlabels.figures import style

DATA = "eigenvectors of the data"
NEAREST = "nearest control basis at the end"
OTHERS = "other control bases"
RANDOM = "random bases, all of them"
EXACT = "exactly aligned (sign flips), 95%"

LEGEND_WIDTH = 6.6  # in inches

CAPTION = (
    "Misalignment of what the first layer has learned, w_t - w_0, all networks pooled, during "
    "training: to the eigenvectors of the data (blue), to each control basis that is no symmetry "
    "of the data (orange, the nearest dashed) and to random bases (red, all of them). Grey: "
    "exactly aligned filters of the same norms, by sign flips, 95% of samples."
)

Checkpoints = Mapping[float, ControlledAlignment]


def plot(panels: Mapping[str, Checkpoints]) -> Figure:
    """One panel for each kind of labels, on the same logarithmic axis.

    Args:
        panels: {title: {epoch: misalignments of one group}}; a checkpoint at which what was
            learned has no misalignment is not drawn.
    """
    figure = style.new_figure(width=max(4.4 * len(panels) + 0.6, LEGEND_WIDTH), height=4.6)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, (title, checkpoints) in zip(axes, panels.items(), strict=True):
        known = {at: of for at, of in checkpoints.items() if np.isfinite(of.data[0])}
        nearest = _nearest(known[max(known)]) if known else ""
        if known:
            _draw(ax, list(known), list(known.values()), nearest)
        ax.set_title(f"{title}\nnearest control: {nearest or 'none'}", fontsize="medium")
        ax.set_xlabel(style.EPOCHS)
        style.tidy(ax)
    axes[0].set(yscale="log", ylabel=f"{style.MISALIGNMENT}\nof what was learned, $w_t - w_0$")
    axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes[0].yaxis.set_major_formatter("{x:g}")
    axes[0].yaxis.set_minor_formatter("")
    style.legend_below(figure, style.legend_of_all(axes), ncols=2)
    return figure


def _counted(of: ControlledAlignment) -> dict[str, float]:
    """Misalignment to each control that is no symmetry of the data."""
    return {k: float(v[0]) for k, v in of.controls.items() if k not in of.symmetries}


def _nearest(of: ControlledAlignment) -> str:
    """The control to which misalignment is least, "" if there is none."""
    counted = _counted(of)
    return min(counted, key=lambda name: counted[name], default="")


def _draw(
    ax: Axes, epochs: Sequence[float], found: Sequence[ControlledAlignment], nearest: str
) -> None:
    null = np.array([np.quantile(of.null[0], [0.025, 0.975]) for of in found]).T
    ax.fill_between(epochs, *null, color=style.GREY, alpha=0.3, lw=0, label=EXACT)
    random = np.array([of.random[0] for of in found])
    low, high = random.min(1), random.max(1)
    ax.fill_between(epochs, low, high, facecolor=(style.RED, 0.4), lw=0, label=RANDOM)
    for name in _counted(found[-1]):
        values = [of.controls[name][0] for of in found]
        dashes, width = ("--", 2.0) if name == nearest else ("-", 0.8)
        label = NEAREST if name == nearest else OTHERS
        ax.plot(epochs, values, dashes, color=style.ORANGE, lw=width, label=label)
    ax.plot(epochs, [of.data[0] for of in found], "o-", color=style.BLUE, lw=2.2, ms=4, label=DATA)
