"""How an eigenvalue map f is drawn: every value a point, the line through whole eigenspaces.

Eigenvectors of nearly tied eigenvalues are not determined, nor is f along each of them; what is
determined is their root mean square. A line through single values would zigzag between them.
"""

import numpy as np
from matplotlib.axes import Axes

from randlabels.eigen import eigenspaces

# Eigenvalues this close, relative to the larger, are drawn as one eigenspace.
TOLERANCE = 0.1


def pool(maps: np.ndarray, axis: int = 0) -> np.ndarray:
    """The map of several together, their root mean square: tau^2 averages variances.

    Args:
        maps: such as of networks of equally many filters [network, d].
        axis: of what is pooled.
    """
    return np.sqrt(np.square(maps).mean(axis))


def joined(values: np.ndarray, maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean eigenvalue [k], maps [..., k]) of the k eigenspaces.

    Args:
        values: eigenvalues, descending [d].
        maps: f along the eigenvectors [..., d].
    """
    spaces = eigenspaces(values, TOLERANCE)
    members = [np.flatnonzero(spaces == space) for space in np.unique(spaces)]
    at = np.array([values[chosen].mean() for chosen in members])
    return at, np.stack([pool(maps[..., chosen], -1) for chosen in members], axis=-1)


def draw(
    ax: Axes,
    values: np.ndarray,
    pooled: np.ndarray,
    single: np.ndarray,
    colour: str | np.ndarray,
    label: str,
) -> None:
    """Draw a map: points, the line through eigenspaces, and the band of single networks.

    Args:
        ax: the panel.
        values: eigenvalues of the inputs, descending [d].
        pooled: f of all networks together [d].
        single: f of each network [network, d]; the band is their range over eigenspaces.
        colour: of all three.
        label: of the line.
    """
    at, line = joined(values, pooled)
    if len(single):
        _, apart = joined(values, single)
        ax.fill_between(at, apart.min(0), apart.max(0), color=colour, alpha=0.15, lw=0)
    ax.plot(at, line, color=colour, lw=1.8, label=label)
    ax.plot(values, pooled, "o", color=colour, ms=3)
