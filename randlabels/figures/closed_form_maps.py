"""Eigenvalue maps beside the closed form fitted to them, and their peaks (paper, Figure 4)."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from randlabels.eigen.closed_form import ClosedFormFit, closed_form_limit
from randlabels.figures import style


@dataclasses.dataclass(frozen=True)
class FittedMap:
    """The eigenvalue map of one checkpoint, by descending eigenvalue, with its fit."""

    step: int
    eigenvalues: np.ndarray  # of Sigma_x [d]
    single: np.ndarray  # f of each network [network, d]
    pooled: np.ndarray  # f of all networks [d]
    fit: ClosedFormFit  # of the pooled map

    @property
    def measured_peak(self) -> float:
        """Eigenvalue at which the pooled map is largest."""
        return float(self.eigenvalues[self.pooled.argmax()])

    @property
    def single_peaks(self) -> np.ndarray:
        """Eigenvalue at which each network's own map is largest [network]."""
        return self.eigenvalues[self.single.argmax(1)]

    @property
    def fitted_peak(self) -> float:
        """Eigenvalue at which the closed form is largest."""
        return self.fit.peak_sigma**2


Starts = Mapping[str, tuple[np.ndarray, np.ndarray]]


def plot_maps(panels: Mapping[str, Mapping[int, FittedMap]], starts: Starts) -> Figure:
    """One panel for each label kind, one curve for each epoch.

    Args:
        panels: {title: {epoch: map}}.
        starts: {title: (eigenvalues [d], f at initialisation [d])}.

    Returns:
        A figure: pooled maps (solid), ranges over networks (bands), fits (dashed), start (dotted).
    """
    figure = style.new_figure(width=4.6 * len(panels), height=3.8)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, (title, maps) in zip(axes, panels.items(), strict=True):
        ax.plot(*starts[title], ":", color=style.GREY, label=style.epoch_label(0))
        for (epoch, of_epoch), colour in zip(
            maps.items(), style.epoch_colours(len(maps)), strict=True
        ):
            _draw_map(ax, of_epoch, colour, style.epoch_label(epoch))
        ax.set(title=title, xscale="log", xlabel=r"eigenvalue $\sigma^2$ of the data's patches")
        ax.set_ylim(bottom=0)
        style.tidy(ax)
    axes[0].set_ylabel(r"$f(\sigma)$")
    axes[-1].legend(frameon=False, fontsize="small")
    return figure


def _draw_map(ax: Axes, drawn: FittedMap, colour: np.ndarray, label: str) -> None:
    values, single = drawn.eigenvalues, drawn.single
    ax.fill_between(values, single.min(0), single.max(0), color=colour, alpha=0.13, lw=0)
    ax.plot(values, drawn.pooled, "o-", color=colour, lw=1.8, ms=3, label=label)
    grid = np.geomspace(values.min(), values.max(), 200)
    fitted = drawn.fit.amplitude * closed_form_limit(np.sqrt(grid), drawn.fit.eta_t)
    ax.plot(grid, fitted, "--", color=colour, lw=1)


def plot_peaks(panels: Mapping[str, Mapping[int, FittedMap]]) -> Figure:
    """One panel for each label kind: the eigenvalue at the peak against steps, on log axes.

    Args:
        panels: {title: {epoch: map}}.

    Returns:
        A figure: measured peaks with the range of single networks, fitted peaks, and a line in
        inverse proportion to the steps through the first fitted peak.
    """
    figure = style.new_figure(width=4.2 * len(panels), height=3.4)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, (title, maps) in zip(axes, panels.items(), strict=True):
        steps = np.array([m.step for m in maps.values()])
        fitted = np.array([m.fitted_peak for m in maps.values()])
        measured = [m.measured_peak for m in maps.values()]
        low, high = np.transpose(
            [[m.single_peaks.min(), m.single_peaks.max()] for m in maps.values()]
        )
        linear = fitted[0] * steps[0] / steps
        ax.plot(steps, linear, "--", color=style.GREY, label="linear: 1 / steps")
        ax.vlines(steps, low, high, color=style.BLUE, alpha=0.5)
        ax.plot(steps, measured, "o-", color=style.BLUE, label="measured")
        ax.plot(steps, fitted, "s-", color=style.RED, ms=4, label="fitted")
        ax.set(title=title, xscale="log", yscale="log", xlabel="steps")
        ax.minorticks_off()
        ax.set_xticks(steps, [f"{step:,}" for step in steps])
        style.tidy(ax)
    axes[0].set_ylabel(r"eigenvalue $\sigma^2$ at the peak of $f$")
    axes[-1].legend(frameon=False, fontsize="small")
    return figure
