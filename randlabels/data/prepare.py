"""Front door: makes a genuine TFDS array_record directory of labelled images, without TensorFlow.

    python -m randlabels.data.prepare --name=photos --source=PATH --data_dir=datasets --size=64
    python -m randlabels.data.prepare --name=cifar10
    python -m randlabels.data.prepare --name=cifar10 --source=cifar-10-binary.tar.gz
    python -m randlabels.data.prepare --check=datasets/photos

What --source may be stands in `randlabels.data.forms`. Without one the official archive of a known
data set is downloaded. Whatever reads TFDS directories can read the result. As its metadata cannot
be told from the official data set's, only official archives (checked by sha256) may go into TFDS's
default directory under the name of a data set that TFDS knows; copies of another origin need
--data_dir.
"""

import contextlib
import dataclasses
import fcntl
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from randlabels import disk, frontdoor
from randlabels.data import bounded, builders, official
from randlabels.data.check import check
from randlabels.data.errors import DataError
from randlabels.data.forms import Examples, RawData, Wishes, read_form
from randlabels.data.forms.raw import check_names
from randlabels.data.manifest import asked_of, check_texts, source_of, write_manifest
from randlabels.data.stored import (
    TFDS_DEFAULT,
    find_builder,
    is_known,
    is_prepared,
    own_folder,
    prepare_command,
)
from randlabels.errors import cut, shown
from randlabels.folders import existing

OFFICIAL_COUNTS = {"train": 50000, "test": 10000}  # images of cifar10 and of cifar100
_SPOKEN = {"train": "training", "validation": "validation", "test": "test"}
AS_THEY_ARE = Wishes()
_LEFTOVER = ".preparing-"
# Of which TFDS has names only in the archive; alphabetical, as it numbers them.
_CLASSES = {
    "cifar10": (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
    )
}  # fmt: skip


def prepare(
    name: str,
    data_dir: str = "",
    source: str = "",
    wishes: Wishes = AS_THEY_ARE,
    test_share: float = 0.1,
    seed: int = 0,
) -> str:
    """Prepares a data set and returns a sentence that says what was done.

    Args:
      name: of the data set; any for one of the user's own.
      data_dir: where; "" is TFDS's default directory.
      source: "" downloads the official archive; otherwise the path of it, or of images in another
        form (`randlabels.data.forms`).
      wishes: what images shall become.
      test_share: of each class, held out for testing if the source has neither test nor validation
        images.
      seed: of the choice of those.

    Raises:
      InputError: the source is missing, damaged, not verifiable or not allowed there, or data_dir
        cannot be written to. Nothing is left half-written.
    """
    known = is_known(name)
    if not known:
        _check_own(name, source)
    if not 0 <= wishes.largest_unusable <= 1:  # nor is it no number
        raise DataError(f"--max_unusable={wishes.largest_unusable} must lie between 0 and 1.")
    given = existing("--source", source) if source else None
    asked = dataclasses.asdict(wishes) | {"test_share": test_share, "seed": seed}
    target = Path(find_builder(name, data_dir).data_dir) if known else own_folder(name, data_dir)
    if _is_there(name, data_dir, target, known):
        check_texts(target, prepare_command(name, data_dir))
        return _already(name, given, target, asked)
    if target.exists():
        raise DataError(f"{target} exists but is no prepared data set; delete it and try again.")
    try:
        data, origin = _read_source(name, data_dir, given, wishes, target.parents[1])
        if not known:
            check_names(origin, data)
        data = _with_test(data, test_share, seed)
        _write(name, target, data, origin, asked)
    except OSError as error:
        raise DataError(f"cannot prepare {name} in {target.parent}: {error}.") from error
    except RuntimeError as error:  # array_record's, of a disk that is full
        sentence = disk.sentence_about(error, target.parents[1])
        if sentence is None:
            raise
        raise DataError(sentence) from error
    return _said(name, data_dir, target, data, origin)


def _already(name: str, source: Path | None, target: Path, asked: Mapping[str, Any]) -> str:
    """The sentence about a data set that is there, if it is what is asked for.

    Raises:
      DataError: it was made from another source, or in another way.
    """
    origin, before = source_of(target), asked_of(target)
    given = source.resolve().name if source else origin
    other = [f"{key} {before[key]}" for key in before if before[key] != asked.get(key)]
    if not is_known(name) and (given != origin or other):
        made = ", ".join([f"from {origin}", *other])
        raise DataError(
            f"{name} is already prepared in {target} ({made}); choose another --name, or delete "
            "that directory."
        )
    return f"{name} is already prepared in {target}{f' (from {origin})' if origin else ''}."


