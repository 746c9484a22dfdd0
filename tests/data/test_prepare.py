"""Small archives in the official formats; their checksums take the place of the official ones."""

import hashlib
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from randlabels.data import prepare, stored
from randlabels.data.errors import DataError
from randlabels.data.forms.cifar import read_cifar
from randlabels.errors import InputError

CLASSES = prepare._CLASSES["cifar10"]
FINE = [f"fine_{i:02d}" for i in range(100)]
COARSE = [f"coarse_{i:02d}" for i in range(20)]


def random_images(num, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (num, 32, 32, 3), np.uint8)


def records(images, *labels):
    """Bytes as the CIFAR web page describes them, written pixel by pixel."""
    out = bytearray()
    for i, image in enumerate(images):
        out += bytes(int(column[i]) for column in labels)
        for channel in range(3):
            for row in range(32):
                out += bytes(image[row, :, channel].tolist())
    return bytes(out)


def write_tar(path, files):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w:xz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def cifar10_archive(path):
    """A tiny official cifar10 archive; returns images and labels of both splits."""
    train, test = random_images(20), random_images(6, 1)
    train_labels, test_labels = np.arange(20) % 10, np.arange(6) + 4
    files = {"cifar-10-batches-bin/batches.meta.txt": "\n".join([*CLASSES, "", ""]).encode()}
    for i in range(5):  # four images a batch
        rows = slice(4 * i, 4 * i + 4)
        files[f"cifar-10-batches-bin/data_batch_{i + 1}.bin"] = records(
            train[rows], train_labels[rows]
        )
    files["cifar-10-batches-bin/test_batch.bin"] = records(test, test_labels)
    write_tar(path, files)
    return {"train": (train, train_labels), "test": (test, test_labels)}


def official(monkeypatch, name, path):
    """Makes TFDS expect this file as the archive of a data set."""
    builder = type(stored.find_builder(name, str(path.parent)))
    info = next(iter(builder.url_infos.values()))
    content = path.read_bytes()
    monkeypatch.setattr(
        builder,
        "url_infos",
        {
            "http://127.0.0.1:9/archive.tar.gz": type(info)(
                size=len(content),
                checksum=hashlib.sha256(content).hexdigest(),
                filename=info.filename,
            )
        },
    )


def read_with_tfds(name, data_dir, split):
    """{id: record} through TFDS alone."""
    import tensorflow_datasets as tfds

    source = tfds.data_source(name, data_dir=data_dir, split=split)
    return {source[i]["id"].decode(): source[i] for i in range(len(source))}


def check_against(truth, name, data_dir):
    for split, (images, labels) in truth.items():
        found = read_with_tfds(name, data_dir, split)
        assert sorted(found) == [f"{split}_{i:05d}" for i in range(len(images))]
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            record = found[f"{split}_{i:05d}"]
            np.testing.assert_array_equal(record["image"], image)
            assert record["label"] == label


