"""Maps of gains over two settings, one panel for each combination of the others."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import style


def plot(
    panels: Mapping[tuple[str, str], np.ndarray],
    rows: tuple[str, Sequence[str]],
    columns: tuple[str, Sequence[str]],
    label: str,
) -> Figure:
    """A grid of maps with one colour scale, blue above 0 and red below.

    Args:
        panels: {(title of the row of panels, title of the column): values [row, column]}.
        rows: what changes down a map, and its values.
        columns: what changes across a map, and its values.
        label: of the values.
    """
    down = list(dict.fromkeys(key[0] for key in panels))
    across = list(dict.fromkeys(key[1] for key in panels))
    figure = style.new_figure(width=2.3 * len(across) + 1.6, height=1.7 * len(down) + 1.1)
    axes = figure.subplots(len(down), len(across), squeeze=False)
    limit = max(float(np.nanmax(np.abs(values))) for values in panels.values())
    for (title, heading), values in panels.items():
        i, j = down.index(title), across.index(heading)
        ax = axes[i, j]
        image = ax.imshow(values, cmap=style.SIGNED, vmin=-limit, vmax=limit, aspect="auto")
        for (r, c), value in np.ndenumerate(values):
            colour = "white" if abs(value) > 0.6 * limit else style.BLACK
            ax.text(c, r, f"{value:+.2f}", ha="center", va="center", fontsize=7, color=colour)
        ax.set_xticks(range(len(columns[1])), columns[1] if i == len(down) - 1 else [])
        ax.set_yticks(range(len(rows[1])), rows[1] if j == 0 else [])
        style.tidy(ax)
        if i == 0:
            ax.set_title(heading, fontsize="small")
        if j == 0:
            ax.set_ylabel(title, fontsize="small")
    figure.supxlabel(columns[0], fontsize="medium")
    figure.supylabel(rows[0], fontsize="medium")
    figure.colorbar(image, ax=axes, label=label)
    return figure
