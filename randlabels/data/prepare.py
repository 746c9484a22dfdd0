"""Front door: makes a genuine TFDS array_record directory of cifar10 or cifar100, no TensorFlow.

    python -m randlabels.data.prepare --name=cifar10
    python -m randlabels.data.prepare --name=cifar10 --source=cifar-10-binary.tar.gz
    python -m randlabels.data.prepare --name=cifar10 --data_dir=datasets --source=jpegs.tar.xz

Without --source the official archive is downloaded. Whatever reads TFDS directories can read the
result. As its metadata cannot be told from the official data set's, only the official archive
(checked by sha256) may go into TFDS's default directory; copies of another origin need --data_dir.
"""

import contextlib
import fcntl
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from absl import flags
from PIL import Image
from tqdm import tqdm

from randlabels import frontdoor
from randlabels.data import archives
from randlabels.data.download import download
from randlabels.data.errors import DataError
from randlabels.data.manifest import check_texts, source_of, write_manifest
from randlabels.data.stored import (
    PREPARABLE,
    TFDS_DEFAULT,
    find_builder,
    is_prepared,
    prepare_command,
    quiet_absl,
)

OFFICIAL_COUNTS = {"train": 50000, "test": 10000}  # images of cifar10 and of cifar100
_LEFTOVER = ".preparing-"


def prepare(name: str, data_dir: str = "", source: str = "") -> str:
    """Prepares a data set and returns a sentence that says what was done.

    Args:
      name: "cifar10" or "cifar100".
      data_dir: where; "" is TFDS's default directory.
      source: "" downloads the official archive; otherwise the path of the official binary archive
        or, for cifar10, of a folder or tar of class folders, or of a .npz or .npz.xz.

    Raises:
      DataError: the source is missing, damaged, not verifiable or not allowed there, or data_dir
        cannot be written to. Nothing is left half-written.
    """
    if name not in PREPARABLE:
        raise DataError(f"cannot prepare {name!r}; choose one of {', '.join(PREPARABLE)}.")
    builder = find_builder(name, data_dir)
    target = Path(builder.data_dir)
    if is_prepared(builder):
        check_texts(target, prepare_command(name, data_dir))
        origin = source_of(target)
        return f"{name} is already prepared in {target}{f' (from {origin})' if origin else ''}."
    if target.exists():
        raise DataError(f"{target} exists but is no prepared data set; delete it and try again.")
    try:
        data, origin = _read_source(builder, source, explicit_dir=bool(data_dir))
        _write(name, target, data, origin)
    except OSError as error:
        raise DataError(f"cannot prepare {name} in {target.parent}: {error}.") from error
    counts = _counts(data)
    fewer = "" if counts == OFFICIAL_COUNTS else " (the whole set has 50000 and 10000)"
    return (
        f"{name} is prepared in {target}: {counts['train']} training and {counts['test']} test "
        f"images from {origin}{fewer}."
    )


def _counts(data: archives.RawData) -> dict[str, int]:
    return {"train": len(data.train.images), "test": len(data.test.images)}


def _read_source(builder: Any, source: str, explicit_dir: bool) -> tuple[archives.RawData, str]:
    """The examples and the name of what they came from."""
    name = builder.name
    ((url, official),) = builder.url_infos.items()
    size, sha256 = int(official.size), official.checksum
    root = Path(builder.data_dir).parents[1]
    if not source:
        archive = root / "downloads" / official.filename
        download(url, archive, size, sha256)
        return archives.read_official(archive, name), official.filename
    path = Path(source).expanduser()
    if not path.exists():
        raise DataError(f"--source={source} does not exist.")
    is_npz = path.name.endswith((".npz", ".npz.xz"))
    folder = "" if path.is_dir() or is_npz else archives.tar_top_folder(path)
    if folder == archives.LAYOUTS[name].folder:
        archives.check_file(path, size, sha256)
        return archives.read_official(path, name), path.name
    if folder in ("cifar-10-batches-py", "cifar-100-python"):
        raise DataError(
            f"{path} is the official Python version, which cannot be verified (TFDS holds only "
            f"the checksum of the binary version); give {official.filename} ({url})."
        )
    _check_unofficial(name, path, root, explicit_dir)
    read = archives.read_npz if is_npz else archives.read_class_folders
    return read(path), path.resolve().name


def _check_unofficial(name: str, path: Path, root: Path, explicit_dir: bool) -> None:
    """Only cifar10, and never where everyone else looks for the official data set."""
    from tensorflow_datasets.core import constants

    if name != "cifar10":
        raise DataError(f"{path} is not the official binary archive of {name}, the only source.")
    defaults = (constants.DATA_DIR, TFDS_DEFAULT)
    default = any(root.resolve() == Path(d).expanduser().resolve() for d in defaults)
    if default or not explicit_dir:
        raise DataError(
            f"{path} is not the official archive and so may not go into TFDS's default "
            "directory; choose another with --data_dir."
        )


def _write(name: str, target: Path, data: archives.RawData, origin: str) -> None:
    """Writes everything into a temporary directory beside `target`, then renames."""
    root = target.parents[1]
    root.mkdir(parents=True, exist_ok=True)
    with _own_folder(root, name) as temporary:
        _run_builder(name, temporary, data)
        made = temporary / name / target.name
        write_manifest(made, origin, _counts(data), data.label_names)
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


def _run_builder(name: str, data_dir: Path, data: archives.RawData) -> None:
    """TFDS's own builder, fed from memory in place of its download.

    Images go in as PIL images because TFDS encodes arrays with TensorFlow only. The keys are the
    positions in the source, as in TFDS, because they decide the order of the records.
    """
    import tensorflow_datasets as tfds

    def examples(split: str, part: archives.Examples) -> Iterator[tuple[int, dict[str, Any]]]:
        for i, image in enumerate(tqdm(part.images, desc=f"writing {split}", disable=None)):
            labels = {feature: int(values[i]) for feature, values in part.labels.items()}
            yield i, {"id": f"{split}_{i:05d}", "image": Image.fromarray(image), **labels}

    def split_generators(self: Any, dl_manager: Any) -> dict[str, Any]:
        del dl_manager
        for feature, names in data.label_names.items():
            self.info.features[feature].names = list(names)
        return {"train": examples("train", data.train), "test": examples("test", data.test)}

    builder = tfds.builder(name, data_dir=data_dir, file_format="array_record")
    tfds.disable_progress_bar()
    with (
        quiet_absl(),
        mock.patch.object(type(builder), "_split_generators", split_generators),
        contextlib.redirect_stdout(io.StringIO()),  # TFDS announces a download that is none
    ):
        builder.download_and_prepare()


def main() -> None:
    """Prepare what the flags name."""
    values = flags.FLAGS
    print(prepare(values.name, values.data_dir, values.source))


if __name__ == "__main__":
    flags.DEFINE_enum("name", None, PREPARABLE, "The data set.", required=True)
    flags.DEFINE_string("data_dir", "", "TFDS directory; empty for TFDS's default.")
    flags.DEFINE_string(
        "source",
        "",
        "Official binary archive, or for cifar10 a folder or tar of class folders or a .npz; "
        "empty to download the official archive.",
    )
    frontdoor.run(main)