def test_official_cifar10(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    path = tmp_path / "cifar-10-binary.tar.gz"
    truth = cifar10_archive(path)
    official(monkeypatch, "cifar10", path)
    data_dir = str(tmp_path / "data")
    message = prepare.prepare("cifar10", data_dir, str(path))
    assert "20 training and 6 test images from cifar-10-binary.tar.gz" in message
    check_against(truth, "cifar10", data_dir)
    info = tfds.builder("cifar10", data_dir=data_dir).info
    assert info.features["label"].names == list(CLASSES)
    assert info.as_proto.module_name == "tensorflow_datasets.image_classification.cifar"
    assert [p.name for p in Path(data_dir).iterdir()] == ["cifar10"]
    assert "already prepared" in prepare.prepare("cifar10", data_dir, str(path))
    assert stored.read("cifar10", data_dir)["train_images"].shape == (20, 32, 32, 3)


def test_official_cifar100_keeps_both_labels(tmp_path, monkeypatch):
    path = tmp_path / "cifar-100-binary.tar.gz"
    train, test = random_images(12), random_images(5, 1)
    fine, coarse = np.arange(12) * 8, np.arange(12) % 20
    files = {
        "cifar-100-binary/train.bin": records(train, coarse, fine),
        "cifar-100-binary/test.bin": records(test, coarse[:5] + 10, fine[:5] + 1),
        "cifar-100-binary/fine_label_names.txt": "\n".join(FINE).encode() + b"\n",
        "cifar-100-binary/coarse_label_names.txt": "\n".join(COARSE).encode() + b"\n",
    }
    write_tar(path, files)
    official(monkeypatch, "cifar100", path)
    data_dir = str(tmp_path / "data")
    prepare.prepare("cifar100", data_dir, str(path))
    check_against({"train": (train, fine), "test": (test, fine[:5] + 1)}, "cifar100", data_dir)
    found = read_with_tfds("cifar100", data_dir, "train")
    assert [found[f"train_{i:05d}"]["coarse_label"] for i in range(12)] == coarse.tolist()
    assert stored.read("cifar100", data_dir)["class_names"].tolist() == FINE


def test_order_equals_that_of_the_untouched_builder(tmp_path, monkeypatch):
    # TFDS's own parser reads the same archive through a stand-in for tf.io.gfile and encoding.
    from unittest import mock

    import tensorflow_datasets as tfds
    from tensorflow_datasets.image_classification import cifar

    path = tmp_path / "cifar-10-binary.tar.gz"
    cifar10_archive(path)
    official(monkeypatch, "cifar10", path)
    prepare.prepare("cifar10", str(tmp_path / "ours"), str(path))
    with tarfile.open(path) as tar:
        tar.extractall(tmp_path / "raw", filter="data")
    monkeypatch.setattr(cifar, "tf", mock.Mock(io=mock.Mock(gfile=mock.Mock(GFile=open))))
    load = cifar._load_data

    def load_as_pil(*args):
        return ((labels, Image.fromarray(image)) for labels, image in load(*args))

    monkeypatch.setattr(cifar, "_load_data", load_as_pil)
    manager = mock.Mock(downloaded_size=0)
    manager.download_and_extract.return_value = str(tmp_path / "raw")
    builder = tfds.builder("cifar10", data_dir=tmp_path / "theirs", file_format="array_record")
    monkeypatch.setattr(builder, "_make_download_manager", lambda **kwargs: manager)
    builder.download_and_prepare()
    ours, theirs = (stored.read("cifar10", str(tmp_path / d)) for d in ("ours", "theirs"))
    for key in ours:
        np.testing.assert_array_equal(ours[key], theirs[key])


def class_tree(suffix=".png"):
    """Files of a class-per-folder tree, PNG so that the pixels are exact."""
    files, truth = {}, {}
    for seed, (split, each) in enumerate({"train": 3, "test": 1}.items()):
        images = random_images(10 * each, seed)
        labels = np.repeat(np.arange(10), each)
        truth[split] = images, labels
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "png")
            files[f"{split}/{CLASSES[label]}/{i % each:04d}{suffix}"] = buffer.getvalue()
    return files, truth


