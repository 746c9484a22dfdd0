"""Train accuracy against steps for the arms of a transfer (the paper's Figures 1 and 5)."""

import dataclasses
import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from randlabels.figures import style

COLUMNS = 3
TITLE_WIDTH = 44  # letters on a line
LINE_HEIGHT = 0.065  # of a line of numbers, of the panel's

Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Level:
    """A train accuracy, and how soon each arm is there.

    Attributes:
        accuracy: 0 to 1.
        steps: {arm: steps to it [seed], infinite where it is never reached}.
        speed_ups: {arm: (steps from scratch over the arm's, 95% interval)}; None if unknown.
    """

    accuracy: float
    steps: Mapping[str, np.ndarray]
    speed_ups: Mapping[str, tuple[float | None, tuple[float, float] | None]]


def plot(
    panels: Mapping[str, Curves],
    ylabel: str = style.ACCURACY,
    levels: Mapping[str, Level] | None = None,
) -> Figure:
    """One panel for each downstream task, one curve for each arm.

    Args:
        panels: {title: {arm: (steps [evaluation], values [seed, evaluation])}}.
        ylabel: what the values are.
        levels: {title: level to draw}; None for no levels.

    Returns:
        A figure: thick lines are means over seeds, bands go from the lowest to the highest seed.
    """
    one = len(panels) == 1  # the legend below it is wider
    figure, axes, columns = style.panel_grid(
        len(panels), COLUMNS, width=4.6, height=3.5, legend_width=2.0 * one
    )
    for ax, (title, curves) in zip(axes, panels.items(), strict=True):
        for arm, (steps, values) in curves.items():
            colour = style.arm_colour(arm)
            low, high = values.min(axis=0), values.max(axis=0)
            ax.fill_between(steps, low, high, color=colour, alpha=0.18, lw=0)
            ax.plot(steps, values.mean(axis=0), **style.arm_line(arm), label=style.arm_label(arm))
        ax.set(
            title=textwrap.fill(title, TITLE_WIDTH),
            xlabel=style.STEPS,
            xlim=(0, max(c[0][-1] for c in curves.values())),
        )
        if levels:
            _draw_level(ax, levels[title])
        style.tidy(ax)
    for ax in axes[::columns]:
        ax.set_ylabel(ylabel)
    shown = style.legend_of_all(axes)  # not all panels have the same arms
    lines = -(-len(shown) // (2 * columns))
    style.legend_below(figure, shown, ncols=-(-len(shown) // lines))
    return figure


def _draw_level(ax: Axes, level: Level) -> None:
    """The level, where arms reach it, and their speed-ups in words of their colours.

    Dots are geometric means over seeds, so that ratios of their steps are the speed-ups.
    """
    ax.set_ylim(bottom=0)
    ax.axhline(level.accuracy, color=style.GREY, linestyle=":", lw=1)
    for arm, steps in level.steps.items():
        if np.isfinite(steps).all() and (steps > 0).all():
            at = np.exp(np.log(steps).mean())
            colour = style.arm_colour(arm)
            ax.vlines(at, 0, level.accuracy, color=colour, linestyle=":", lw=1)
            ax.plot(at, level.accuracy, "o", color=colour, mec="white", ms=7, zorder=3)
    lines = [(f"scratch's steps to {level.accuracy:.0%} over those of", style.GREY)]
    for arm, (value, interval) in level.speed_ups.items():
        ratio = _speed_up(value, interval)
        lines.append((f"{style.arm_label(arm)}: {ratio}", style.arm_colour(arm)))
    for row, (text, colour) in enumerate(reversed(lines)):
        place = (0.985, 0.03 + LINE_HEIGHT * row)
        words = ax.text(*place, text, color=colour, ha="right", fontsize="small")
        words.set(transform=ax.transAxes, bbox={"facecolor": (1, 1, 1, 0.7), "lw": 0, "pad": 1})


def _speed_up(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return "not known"
    return f"{value:.2f}" + ("" if interval is None else " [{:.2f}, {:.2f}]".format(*interval))
