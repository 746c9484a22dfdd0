"""Eigenvalue maps during training, closed forms fitted to them, and their peaks (Figure 4)."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from randlabels.eigen import ClosedFormFit, closed_form_limit, fit_closed_form
from randlabels.figures import joined_maps, style
from randlabels.figures.joined_maps import pool


@dataclasses.dataclass(frozen=True)
class CheckpointMap:
    """An eigenvalue map of several networks at one checkpoint, by descending eigenvalue."""

    step: int
    eigenvalues: np.ndarray  # of Sigma_x [d]
    single: np.ndarray  # of each network [network, d], of equally many filters

    @property
    def pooled(self) -> np.ndarray:
        """The map of all networks' filters together [d]."""
        return pool(self.single)

    @property
    def peak(self) -> float:
        """Eigenvalue at which the pooled map is largest."""
        return float(self.eigenvalues[self.pooled.argmax()])

    @functools.cached_property
    def fit(self) -> ClosedFormFit:
        """The closed form fitted to the pooled map."""
        return fit_closed_form(np.sqrt(self.eigenvalues), self.pooled)

    @functools.cached_property
    def single_fits(self) -> list[ClosedFormFit]:
        """The closed form fitted to each network's map."""
        return [fit_closed_form(np.sqrt(self.eigenvalues), one) for one in self.single]


def plot_maps(
    panels: Mapping[str, Mapping[int, CheckpointMap]], ylabel: str, fitted: bool = False
) -> Figure:
    """One panel for each label kind, one curve for each epoch.

    Args:
        panels: {title: {epoch: map}}.
        ylabel: what the maps are.
        fitted: whether to draw the closed form.

    Returns:
        A figure: pooled maps as `joined_maps` draws them, closed forms (dashed); the same axes in
        all panels.
    """
    figure = style.new_figure(width=4.6 * len(panels), height=3.8)
    axes = figure.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
    for ax, (title, maps) in zip(axes, panels.items(), strict=True):
        colours = style.epoch_colours(len(maps))
        for (epoch, drawn), colour in zip(maps.items(), colours, strict=True):
            _draw_map(ax, drawn, colour, style.epoch_label(epoch), fitted)
        ax.set(title=title, xscale="log", xlabel=style.EIGENVALUE)
        style.tidy(ax)
    if fitted:
        axes[0].plot([], [], "--", color=style.GREY, lw=1, label="closed form, fitted to each")
    axes[0].set_ylim(bottom=0)  # after all panels: they share the axis
    axes[0].set_ylabel(ylabel)
    axes[0].legend(frameon=False, fontsize="small", loc="upper left")
    return figure


def _draw_map(ax: Axes, drawn: CheckpointMap, colour: np.ndarray, label: str, fitted: bool) -> None:
    joined_maps.draw(ax, drawn.eigenvalues, drawn.pooled, drawn.single, colour, label)
    if fitted:
        grid = np.geomspace(drawn.eigenvalues.min(), drawn.eigenvalues.max(), 200)
        curve = drawn.fit.amplitude * closed_form_limit(np.sqrt(grid), drawn.fit.eta_t)
        ax.plot(grid, curve, "--", color=colour, lw=1)


def plot_peaks(panels: Mapping[str, Sequence[CheckpointMap]]) -> Figure:
    """One panel for each label kind: the eigenvalue at the peak against steps, on log axes.

    Args:
        panels: {title: maps by step}.

    Returns:
        A figure: peaks of the fits with the range over single networks, the eigenvalue at which the
        pooled map is largest, and a line in inverse proportion to the steps from the first fit on.
    """
    figure = style.new_figure(width=4.2 * len(panels), height=3.5)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, (title, maps) in zip(axes, panels.items(), strict=True):
        steps = np.array([m.step for m in maps])
        single = np.array([[fit.peak_sigma**2 for fit in m.single_fits] for m in maps])
        pooled = np.array([m.fit.peak_sigma**2 for m in maps])
        linear = pooled[0] * steps[0] / steps
        ax.plot(steps, linear, "--", color=style.GREY, label="linear network: 1 / steps")
        ax.fill_between(steps, single.min(1), single.max(1), color=style.RED, alpha=0.2, lw=0)
        ax.plot(steps, pooled, "s-", color=style.RED, ms=4, label="closed form, fitted")
        ax.plot(steps, [m.peak for m in maps], "o", color=style.BLUE, label="largest value")
        ax.set(title=title, xscale="log", yscale="log", xlabel=style.STEPS)
        ax.xaxis.set_minor_formatter("")
        style.tidy(ax)
    axes[0].set_ylabel(r"eigenvalue $\sigma^2$ at the peak (input units$^2$)")
    axes[0].legend(frameon=False, fontsize="small")
    return figure