def write_tree(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


@pytest.mark.parametrize("form", ["folder", "tar.gz", "tar.xz", "tar with a parent folder"])
def test_class_folders(tmp_path, form):
    files, truth = class_tree()
    if form == "folder":
        source = write_tree(tmp_path / "tree", files)
    else:
        prefix = "./CIFAR-10-images/" if "parent" in form else ""
        reordered = sorted(files, key=lambda name: hashlib.md5(name.encode()).digest())
        suffix = "tar.gz" if "parent" in form else form
        source = write_tar(tmp_path / f"c.{suffix}", {prefix + n: files[n] for n in reordered})
    data_dir = str(tmp_path / "data")
    assert "30 training and 10 test" in prepare.prepare("cifar10", data_dir, str(source))
    check_against(truth, "cifar10", data_dir)
    recorded = json.loads((tmp_path / "data/cifar10/3.0.2/manifest.json").read_text())
    assert recorded["source"] == source.name
    assert {name: split["examples"] for name, split in recorded["splits"].items()} == {
        "train": 30,
        "test": 10,
    }
    assert recorded["label_names"] == {"label": list(CLASSES)}
    assert {len(split["files"]) for split in recorded["splits"].values()} == {1}
    assert {"dataset_info.json", "features.json", "label.labels.txt"} <= set(recorded["texts"])


def npz_arrays():
    return {
        "train_images": random_images(8),
        "train_labels": np.arange(8, dtype=np.uint8),
        "test_images": random_images(4, 1),
        "test_labels": np.arange(4, dtype=np.uint8) + 6,
    }


def write_npz(path, arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    content = buffer.getvalue()
    path.write_bytes(lzma.compress(content) if path.suffix == ".xz" else content)
    return path


@pytest.mark.parametrize("suffix", ["npz", "npz.xz"])
def test_npz(tmp_path, suffix):
    arrays = npz_arrays()
    path = write_npz(tmp_path / f"images.{suffix}", arrays)
    data_dir = str(tmp_path / "data")
    prepare.prepare("cifar10", data_dir, str(path))
    truth = {s: (arrays[f"{s}_images"], arrays[f"{s}_labels"]) for s in ("train", "test")}
    check_against(truth, "cifar10", data_dir)


def refused(tmp_path, name, source, message, data_dir=None):
    """The source is refused in one sentence and nothing is left behind."""
    where = tmp_path / "data"
    with pytest.raises(InputError, match=message) as caught:
        prepare.prepare(name, str(where) if data_dir is None else data_dir, str(source))
    assert "\n" not in str(caught.value)
    assert not where.exists() or list(where.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.update({"train/plane/0000.png": b""}), "has a class 'plane' in train/"),
        (lambda f: f.pop("test/frog/0000.png"), "has no images in test/frog/"),
        (
            lambda f: f.update({"train/dog/0001.png": f["train/dog/0001.png"][:900]}),
            r"train/dog/0001\.png is a damaged image",
        ),
        (lambda f: f.update({"train/dog/0001.png": b"hello"}), r"0001\.png is a damaged image"),
        (lambda f: f.update({"train/dog/9.png": png(16)}), r"9\.png is \(16, 16, 3\); give --size"),
        (
            lambda f: f.update({"train/dog/9.png": png(32, "L")}),
            r"9\.png is \(32, 32, 1\); give --chan",
        ),
    ],
)
def test_bad_class_folders(tmp_path, change, message):
    files, _ = class_tree()
    change(files)
    refused(tmp_path, "cifar10", write_tree(tmp_path / "tree", files), message)
    refused(tmp_path, "cifar10", write_tar(tmp_path / "tree.tar.gz", files), message)


def png(size, mode="RGB"):
    buffer = io.BytesIO()
    Image.new(mode, (size, size)).save(buffer, "png")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_labels": None}, "has no array test_labels"),
        ({"train_images": np.zeros((8, 32, 32), np.uint8)}, r"several shapes: .*\(32, 32, 1\)"),
        ({"train_images": np.zeros((8, 32, 32, 3))}, "train_images is float64"),
        ({"train_labels": np.arange(7)}, r"train_labels is int64 \(7,\)"),
        ({"train_labels": np.arange(8) + 3}, "holds the value 10 as train_labels"),
        ({"train_labels": np.arange(8) - 1}, "holds the value -1 as train_labels"),
        ({"test_images": np.zeros((0, 32, 32, 3), np.uint8)}, "test_images is uint8"),
        ({"test_labels": np.array([{}] * 4)}, "is damaged or no .npz file"),
    ],
)
def test_bad_npz(tmp_path, changes, message):
    arrays = {k: v for k, v in (npz_arrays() | changes).items() if v is not None}
    refused(tmp_path, "cifar10", write_npz(tmp_path / "a.npz", arrays), message)


@pytest.mark.parametrize("suffix", ["tar.gz", "tar.xz", "npz", "npz.xz"])
@pytest.mark.parametrize("damage", ["cut", "not that format", "empty"])
def test_damaged_files(tmp_path, suffix, damage):
    path = tmp_path / f"file.{suffix}"
    if "npz" in suffix:
        write_npz(path, npz_arrays())
    else:
        write_tar(path, class_tree()[0])
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "empty": b""}.get(damage, b"hello"))
    refused(tmp_path, "cifar10", path, rf"file\.{suffix} is (damaged|an empty archive)")


