"""Misalignment of what was learned to the data's eigenvectors, and to bases that are not."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from randlabels.analysis.controlled import ControlledAlignment
from randlabels.figures import style

DATA, RANDOM, EXACT = "eigenvectors of the data", "random bases", "exactly aligned (sign flips)"

CAPTION = (
    "Misalignment of the first layer to the eigenvectors of the data (blue) and to control bases "
    "(orange; hollow ones are symmetries of the data and do not count), a point for each network "
    "or group. Grey: exactly aligned filters of the same norms, by sign flips, 95% of samples. "
    "Red: random bases, all of them."
)

# Height of a row over which the points of its groups are spread.
_SPREAD = 0.5


def plot(panels: Mapping[str, ControlledAlignment]) -> Figure:
    """One panel for each title, a row for each basis, a point for each group of networks.

    Args:
        panels: {title: misalignments of the groups}; groups without any are not drawn.

    Returns:
        A figure. Points of a group stand at the same height in every row. Of random bases and of
        exact alignment the point is the mean, and the line holds all bases, or 95% of the samples.
        Bases of hollow grey points are no controls: the inputs look the same in both.
    """
    names = list(dict.fromkeys(name for of in panels.values() for name in of.controls))
    labels = [EXACT, DATA, *names, RANDOM]
    height = 1.2 + 0.32 * len(labels)
    figure = style.new_figure(width=3.0 + 3.8 * len(panels), height=height)
    axes = figure.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
    places = dict(zip(labels, np.arange(len(labels))[::-1], strict=True))
    for ax, (title, of) in zip(axes, panels.items(), strict=True):
        _draw(ax, of, places)
        ax.set(title=title, xlabel=style.MISALIGNMENT, xscale="log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter("")
        ax.tick_params(axis="x", labelsize="small")
        ax.set_yticks(list(places.values()), list(places))
        ax.set_ylim(-0.6, len(labels) - 0.4)
        style.tidy(ax)
    return figure


def _draw(ax: Axes, of: ControlledAlignment, places: Mapping[str, int]) -> None:
    known = np.isfinite(of.data)
    offsets = np.linspace(_SPREAD / 2, -_SPREAD / 2, known.sum()) if known.sum() > 1 else [0.0]
    for values, name, colour, share in (
        (of.null, EXACT, style.GREY, 0.95),
        (of.random, RANDOM, style.RED, 1.0),
    ):
        limits = np.quantile(values[known], [(1 - share) / 2, (1 + share) / 2], axis=1)
        heights = places[name] + np.asarray(offsets)
        ax.hlines(heights, *limits, color=colour, alpha=0.4, lw=2)
        ax.plot(values[known].mean(axis=1), heights, "o", color=colour, ms=4, label=name)
    for name, values in {DATA: of.data, **of.controls}.items():
        colour = style.BLUE if name == DATA else style.ORANGE
        filled = name not in of.symmetries
        ax.plot(
            values[known],
            places[name] + np.asarray(offsets),
            "o",
            color=colour if filled else style.GREY,
            fillstyle="full" if filled else "none",
            ms=4,
            label=name,
        )
