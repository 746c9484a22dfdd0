"""Leading eigenvectors of the data and of the weights as images (the paper's Figure 3)."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from randlabels.analysis.records import AlignmentRecord, LayerData
from randlabels.figures import style
from randlabels.figures.groups import Records, by_group, pooled

TILES = 8
CHANCE_SAMPLES = 2000

# Of rows of the figure, relative: tiles with their words, and the map of cosines.
_TILE_HEIGHT, _MAP_HEIGHT = 1.0, 1.3


def plot(data: LayerData, records: Records) -> Figure:
    """Tiles of the data; then, for each group of networks, of the weights with their matches.

    Args:
        data: of the layer.
        records: of the same layer; the last checkpoint is drawn.

    Returns:
        A figure. Each tile is scaled to its own largest entry, grey is zero. Below a tile of the
        weights: the data's eigenvector that it is most like, its rank, and their |cosine|. The
        order differs where the eigenvalue map falls. Below them a map of all |cosines|, with a ring
        at each match, and how large that of a random direction with its match is by chance.

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
    heights = [_TILE_HEIGHT, *[_TILE_HEIGHT, _TILE_HEIGHT, _MAP_HEIGHT] * len(last)]
    figure = style.new_figure(width=1.1 * count + 1.8, height=1.5 * sum(heights))
    grid = figure.add_gridspec(len(heights), count, height_ratios=heights)
    first = [figure.add_subplot(grid[0, i]) for i in range(count)]
    titles = [rf"$\sigma^2$ = {value:.3g}" for value in data.eigenvalues[:count]]
    below = [f"$v_{{{i + 1}}}$" for i in range(count)]
    _draw_row(first, list(data.eigenvectors.T[:count]), shape, "data", titles, below)
    for number, (title, record) in enumerate(last.items()):
        at = 1 + 3 * number
        rows = [[figure.add_subplot(grid[at + k, i]) for i in range(count)] for k in range(2)]
        _draw_matches(rows, data.eigenvectors, record, shape, title)
        ax = figure.add_subplot(grid[at + 2, :])
        assert record.filter_eigenvectors is not None  # as in `_draw_matches`
        vectors, ranks = record.filter_eigenvectors[:, :count], record.nearest_rank
        image = draw_cosines(ax, data.eigenvectors, vectors, ranks)
        figure.colorbar(image, ax=ax, label="|cosine|", pad=0.01)
    return figure


def tile(vector: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An eigenvector [d] as an image [kh, kw, channels] in 0 to 1, where zero is 1/2."""
    return (0.5 + 0.5 * vector / np.abs(vector).max()).reshape(shape)


def chance_cosine(dim: int) -> float:
    """|Cosine| that a random direction of `dim` has with its best match in a basis: 95% below."""
    directions = np.random.default_rng(0).standard_normal((CHANCE_SAMPLES, dim))
    best = np.abs(directions).max(1) / np.linalg.norm(directions, axis=1)
    return float(np.quantile(best, 0.95))


def _draw_matches(
    rows: Sequence[Sequence[Axes]],
    basis: np.ndarray,
    record: AlignmentRecord,
    shape: tuple[int, ...],
    title: str,
) -> None:
    """Eigenvectors of the weights, and below each the data's that it is most like."""
    vectors, ranks, cosines = record.filter_eigenvectors, record.nearest_rank, record.nearest_cosine
    assert vectors is not None  # as the layer's are not
    assert ranks is not None
    assert cosines is not None
    count = min(len(rows[0]), vectors.shape[1])  # fewer filters have fewer eigenvectors
    name = "\n".join(filter(None, ["weights", style.epoch_label(record.epoch), title]))
    titles = [rf"$\tau^2$ = {value:.3g}" for value in record.filter_eigenvalues[:count]]
    _draw_row(rows[0], list(vectors.T[:count]), shape, name, titles, [""] * count)
    # A large layer keeps but the leading eigenvectors of its data.
    matches = [basis[:, rank] if rank < basis.shape[1] else None for rank in ranks[:count]]
    below = [
        f"$v_{{{rank + 1}}}$: {cosine:.2f}" for rank, cosine in zip(ranks, cosines, strict=True)
    ]
    _draw_row(rows[1], matches, shape, "their match\nin the data", [""] * count, below[:count])


def _draw_row(
    axes: Sequence[Axes],
    vectors: Sequence[np.ndarray | None],
    shape: tuple[int, ...],
    name: str,
    titles: Sequence[str],
    below: Sequence[str],
) -> None:
    for ax in axes[len(vectors) :]:
        ax.axis("off")
    for ax, vector, title, words in zip(axes[: len(vectors)], vectors, titles, below, strict=True):
        if vector is None:
            ax.text(0.5, 0.5, "not kept", ha="center", va="center", transform=ax.transAxes)
            ax.set_aspect("equal")
        else:
            ax.imshow(tile(vector, shape), cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.set_title(title, fontsize="small")
        ax.set_xlabel(words, fontsize="small")
        style.tidy(ax)
    axes[0].set_ylabel(name, rotation=0, ha="right", va="center")


def draw_cosines(
    ax: Axes, basis: np.ndarray, vectors: np.ndarray, ranks: np.ndarray | None = None
) -> AxesImage:
    """All |cosines| of the weights' eigenvectors (down) with the data's (across).

    Args:
        ax: where.
        basis: the data's eigenvectors that are kept, as columns [d, kept].
        vectors: those of the weights [d, count].
        ranks: of the best match of each among all of the data's; None is among those kept.
    """
    kept, count = basis.shape[1], vectors.shape[1]
    cosines = np.abs(vectors.T @ basis)
    ranks = cosines.argmax(1) if ranks is None else ranks
    limits = (0.5, kept + 0.5, count + 0.5, 0.5)
    image = ax.imshow(cosines, cmap=style.UPWARDS, vmin=0, vmax=1, extent=limits, aspect="auto")
    chance = chance_cosine(len(basis))
    matched = [(row, rank) for row, rank in enumerate(ranks[:count]) if rank < kept]
    for row, rank in matched:
        marker = "o" if cosines[row, rank] > chance else "x"
        ax.plot(rank + 1, row + 1, marker, mfc="none", mec=style.ORANGE, mew=1.5, ms=7)
    ax.set_ylabel("weights' eigenvector\n(rank)", fontsize="small")
    ax.set_xlabel(
        f"data's eigenvector (rank); rings: matches above {chance:.2f}, which a random direction's "
        "match exceeds in 5% of cases; crosses: matches below",
        fontsize="small",
    )
    ax.set_yticks(range(1, count + 1))
    ax.tick_params(labelsize="small")
    style.tidy(ax)
    return image
