"""Figures of filters that others have trained, beside the eigenvectors of images."""

import numpy as np
from matplotlib.figure import Figure

from randlabels.analysis.own_kernel import KernelComparison
from randlabels.figures import joined_maps, learned_controls, style
from randlabels.figures.eigenvector_tiles import draw_cosines, tile

_COLOURS = {"weights": style.BLUE, "learned": style.GREEN}


def kernel_figures(found: KernelComparison) -> dict[str, tuple[Figure, str]]:
    """{name: (figure, caption)}: what misalignments there are, the map f, the eigenvectors."""
    figures = {}
    panels = {name: of.controlled for name, of in found.sets.items() if of.reason is None}
    if panels:
        figures["controls"] = (learned_controls.plot(panels), learned_controls.CAPTION)
    figures["eigenvalue_map"] = (
        _maps(found),
        "Eigenvalue map: standard deviation tau of the filters along the i-th eigenvector of the "
        "images' patches, against its eigenvalue.",
    )
    if found.kernel_shape[2] in (1, 3):
        figures["eigenvectors"] = (
            _tiles(found),
            "Leading eigenvectors of the covariance of the images' patches, and of the filters. "
            "Grey is zero; each is scaled to its own largest entry.",
        )
    figures["cosines"] = (
        _cosines(found),
        f"|Cosines| of the leading eigenvectors of the filters with the first "
        f"{found.vectors.shape[1]} of {len(found.vectors)} of the images' patches. Rings: matches "
        "above what a random direction reaches in 95% of cases; crosses: others.",
    )
    return figures


def _maps(found: KernelComparison) -> Figure:
    figure = style.new_figure(width=5.4, height=3.8)
    ax = figure.subplots()
    for name, of in found.sets.items():
        none = np.empty((0, len(of.tau)))
        joined_maps.draw(ax, found.eigenvalues, of.tau, none, _COLOURS[name], name)
    ax.set(xscale="log", xlabel=style.EIGENVALUE, ylabel=style.DEVIATION)
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False, fontsize="small")
    style.tidy(ax)
    return figure


def _cosines(found: KernelComparison) -> Figure:
    figure = style.new_figure(width=9, height=2.4 * len(found.sets))
    axes = figure.subplots(len(found.sets), 1, squeeze=False)[:, 0]
    for ax, (name, of) in zip(axes, found.sets.items(), strict=True):
        image = draw_cosines(ax, found.vectors, of.vectors)
        ax.set_title(name, fontsize="small")
        figure.colorbar(image, ax=ax, label="|cosine|", pad=0.01)
    return figure


def _tiles(found: KernelComparison) -> Figure:
    rows = {"images": found.vectors} | {name: of.vectors for name, of in found.sets.items()}
    count = min(vectors.shape[1] for vectors in rows.values())
    figure = style.new_figure(width=1.1 * count + 1.2, height=1.25 * len(rows) + 0.3)
    axes = figure.subplots(len(rows), count, squeeze=False)
    for row, (name, vectors) in zip(axes, rows.items(), strict=True):
        for i, ax in enumerate(row):
            ax.imshow(tile(vectors[:, i], found.kernel_shape[:3]), cmap="gray", vmin=0, vmax=1)
            ax.set_xticks([])
            ax.set_yticks([])
            style.tidy(ax)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    return figure
