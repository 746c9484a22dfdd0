"""Misalignment of a layer's weights with its inputs during training (the paper's Figure 2)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from randlabels.figures import style
from randlabels.figures.groups import Records, by_group, pooled, single

DATA = "eigenvectors of the data"
RANDOM = "random bases, all of them"
FLOOR = "as many isotropic filters, 95%"
INTERVAL = "infinitely many networks, 95% by bootstrap"


def plot(records: Records) -> Figure:
    """A row for each group of networks of one layer: all pooled, and beside it single ones.

    They have panels of their own, since fewer filters have a higher floor: single networks lie
    above pooled random bases for that alone.

    Args:
        records: of one layer, from alignment.json. Where a misalignment is None it is not drawn.

    Returns:
        A figure with the same axes, epochs and nats, in all panels. Blue lines: filters against the
        data's eigenvectors; blue band: the 95% bootstrap interval for infinitely many networks,
        which lies lower, by the floor, and goes to the bottom where it holds 0. Red and grey bands:
        the same filters (all single networks) against random bases, all of them, and as many
        isotropic filters, 95% of them.
    """
    groups = by_group(records)
    columns = 1 + any(_known(of_group) for of_group in groups.values())
    figure = style.new_figure(width=4.0 * columns + 0.4, height=3.6 * len(groups) + 0.5)
    rows = figure.subplots(len(groups), columns, squeeze=False, sharex=True, sharey=True)
    bottom = _bottom(records)
    for row, (title, of_group) in zip(rows, groups.items(), strict=True):
        _draw_pooled(row[0], pooled(of_group), bottom, title)
        row[0].set_ylabel(style.MISALIGNMENT)
        if columns > 1:
            _draw_single(row[1], _known(of_group), title)
    for ax in rows[-1]:
        ax.set_xlabel(style.EPOCHS)
    for ax in rows.flat:
        style.tidy(ax)
    _logarithmic(rows[0, 0], bottom)
    style.legend_below(figure, style.legend_of_all(rows.flat), ncols=columns)
    return figure


def _known(records: Records) -> list[Records]:
    """Records with a misalignment of each of several single networks."""
    apart: list[Records] = [[r for r in of if not r.singular] for of in single(records).values()]
    return [of for of in apart if of] if len(apart) > 1 else []


def _logarithmic(ax: Axes, bottom: float) -> None:
    ax.set_yscale("log")
    ax.set_ylim(bottom=bottom)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter("")


def _bottom(records: Records) -> float:
    """Half the least value that is drawn, of the logarithmic axis."""
    drawn = [record.misalignments for record in records if not record.singular]
    values = [min(m.data, float(np.quantile(m.floor, 0.025))) for m in drawn]
    return max(0.5 * min(values, default=1), 1e-4)


def _title(group: str, words: str) -> str:
    return "\n".join(filter(None, [group, words]))


def _draw_pooled(ax: Axes, records: Records, bottom: float, group: str) -> None:
    networks, filters = len(records[0].networks), records[0].num_filters
    ax.set_title(_title(group, f"{networks} networks pooled, {filters} filters"), fontsize="medium")
    together = [record for record in records if not record.singular]
    _draw_nulls(ax, [[record] for record in together])
    resampled = [record for record in together if record.interval is not None]
    if resampled:
        interval = np.array([record.interval for record in resampled]).clip(bottom)
        _band(ax, [record.epoch for record in resampled], interval.T, style.BLUE, INTERVAL)
    values = np.array([record.misalignment_data for record in together]).clip(bottom)
    epochs = [record.epoch for record in together]
    ax.plot(epochs, values, "o-", color=style.BLUE, lw=2.2, ms=4, label=DATA)


def _draw_single(ax: Axes, networks: Sequence[Records], group: str) -> None:
    if not networks:
        ax.set_axis_off()
        return
    filters = networks[0][0].num_filters
    words = f"each of {len(networks)} single networks, {filters} filters"
    ax.set_title(_title(group, words), fontsize="medium")
    epochs = sorted({record.epoch for of in networks for record in of})
    _draw_nulls(ax, [[r for of in networks for r in of if r.epoch == at] for at in epochs])
    for of in networks:
        points = [(record.epoch, record.misalignment_data) for record in of]
        ax.plot(*zip(*points, strict=True), color=style.BLUE, lw=0.8, label=DATA)


def _draw_nulls(ax: Axes, checkpoints: Sequence[Records]) -> None:
    """Random bases and isotropic filters of the records of each checkpoint."""
    if not checkpoints:
        return
    epochs = [records[0].epoch for records in checkpoints]
    found = [[record.misalignments for record in records] for records in checkpoints]
    random = [np.concatenate([m.random for m in of]) for of in found]
    _band(ax, epochs, ([r.min() for r in random], [r.max() for r in random]), style.RED, RANDOM)
    floor = [np.quantile(np.concatenate([m.floor for m in of]), [0.025, 0.975]) for of in found]
    _band(ax, epochs, np.transpose(floor), style.GREY, FLOOR, style.GREY)


def _band(
    ax: Axes,
    epochs: Sequence[float],
    limits: Sequence[Sequence[float]] | np.ndarray,
    colour: str,
    label: str,
    edge: str = "none",
) -> None:
    low, high = limits
    ax.fill_between(
        epochs, low, high, facecolor=(colour, 0.3), edgecolor=edge, linestyle="--", label=label
    )