def _check_own(name: str, source: str) -> None:
    """A data set that TFDS does not know needs a source and a name of letters."""
    from randlabels.data.generators import GENERATORS

    if not re.fullmatch(r"[a-z][a-z0-9_]{,99}", name):
        raise DataError(
            f"--name={shown(name)} must be of small letters, digits and _, a letter first."
        )
    if name in GENERATORS:
        raise DataError(f"{name} is the name of generated images; choose another --name.")
    if not source:
        raise DataError(
            f"{name} has no official archive that is known ({', '.join(official.OFFICIAL)} have); "
            "give your images with --source."
        )


def _is_there(name: str, data_dir: str, target: Path, known: bool) -> bool:
    return is_prepared(find_builder(name, data_dir)) if known or target.exists() else False


def _read_source(
    name: str, data_dir: str, path: Path | None, wishes: Wishes, root: Path
) -> tuple[RawData, str]:
    """The examples and the name of what they came from."""
    known = is_known(name)
    if known and name not in official.OFFICIAL:
        raise DataError(
            f"{name} is a data set of TFDS, whose archive is not known here; give your copy of it "
            f"a name of its own, such as --name=my_{name.partition('/')[0]}."
        )
    if path is None:
        return official.fetch(find_builder(name, data_dir), root / "downloads")
    if not known:
        return read_form(path, wishes), path.resolve().name
    builder = find_builder(name, data_dir)
    given = official.read_given(builder, path)
    if given:
        return given
    _check_unofficial(path, root, explicit_dir=bool(data_dir))
    return _copy_of(builder, path, wishes), path.resolve().name


def _check_unofficial(path: Path, root: Path, explicit_dir: bool) -> None:
    """Copies never go where everyone else looks for the official data set."""
    from tensorflow_datasets.core import constants

    defaults = (constants.DATA_DIR, TFDS_DEFAULT)
    default = any(root.resolve() == Path(d).expanduser().resolve() for d in defaults)
    if default or not explicit_dir:
        raise DataError(
            f"{path} is not the official archive and so may not go into TFDS's default "
            "directory; choose another with --data_dir."
        )


def _copy_of(builder: Any, path: Path, wishes: Wishes) -> RawData:
    """Images of another origin under the name of a data set that TFDS knows, which they must fit.

    Raises:
      DataError: the data set has more than one kind of label, or the images are of another shape
        or other classes.
    """
    features = builder.info.features
    labels = [key for key in features if key not in ("id", "image")]
    if labels != ["label"]:
        raise DataError(
            f"{path} is not the official binary archive of {builder.name}, the only source."
        )
    names = _CLASSES.get(builder.name) or tuple(features["label"].names or ())
    data = read_form(path, wishes, names)
    if data.shape != features["image"].shape:
        raise DataError(
            f"{path} has images of shape {data.shape}; {builder.name} images are "
            f"{features['image'].shape}."
        )
    return data


def _with_test(data: RawData, share: float, seed: int) -> RawData:
    """The data with a share of the training images of each class as test images, if it has none.

    Raises:
      DataError: no image would be left on one side.
    """
    if data.splits.keys() & {"test", "validation"}:
        return data
    if not 0 < share < 1:
        raise DataError(f"--test_share={share} must lie between 0 and 1.")
    train = data.splits["train"]
    order = np.random.Philox(seed).random_raw(len(train.images))
    held = np.zeros(len(train.images), bool)
    by_class = np.argsort(train.labels["label"], kind="stable")
    borders = np.flatnonzero(np.diff(train.labels["label"][by_class])) + 1
    for places in np.split(by_class, borders):
        count = round(share * len(places))
        held[places[np.argsort(order[places], kind="stable")[:count]]] = True
    if held.all() or not held.any():
        raise DataError(
            f"--test_share={share} of {len(held)} training images leaves nothing to train or to "
            "test on; give another share, or more images."
        )
    bounded.check_memory(f"holding out a share of {len(held)} training images", train.images.nbytes)
    small = np.setdiff1d(train.labels["label"], train.labels["label"][held])
    note = f"no test images in the source: {share:g} of each class held out (--seed={seed})"
    note += f", none of {len(small)} classes with too few images for that" if len(small) else ""
    return dataclasses.replace(
        data,
        splits={"train": _rows(train, ~held), "test": _rows(train, held)},
        notes=(*data.notes, note),
    )


def _rows(part: Examples, chosen: np.ndarray) -> Examples:
    labels = {feature: values[chosen] for feature, values in part.labels.items()}
    ids = tuple(name for name, one in zip(part.ids, chosen, strict=False) if one)
    return Examples(part.images[chosen], labels, ids)


