"""Labels, colours and sizes that all figures share; colours are told apart by colour-blind eyes."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from randlabels.records import replacement
from randlabels.transfer.registry import ARMS

DPI = 120

# Okabe & Ito's palette without its yellow, which is faint on white; grey is no hue: it is for what
# others are compared with (scratch, chance, nulls).
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, BLACK, GREY = "#CC79A7", "#56B4E9", "#000000", "#666666"

# For series that are not arms.
SERIES = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY, BLACK)

# By the names that the entries of arms use.
PALETTE = {
    "blue": BLUE,
    "orange": ORANGE,
    "green": GREEN,
    "red": RED,
    "purple": PURPLE,
    "sky": SKY,
    "black": BLACK,
    "grey": GREY,
}

# For ordered things, such as checkpoints, dark to light; for values from 0 up; for both signs.
ORDERED = LinearSegmentedColormap.from_list("ordered", [BLACK, BLUE, GREEN, ORANGE])
UPWARDS = LinearSegmentedColormap.from_list("upwards", ["white", SKY, BLUE, BLACK])
SIGNED = LinearSegmentedColormap.from_list("signed", [RED, "white", BLUE])

# What axes show, with its unit.
MISALIGNMENT = "misalignment M (nats)"
ACCURACY = "train accuracy (share of images)"
STEPS = "training steps (batches)"
EPOCHS = "epochs of training"
GAIN = "gain over scratch in mean train accuracy (share of images)"
EIGENVALUE = r"eigenvalue $\sigma^2$ of the layer's inputs (input units$^2$)"
DEVIATION = r"$\tau = f(\sigma)$ of the weights (weight units)"

_COLUMNS = {
    "label_noise": "label noise",
    "init_scale": "initial scale",
    "learning_rate": "learning rate",
    "weight_decay": "weight decay",
}


def arm_label(arm: str) -> str:
    """An arm's name for people."""
    return ARMS[arm].label


def arm_colour(arm: str) -> str:
    """An arm's colour, the same in every figure."""
    return PALETTE[ARMS[arm].colour]


def arm_line(arm: str) -> dict[str, Any]:
    """Colour and dashes of an arm's line; arms of one colour are variants of one another."""
    return {"color": arm_colour(arm), "linestyle": ARMS[arm].line}


def group_titles(groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """A title for each group of networks: what tells it apart from the others, "" for one alone.

    Of several arms, the arm and what differs within it: each has layers and a source of its own.
    """
    titles = []
    for group in groups:
        of_arm = [other for other in groups if other.get("arm") == group.get("arm")]
        told = [name for name in group if any(other[name] != group[name] for other in of_arm)]
        arm = ["arm"] if len(of_arm) < len(groups) else []
        titles.append(", ".join(_describe(name, group[name]) for name in arm + told))
    return titles


def _describe(name: str, value: Any) -> str:
    if name == "arm":
        return arm_label(value)
    if isinstance(value, list):
        value = " ".join(value)
    shown = f"{value:g}" if isinstance(value, float) else f"{value}"
    return f"{_COLUMNS.get(name, name)} {shown}"


def epoch_label(epoch: float) -> str:
    """ "at initialisation" or "epoch 5"."""
    return "at initialisation" if epoch == 0 else f"epoch {epoch:g}"


def epoch_colours(count: int) -> np.ndarray:
    """Colours [count, 4] for successive checkpoints, from dark to light."""
    return ORDERED(np.linspace(0, 1, count))


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of this size in inches, drawn without a display."""
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def panel_grid(
    count: int,
    most: int,
    width: float,
    height: float,
    legend_width: float = 0.0,
    share: Literal["none", "col", "all"] = "none",
) -> tuple[Figure, list[Axes], int]:
    """A figure of panels in rows of equal length, its panels row by row, and the number in a row.

    Args:
        count: of panels; places that are left over in the last row stay empty.
        most: panels in a row.
        width: of a panel, in inches.
        height: of a panel, in inches.
        legend_width: of what stands beside the panels, in inches.
        share: which panels have the same limits on both axes; those of a column, or all.
    """
    rows = -(-count // most)
    columns = -(-count // rows)
    figure = new_figure(width=width * columns + legend_width, height=height * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share)
    axes = list(grid.ravel())
    for ax in axes[count:]:
        ax.set_axis_off()
    return figure, axes[:count], columns


def tidy(ax: Axes) -> None:
    """Take away the lines above and on the right of a panel."""
    ax.spines[["top", "right"]].set_visible(False)


def legend_of_all(axes: Iterable[Axes]) -> dict[str, Artist]:
    """{label: its artist} of what any of the panels shows, for one legend."""
    shown: dict[str, Artist] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            shown.setdefault(label, handle)
    return shown


def legend_below(figure: Figure, shown: Mapping[str, Artist], ncols: int) -> None:
    """One legend for all panels of a figure, of what `legend_of_all` found."""
    handles, labels = list(shown.values()), list(shown)
    figure.legend(handles, labels, loc="outside lower center", ncols=ncols, frameon=False)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG as a whole or not at all."""
    with replacement(path) as temporary:
        figure.savefig(temporary, format="png")
