"""Front door: draws a stored data set of the form of ImageNet: JPEG pictures of many sizes.

    python -m randlabels.data.drawn --data_dir=datasets --train=20000 --test=1000

Pictures are dead leaves (see `dead_leaves`), cut out at random and tinted: 100 classes, of each
kind of leaves and each of 20 tints. The set is called drawn_jpegs, and is read as those of TFDS
are: for trying what images on disk need (config.data.stream) where there is no ImageNet.
"""

import colorsys
import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags
from PIL import Image

from randlabels import frontdoor, progress
from randlabels.data import dead_leaves
from randlabels.data.stored import DRAWN, OWN_VERSION, own_folder, quiet_absl
from randlabels.errors import InputError

NAME = DRAWN
TINTS = 20
CLASS_NAMES = tuple(f"{kind}, tint {t}" for kind in dead_leaves.CLASS_NAMES for t in range(TINTS))
SIDES = (48, 96)  # the shorter and the longer side of a picture, at most
_TINTED = 0.3  # share of the tint in a picture
_QUALITY = 90  # of JPEG
_AT_ONCE = 512  # pictures; of each such part the random numbers are a stream


def draw(seed: int, stream: int, count: int) -> Iterator[tuple[bytes, int]]:
    """JPEG files and their classes; the same for the same arguments, and the same Pillow."""
    for part in range(-(-count // _AT_ONCE)):
        sequence = np.random.SeedSequence(seed, spawn_key=(stream, part))
        rng = np.random.default_rng(sequence)
        least, longest = SIDES
        leaves, kinds = dead_leaves.dead_leaves(int(rng.integers(2**31)), _AT_ONCE, longest)
        tints = rng.integers(TINTS, size=_AT_ONCE)
        sides = rng.integers(least, longest + 1, (_AT_ONCE, 2))
        corners = (rng.random((_AT_ONCE, 2)) * (longest - sides + 1)).astype(int)
        for k in range(min(_AT_ONCE, count - part * _AT_ONCE)):
            (top, left), (height, width) = corners[k], sides[k]
            pixels = leaves[k, top : top + height, left : left + width].astype(np.float32)
            tint = 255 * np.array(colorsys.hsv_to_rgb(tints[k] / TINTS, 1, 1), np.float32)
            tinted = ((1 - _TINTED) * pixels + _TINTED * tint).astype(np.uint8)
            file = io.BytesIO()
            Image.fromarray(tinted).save(file, "JPEG", quality=_QUALITY)
            yield file.getvalue(), int(kinds[k] * TINTS + tints[k])


def write(data_dir: str, train: int, test: int, seed: int = 0) -> Path:
    """Write `data_dir/drawn_jpegs/1.0.0/`; returns that folder.

    Raises:
        InputError: if there is one.
    """
    import tensorflow_datasets as tfds

    folder = own_folder(NAME, data_dir)
    if folder.exists():
        raise InputError(f"{folder} is there already; delete it, or give another --data_dir.")
    tfds.disable_progress_bar()
    with quiet_absl():
        builder = _builder(train, test, seed)(
            data_dir=str(folder.parents[1]), file_format="array_record"
        )
        builder.download_and_prepare()
    return folder


def _builder(train: int, test: int, seed: int) -> Any:
    import tensorflow_datasets as tfds

    class Drawn(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
        VERSION = tfds.core.Version(OWN_VERSION)

        def _info(self) -> Any:
            features = {
                "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                "label": tfds.features.ClassLabel(names=CLASS_NAMES),
            }
            return tfds.core.DatasetInfo(
                builder=self,
                description=f"Drawn by randlabels.data.drawn, seed {seed}.",
                features=tfds.features.FeaturesDict(features),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            del dl_manager
            return {"train": _examples(seed, 0, train), "test": _examples(seed, 1, test)}

        def _generate_examples(self) -> None:
            """Not used: the splits are given whole."""

    Drawn.name = NAME
    return Drawn


def _examples(seed: int, stream: int, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
    pictures = progress.bar(
        draw(seed, stream, count), total=count, desc=f"drawing {NAME}", disable=None
    )
    for number, (file, label) in enumerate(pictures):
        yield number, {"image": io.BytesIO(file), "label": label}


def main() -> None:
    """Draw and write."""
    values = flags.FLAGS
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS announces a download that is none
        folder = write(values.data_dir, values.train, values.test, values.seed)
    count, classes = values.train + values.test, len(CLASS_NAMES)
    progress.say(f"Wrote {count:,} pictures of {classes} classes to {folder}.")


def _define_flags() -> None:
    flags.DEFINE_string("data_dir", "", "TFDS directory; empty for TFDS's default.")
    flags.DEFINE_integer("train", 20_000, "Pictures of the train split.", lower_bound=1)
    flags.DEFINE_integer("test", 1_000, "Pictures of the test split.", lower_bound=1)
    flags.DEFINE_integer("seed", 0, "Of the pictures.", lower_bound=0)


if __name__ == "__main__":
    _define_flags()
    frontdoor.run(main)
