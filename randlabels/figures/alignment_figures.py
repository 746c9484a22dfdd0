"""The figures of a run's eigen-analysis, drawn from alignment.json alone."""

from matplotlib.figure import Figure

from randlabels.analysis.records import Alignment
from randlabels.figures import eigenvalue_map, eigenvector_tiles, misalignment_over_training


def alignment_figures(alignment: Alignment, layer: str) -> dict[str, tuple[Figure, str]]:
    """{file name without suffix: (figure, caption)} of one layer.

    Args:
        alignment: from `load_alignment`.
        layer: path of the layer.
    """
    records = alignment.of_layer(layer)
    data, name = alignment.data[layer], layer.replace("/", "-")
    found = {
        f"eigenvalue_map_{name}": (
            eigenvalue_map.plot(records),
            f"Eigenvalue map of {layer}: standard deviation tau of the weights along the i-th "
            "eigenvector of the inputs' covariance, against its eigenvalue. Points are all "
            "networks pooled; lines go through near-tied eigenvalues together, bands from the "
            "lowest to the highest network.",
        )
    }
    if not all(record.singular for record in records):
        found[f"misalignment_{name}"] = (
            misalignment_over_training.plot(records),
            f"Misalignment of {layer}'s weights during training, of all networks pooled and of "
            "single ones, which have fewer filters and so a higher floor. Blue: to the "
            "eigenvectors of the inputs' covariance, and the nominal 95% bootstrap interval for "
            "infinitely many networks. Red: the same weights to random orthonormal bases, all of "
            "them. Grey: as many isotropic filters, 95% of samples.",
        )
    shape = data.kernel_shape
    is_image = len(shape) == 4 and shape[-2] in (1, 3)
    if data.eigenvectors is not None and is_image:
        found[f"eigenvectors_{name}"] = (
            eigenvector_tiles.plot(data, records),
            f"Leading eigenvectors of the covariance of the data's patches and of {layer}'s "
            "weights, all networks pooled, at the last checkpoint, each of the latter above the "
            "data's eigenvector that it is most like, with its rank and their |cosine|; all "
            "|cosines| below. Grey is zero. Vectors of near-tied eigenvalues are not determined.",
        )
    return found