def test_archive_with_another_checksum_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "cifar-10-binary.tar.gz"
    cifar10_archive(path)
    refused(tmp_path, "cifar10", path, "where the official archive has 170052171")
    official(monkeypatch, "cifar10", path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refused(tmp_path, "cifar10", path, "is damaged or not the official archive: its sha256")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.pop("cifar-100-binary/test.bin"), "lacks cifar-100-binary/test.bin"),
        (lambda f: f.update({"cifar-100-binary/test.bin": b"x" * 3073}), "not of 3074 bytes each"),
        (
            lambda f: f.update({"cifar-100-binary/test.bin": b"\x14" + bytes(3073)}),
            "holds the value 20 as coarse_label",
        ),
    ],
)
def test_official_archive_is_parsed_strictly(tmp_path, change, message):
    files = {
        "cifar-100-binary/train.bin": records(random_images(2), [1, 2], [3, 4]),
        "cifar-100-binary/test.bin": records(random_images(2), [1, 2], [3, 4]),
        "cifar-100-binary/fine_label_names.txt": "\n".join(FINE).encode(),
        "cifar-100-binary/coarse_label_names.txt": "\n".join(COARSE).encode(),
    }
    change(files)
    path = write_tar(tmp_path / "a.tar.gz", files)
    with pytest.raises(DataError, match=message):
        read_cifar(path, "cifar100")


def test_python_version_is_refused(tmp_path):
    path = write_tar(tmp_path / "p.tar.gz", {"cifar-10-batches-py/data_batch_1": b"x"})
    refused(tmp_path, "cifar10", path, "Python version, which cannot be verified")


def test_only_the_official_archive_enters_the_default_directory(tmp_path, monkeypatch):
    from tensorflow_datasets.core import constants

    default = tmp_path / "data"
    monkeypatch.setattr(constants, "DATA_DIR", str(default))
    source = write_tree(tmp_path / "tree", class_tree()[0])
    message = "may not go into TFDS's default directory; choose another with --data_dir"
    refused(tmp_path, "cifar10", source, message)
    refused(tmp_path, "cifar10", source, message, data_dir=f"{tmp_path}/x/../data")
    refused(tmp_path, "cifar10", source, message, data_dir="")
    refused(tmp_path, "cifar10", source, message, data_dir="~/tensorflow_datasets")
    refused(tmp_path, "cifar10", write_npz(tmp_path / "a.npz", npz_arrays()), message)
    path = tmp_path / "cifar-10-binary.tar.gz"
    cifar10_archive(path)
    official(monkeypatch, "cifar10", path)
    prepare.prepare("cifar10", str(default), str(path))


def test_other_refusals(tmp_path):
    refused(tmp_path, "cifar10", tmp_path / "none.tar.gz", r"none\.tar\.gz.* does not exist")
    refused(tmp_path, "emnist", "", "emnist is a data set of TFDS, whose archive is not known here")
    refused(tmp_path, "photos", "", "photos has no official archive that is known")
    refused(tmp_path, "Photos", "", "must be of small letters, digits and _")
    refused(tmp_path, "dead_leaves", "", "the name of generated images")
    tree = write_tree(tmp_path / "tree", class_tree()[0])
    refused(tmp_path, "cifar100", tree, "not the official binary archive of cifar100")


def test_failure_while_writing_leaves_nothing(tmp_path, monkeypatch):
    source = write_npz(tmp_path / "a.npz", npz_arrays())

    def disk_full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prepare.os, "rename", disk_full)
    refused(tmp_path, "cifar10", source, "cannot prepare cifar10 in .* No space left on device")


def test_front_door(tmp_path):
    source = write_npz(tmp_path / "a.npz", npz_arrays())

    def run(*arguments):
        command = [sys.executable, "-m", "randlabels.data.prepare", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ)

    flags = ("--name=cifar10", f"--data_dir={tmp_path}/data")
    done = run(*flags, f"--source={source}")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("cifar10 is prepared in")
    assert done.stdout.count("\n") == 1
    failed = run("--name=cifar10", f"--data_dir={tmp_path}/b", f"--source={tmp_path}/none")
    assert failed.returncode == 1
    assert failed.stderr == f"randlabels: --source '{tmp_path}/none' does not exist.\n"
