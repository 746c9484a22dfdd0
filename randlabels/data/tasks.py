"""A task: the images of one split of a data set, and the labels that networks learn on them."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict

from randlabels.data import sources, splits
from randlabels.data.labels import make_labels
from randlabels.data.streamed import Images, select
from randlabels.errors import InputError
from randlabels.networks import Network


@dataclasses.dataclass(frozen=True)
class TaskData:
    """The images of one task and of the test set, with their real labels.

    Attributes:
        source: the data set.
        images: uint8 [n, h, w, c] or float32 [n, d]; on disk with config.data.stream.
        ids: of the images, int64 [n].
        real_labels: int32 [n].
        test_images: of the data set's test set, like `images`.
        test_ids: int64 [m].
        test_real_labels: int32 [m].
        mean: of each channel of the data set's whole training set, on the scale 0 to 1 [c].
        std: likewise.
        class_names: one for each real class.
    """

    source: str
    images: Images
    ids: np.ndarray
    real_labels: np.ndarray
    test_images: Images
    test_ids: np.ndarray
    test_real_labels: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    class_names: tuple[str, ...]


def open_task(config: ConfigDict, task: str = "") -> TaskData:
    """Load or generate the data of a task.

    Args:
        config: whose `data` describes the data set.
        task: "upstream" or "downstream"; "" is config.train.task.

    Raises:
        InputError: if the data set is missing or too small (DataError).
    """
    dataset = sources.load(config.data)
    sizes = config.data.upstream_size, config.data.downstream_size
    split = splits.split_indices(config.data.seed, len(dataset.train_images), *sizes)
    chosen = split[task or config.train.task]
    mean, std = dataset.moments
    return TaskData(
        source=dataset.name,
        images=select(dataset.train_images, chosen),
        ids=dataset.train_ids[chosen],
        real_labels=dataset.train_labels[chosen],
        test_images=dataset.test_images,
        test_ids=dataset.test_ids,
        test_real_labels=dataset.test_labels,
        mean=mean,
        std=std,
        class_names=dataset.class_names,
    )


def labels_of_networks(
    settings: ConfigDict, data: TaskData, table: Sequence[Network]
) -> tuple[np.ndarray, np.ndarray | None]:
    """The labels that each network of a table learns, and those that it is tested with.

    Args:
        settings: config.labels.
        data: the task.
        table: the network table.

    Returns:
        int32 [network, n] and [network, m]; the latter None where test labels mean nothing.

    Raises:
        InputError: if real labels have another number of classes than the networks.
    """
    if settings.kind != "random" and settings.num_classes != len(data.class_names):
        raise InputError(
            f"config.labels.num_classes is {settings.num_classes}, but {data.source} has "
            f"{len(data.class_names)} classes."
        )

    def labels_of(ids: np.ndarray, real: np.ndarray) -> np.ndarray:
        kind, num_classes = settings.kind, settings.num_classes
        drawn = {
            (seed, noise): make_labels(kind, seed, ids, real, num_classes, noise)
            for seed, noise in {(row.label_seed, row.label_noise) for row in table}
        }
        return np.stack([drawn[row.label_seed, row.label_noise] for row in table])

    labels = labels_of(data.ids, data.real_labels)
    if settings.test == "same":
        return labels, labels_of(data.test_ids, data.test_real_labels)
    if settings.kind == "random":
        return labels, None
    return labels, np.tile(data.test_real_labels, (len(table), 1))