def _said(name: str, data_dir: str, target: Path, data: RawData, origin: str) -> str:
    """What was prepared and from what, and how to train on it where it is the user's own."""
    counts = {_SPOKEN[split]: count for split, count in data.counts.items()}
    images = " and ".join(f"{count} {split}" for split, count in counts.items())
    cifar = name in ("cifar10", "cifar100") and data.counts != OFFICIAL_COUNTS
    fewer = " (the whole set has 50000 and 10000)" if cifar else ""
    said = f"{name} is prepared in {target}: {images} images from {origin}{fewer}."
    said += "".join(f" {note[0].upper()}{note[1:]}." for note in data.notes)
    if is_known(name):
        return said
    shape = " x ".join(map(str, data.shape))
    names = data.label_names.get("label") or tuple(
        map(str, np.unique(data.splits["train"].labels["label"]))
    )
    half = data.counts["train"] // 2
    fields = {
        "data.name": name,
        "data.data_dir": shlex.quote(data_dir or TFDS_DEFAULT),
        "data.image_size": 0,
        "data.upstream_size": half,
        "data.downstream_size": half,
        "data.test_size": 0,
    }
    command = " ".join(f"--config.{field}={value}" for field, value in fields.items())
    return (
        f"{said} Images are {shape}, of {len(names)} classes ({cut(', '.join(names))}).\n"
        f"Train on random labels: python -m randlabels.main --config=base {command} "
        f"--workdir=runs/{name}"
    )


def _write(name: str, target: Path, data: RawData, origin: str, asked: Mapping[str, Any]) -> None:
    """Writes everything into a temporary directory beside `target`, then renames."""
    root = target.parents[1]
    root.mkdir(parents=True, exist_ok=True)
    with _own_folder(root, name) as temporary:
        builders.write(name, temporary, data, origin, is_known(name))
        made = temporary / name / target.name
        write_manifest(made, origin, data.counts, data.label_names, asked)
        target.parent.mkdir(exist_ok=True)
        os.rename(made, target)


@contextlib.contextmanager
def _own_folder(root: Path, name: str) -> Iterator[Path]:
    """A temporary folder in `root`, locked while it is used; those that nobody uses are removed.

    The lock is on the folder itself and held by the operating system, so that a preparation that
    was killed holds none. While folders are made or removed `root` is locked, lest one that is not
    yet locked is taken for a leftover.
    """
    with _locked(root, wait=True):
        for leftover in root.glob(f"{_LEFTOVER}*"):
            with _locked(leftover, wait=False) as free:
                if free:
                    shutil.rmtree(leftover, ignore_errors=True)
        temporary = Path(tempfile.mkdtemp(prefix=f"{_LEFTOVER}{name}-", dir=root))
        mine = contextlib.ExitStack()
        mine.enter_context(_locked(temporary, wait=False))
    with mine:
        try:
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path, wait: bool) -> Iterator[bool]:
    """Whether a folder could be locked for the length of a `with` statement."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            held = True
        except OSError:  # another holds it, or the file system knows no locks
            held = False
        yield held
    finally:
        os.close(handle)


def main() -> None:
    """Prepare, or check, what the flags name."""
    values = flags.FLAGS
    if values.check:
        print(check(values.check))
        return
    wishes = Wishes(values.size or 0, int(values.channels), values.max_unusable, values.label)
    where = values.name, values.data_dir, values.source
    print(prepare(*where, wishes, values.test_share, values.seed))


def _define_flags() -> None:
    known = ", ".join(official.OFFICIAL)
    flags.DEFINE_string("name", "", f"Of the data set: any for your own images, or {known}.")
    flags.DEFINE_string("data_dir", "", "TFDS directory; empty for TFDS's default.")
    flags.DEFINE_string(
        "source",
        "",
        "Your images: class folders (a folder, tar or zip), .npz, parquet, idx or SVHN's .mat "
        "files; or an official archive, which is downloaded if this is empty.",
    )
    flags.DEFINE_integer(
        "size", None, "Cut out the centre square and resize it; if not given, as they are.", 1, 4096
    )
    flags.DEFINE_enum("channels", "0", ["0", "1", "3"], "1: grey; 3: colour; 0: as they are.")
    flags.DEFINE_float("test_share", 0.1, "Held out where a source has no images to test on.")
    flags.DEFINE_integer("seed", 0, "Of the choice of those that are held out.", 0)
    flags.DEFINE_float(
        "max_unusable", 0.0, "Share of the images that may be left out as damaged.", 0, 1
    )
    flags.DEFINE_string("label", "", "Column of the classes, where a parquet file has several.")
    flags.DEFINE_string("check", "", "Read a prepared data set from end to end instead.")
    flags.register_multi_flags_validator(
        ["name", "check"],
        lambda values: bool(values["name"] or values["check"]),
        "give --name, or --check.",
    )


if __name__ == "__main__":
    _define_flags()
    frontdoor.run(main)
