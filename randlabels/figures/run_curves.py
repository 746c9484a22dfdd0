"""One metric of a run over training, an arm's networks together."""

import numpy as np
from matplotlib.figure import Figure

from randlabels.errors import InputError
from randlabels.figures import style
from randlabels.runs import Run


def _name(metric: str) -> str:
    """A metric with its unit."""
    unit = {"accuracy": " (share of images)", "loss": " (mean over images)"}
    return metric.replace("_", " ") + unit.get(metric.rsplit("_", 1)[-1], "")


def plot(run: Run, metric: str = "train_accuracy") -> Figure:
    """A line for each arm, the mean of its healthy networks, over thin lines of single ones.

    Args:
        run: which run.
        metric: of its metrics, such as train_accuracy, train_loss or test_accuracy.

    Raises:
        InputError: if the run has no such metric, or was not evaluated yet.
    """
    known = sorted({k for r in run.metrics for k, v in r.items() if np.ndim(v) == 1})
    if metric not in known:
        what = f"may be {', '.join(known)}" if known else "is not there yet"
        raise InputError(f"the metric {metric!r} {what}.")
    records = [record for record in run.metrics if metric in record]
    epochs = [record["epoch"] for record in records]
    values = np.array([record[metric] for record in records], float)  # [evaluation, network]
    figure = style.new_figure(width=5.4, height=3.6)
    ax = figure.subplots()
    for arm in dict.fromkeys(row.arm for row in run.networks):
        own = [row.network for row in run.networks if row.arm == arm and row.healthy]
        if not own:
            continue
        ax.plot(epochs, values[:, own], color=style.arm_colour(arm), alpha=0.3, lw=0.8)
        ax.plot(epochs, values[:, own].mean(1), **style.arm_line(arm), label=style.arm_label(arm))
    ax.set(xlabel=style.EPOCHS, ylabel=_name(metric))
    ax.legend(frameon=False, fontsize="small")
    style.tidy(ax)
    return figure
