"""Opening a task: the images of a split, and the labels of a network table."""

import numpy as np
import pytest

from randlabels.data import sources
from randlabels.data.labels import make_labels
from randlabels.data.tasks import labels_of_networks, open_task
from randlabels.errors import InputError
from randlabels.training.check import check
from randlabels.training.population import network_table


def test_tasks_are_disjoint_parts_of_one_data_set(tiny_config):
    config = check(tiny_config())
    dataset = sources.load(config.data)
    tasks = {task: open_task(config, task) for task in ("upstream", "downstream")}
    assert [len(data.images) for data in tasks.values()] == [50, 48]
    ids = np.concatenate([data.ids for data in tasks.values()])
    np.testing.assert_array_equal(np.sort(ids), np.arange(98))
    for data in tasks.values():
        np.testing.assert_array_equal(data.images, dataset.train_images[data.ids])
        np.testing.assert_array_equal(data.real_labels, dataset.train_labels[data.ids])
        np.testing.assert_array_equal(data.test_images, dataset.test_images)
        mean = (dataset.train_images / 255).mean((0, 1, 2))  # of both tasks together
        np.testing.assert_allclose(data.mean, mean, rtol=1e-6)
    np.testing.assert_array_equal(open_task(config).ids, tasks["upstream"].ids)


def test_each_network_learns_the_labels_of_its_row(tiny_config):
    noise = (("labels.noise", (0.0, 1.0)),)
    config = {"labels.kind": "noisy", "labels.num_classes": 5, "population.sweep": noise}
    config = check(tiny_config(config | {"labels.test": "same", "data.test_size": 21}))
    data, table = open_task(config), network_table(config)
    labels, test_labels = labels_of_networks(config.labels, data, table)
    assert (labels.shape, test_labels.shape) == ((4, 50), (4, 21))
    for row, own, tested in zip(table, labels, test_labels, strict=True):
        settings = "noisy", row.label_seed
        expected = make_labels(*settings, data.ids, data.real_labels, 5, row.label_noise)
        np.testing.assert_array_equal(own, expected)
        expected = make_labels(*settings, data.test_ids, data.test_real_labels, 5, row.label_noise)
        np.testing.assert_array_equal(tested, expected)
    np.testing.assert_array_equal(labels[0], data.real_labels)  # noise 0


def test_real_labels_need_as_many_classes_as_there_are(tiny_config):
    config = check(tiny_config({"labels.kind": "real"}))
    with pytest.raises(InputError, match="num_classes is 3, but dead_leaves has 5 classes"):
        labels_of_networks(config.labels, open_task(config), network_table(config))
