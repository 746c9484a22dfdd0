"""Leading eigenvectors of the data and of the weights as images (the paper's Figure 3)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from randlabels.analysis.records import LayerData
from randlabels.figures import style
from randlabels.figures.groups import Records, by_group, pooled

TILES = 8


def plot(data: LayerData, records: Records) -> Figure:
    """A row of tiles for the data and one for the pooled weights of each group of networks.

    Args:
        data: of the layer.
        records: of the same layer; the last checkpoint is drawn.

    Returns:
        A figure. Each tile is scaled to its own largest entry, grey is zero. Below a tile of the
        weights: the rank of the data's eigenvector that it is most like, and their cosine. The
        order differs where the eigenvalue map falls.

    Raises:
        ValueError: if the filters are not images of 1 or 3 channels, or networks differ in the
            eigenvectors of their inputs.
    """
    shape = data.kernel_shape[:-1]
    if len(shape) != 3 or shape[-1] not in (1, 3):
        raise ValueError(f"filters of shape {shape} are not images.")
    if data.eigenvectors is None or data.eigenvalues is None:
        raise ValueError("the inputs of the layer have eigenvectors of their own in each network.")
    last = {title: pooled(group)[-1] for title, group in by_group(records).items()}
    count = min(TILES, data.eigenvectors.shape[1])
    figure = style.new_figure(width=1.1 * count + 1.4, height=1.45 + 1.75 * len(last))
    axes = figure.subplots(1 + len(last), count, squeeze=False)
    _draw_row(axes[0], data.eigenvectors, data.eigenvalues, shape, "data", r"$\sigma^2$")
    for i, ax in enumerate(axes[0]):
        ax.set_xlabel(f"$v_{{{i + 1}}}$", fontsize="small")
    for row, (title, record) in zip(axes[1:], last.items(), strict=True):
        name = "\n".join(filter(None, ["weights", style.epoch_label(record.epoch), title]))
        vectors, ranks = record.filter_eigenvectors, record.nearest_rank
        cosines = record.nearest_cosine
        assert vectors is not None  # as the layer's are not
        assert ranks is not None
        assert cosines is not None
        _draw_row(row, vectors, record.filter_eigenvalues, shape, name, r"$\tau^2$")
        for ax, rank, cosine in zip(row, ranks, cosines, strict=False):
            ax.set_xlabel(f"$v_{{{rank + 1}}}$: {cosine:.2f}", fontsize="small")
    return figure


def tile(vector: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An eigenvector [d] as an image [kh, kw, channels] in 0 to 1, where zero is 1/2."""
    return (0.5 + 0.5 * vector / np.abs(vector).max()).reshape(shape)


def _draw_row(
    axes: Sequence[Axes],
    vectors: np.ndarray,
    values: np.ndarray,
    shape: tuple[int, ...],
    name: str,
    symbol: str,
) -> None:
    for i, ax in enumerate(axes):
        ax.imshow(tile(vectors[:, i], shape), cmap="gray", vmin=0, vmax=1)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_title(f"{symbol} = {values[i]:.3g}", fontsize="small")
    axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
