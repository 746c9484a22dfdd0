"""Small data sets in TFDS's own format, written by TFDS's own builders from made-up pixels."""

from unittest import mock

import numpy as np
import pytest
from PIL import Image

NUM_TRAIN, NUM_TEST = 30, 12


@pytest.fixture
def write_tfds():
    """write(data_dir, name, file_format) -> {split: (images, labels)} in order of their keys."""

    def write(data_dir, name, file_format="array_record", seed=0):
        import tensorflow_datasets as tfds

        tfds.disable_progress_bar()
        builder = tfds.builder(name, data_dir=data_dir, file_format=file_format)
        features, rng = builder.info.features, np.random.default_rng(seed)
        num_classes = features["label"].num_classes
        truth = {}
        for split, num in (("train", NUM_TRAIN), ("test", NUM_TEST)):
            images = rng.integers(0, 256, (num, *features["image"].shape), np.uint8)
            truth[split] = images, rng.integers(0, num_classes, num)

        def split_generators(self, dl_manager):
            if self.info.features["label"].names == [str(i) for i in range(num_classes)]:
                self.info.features["label"].names = [f"class{i:02d}" for i in range(num_classes)]
            return {split: examples(split, *truth[split]) for split in truth}

        def examples(split, images, labels):
            for i, (image, label) in enumerate(zip(images, labels, strict=True)):
                example = {"image": Image.fromarray(image.squeeze()), "label": int(label)}
                if "id" in features:
                    example["id"] = f"{split}_{i:05d}"
                if "coarse_label" in features:
                    example["coarse_label"] = int(label) % 20
                yield i, example

        with mock.patch.object(type(builder), "_split_generators", split_generators):
            builder.download_and_prepare()
        return truth

    return write
