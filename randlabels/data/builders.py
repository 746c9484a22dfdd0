"""Writes images and labels as a TFDS array_record directory, without TensorFlow."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from PIL import Image

from randlabels import progress
from randlabels.data.forms.raw import Examples, RawData
from randlabels.data.stored import OWN_VERSION, quiet_absl


def write(name: str, data_dir: Path, data: RawData, origin: str, known: bool) -> None:
    """Write `data_dir/name/version/`.

    The keys of examples are their positions in the source, as in TFDS, because they decide the
    order of the records.

    Args:
      name: of the data set.
      data_dir: where.
      data: its images and labels.
      origin: what it was made from, for its description.
      known: whether TFDS knows the data set; its own builder then is fed from memory in place of
        its download.
    """
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    announcements = contextlib.redirect_stdout(io.StringIO())  # of a download that is none
    with quiet_absl(), announcements:
        if known:
            _feed(tfds.builder(name, data_dir=data_dir, file_format="array_record"), data)
        else:
            builder = _own_builder(name, data, origin)
            builder(data_dir=data_dir, file_format="array_record").download_and_prepare()


def _feed(builder: Any, data: RawData) -> None:
    """Let TFDS's own builder write the examples."""

    def split_generators(self: Any, dl_manager: Any) -> dict[str, Any]:
        del dl_manager
        for feature, names in data.label_names.items():
            if names:
                self.info.features[feature].names = list(names)
        return {s: _examples(s, part, self.info.features, ()) for s, part in data.splits.items()}

    with mock.patch.object(type(builder), "_split_generators", split_generators):
        builder.download_and_prepare()


def _own_builder(name: str, data: RawData, origin: str) -> Any:
    """The class of a builder for a data set that TFDS does not know."""
    import tensorflow_datasets as tfds

    class Own(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
        VERSION = tfds.core.Version(OWN_VERSION)

        def _info(self) -> Any:
            features = {
                "id": tfds.features.Text(doc="What the image is called in the source."),
                "image": tfds.features.Image(shape=data.shape),
                **{
                    feature: tfds.features.ClassLabel(
                        names=data.label_names.get(feature) or None,
                        num_classes=None
                        if data.label_names.get(feature)
                        else _count(data, feature),
                    )
                    for feature in data.splits["train"].labels
                },
            }
            return tfds.core.DatasetInfo(
                builder=self,
                description=f"Made from {origin} by randlabels.data.prepare.",
                features=tfds.features.FeaturesDict(features),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            del dl_manager
            features = self.info.features
            return {s: _examples(s, part, features, part.ids) for s, part in data.splits.items()}

        def _generate_examples(self) -> None:
            """Not used: the splits are given whole."""

    Own.name = name
    return Own


def _count(data: RawData, feature: str) -> int:
    return 1 + max(int(part.labels[feature].max()) for part in data.splits.values())


def _examples(
    split: str, part: Examples, features: Any, ids: tuple[str, ...]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(key, example); images go in as Pillow's because TFDS encodes arrays with TensorFlow only."""
    for i, image in enumerate(progress.bar(part.images, desc=f"writing {split}", disable=None)):
        pixels = image if image.shape[-1] > 1 else image[..., 0]
        example: dict[str, Any] = {k: int(values[i]) for k, values in part.labels.items()}
        example["image"] = Image.fromarray(pixels)
        if "id" in features:
            example["id"] = ids[i] if ids else f"{split}_{i:05d}"
        yield i, example
