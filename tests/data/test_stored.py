import os
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from randlabels.data import cache, stored
from randlabels.data.errors import DataError

NAMES = ["cifar10", "cifar100", "svhn_cropped", "mnist", "fashion_mnist"]


def shards(data_dir):
    return sorted(Path(data_dir).glob("*/*/*.array_record*"))


def cache_file(data_dir):
    (path,) = Path(data_dir).glob("*/decoded-*.npz")
    return path


@pytest.mark.parametrize("name", NAMES)
def test_reads_what_the_builder_wrote(write_tfds, tmp_path, name):
    truth = write_tfds(tmp_path, name)
    data = stored.read(name, str(tmp_path))
    for split, (images, labels) in truth.items():
        found, found_labels = data[f"{split}_images"], data[f"{split}_labels"]
        assert found.dtype == np.uint8
        assert found_labels.dtype == np.int32
        # TFDS shuffles; the random pictures are all different, so each tells which one it is.
        position = {image.tobytes(): i for i, image in enumerate(images)}
        order = [position.pop(image.tobytes()) for image in found]
        np.testing.assert_array_equal(found_labels, labels[order])


def test_order_is_that_of_plain_tfds(write_tfds, tmp_path):
    import tensorflow_datasets as tfds

    write_tfds(tmp_path, "cifar10")
    data = stored.read("cifar10", str(tmp_path))
    records = tfds.data_source("cifar10", data_dir=tmp_path, split="train")
    for i in range(len(records)):
        np.testing.assert_array_equal(records[i]["image"], data["train_images"][i])
        assert records[i]["label"] == data["train_labels"][i]


def test_cache_is_used_and_follows_the_preparation(write_tfds, tmp_path, monkeypatch):
    write_tfds(tmp_path, "cifar10")
    first = stored.read("cifar10", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(stored, "decode", lambda *args: pytest.fail("decoded again"))
        again = stored.read("cifar10", str(tmp_path))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])

    shutil.rmtree(tmp_path / "cifar10/3.0.2")
    truth = write_tfds(tmp_path, "cifar10", seed=1)
    other = stored.read("cifar10", str(tmp_path))
    assert sorted(other["train_images"].sum((1, 2, 3))) == sorted(truth["train"][0].sum((1, 2, 3)))
    assert [p.name for p in (tmp_path / "cifar10").iterdir() if p.is_file()] == [
        "decoded-3.0.2.npz"
    ]


def test_no_flipped_bit_of_a_cache_gives_other_arrays(write_tfds, tmp_path):
    """Among them those that NumPy takes for another shape, and those it cannot make sense of."""
    write_tfds(tmp_path, "cifar10")
    first = stored.read("cifar10", str(tmp_path))
    path = cache_file(tmp_path)
    content = path.read_bytes()
    key = cache.preparation_key(tmp_path / "cifar10/3.0.2")
    with zipfile.ZipFile(path) as archive:
        headers = [one.header_offset for one in archive.infolist()]
    heads = [start + i for start in headers for i in range(30, 160, 3)]
    for place in [*heads, *range(len(content) - 300, len(content), 5)]:
        spoiled = bytearray(content)
        spoiled[place] ^= 1 << place % 8
        path.write_bytes(spoiled)
        found = cache.read_cache(path, key, stored._KEYS)
        assert found is None or all(np.array_equal(found[name], first[name]) for name in first)


def test_an_edited_cache_is_made_again(write_tfds, tmp_path, caplog):
    write_tfds(tmp_path, "cifar10")
    first = stored.read("cifar10", str(tmp_path))
    path = cache_file(tmp_path)
    with np.load(path) as kept:
        arrays = dict(kept)
    labels = arrays["train_labels"][::-1]
    assert not np.array_equal(labels, arrays["train_labels"])
    np.savez(path, **arrays | {"train_labels": labels})
    second = stored.read("cifar10", str(tmp_path))
    assert "its arrays are not those that were written" in caplog.text
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize("damage", ["truncated", "flipped byte", "not an npz", "empty"])
def test_damaged_cache_is_made_again(write_tfds, tmp_path, caplog, damage):
    write_tfds(tmp_path, "cifar10")
    first = stored.read("cifar10", str(tmp_path))
    path = cache_file(tmp_path)
    content = bytearray(path.read_bytes())
    if damage == "flipped byte":
        content[len(content) // 2] ^= 1
    path.write_bytes(
        {"truncated": content[:-1000], "not an npz": b"hello", "empty": b""}.get(damage, content)
    )
    second = stored.read("cifar10", str(tmp_path))
    assert "is damaged" in caplog.text
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    caplog.clear()
    stored.read("cifar10", str(tmp_path))
    assert caplog.text == ""


def test_unwritable_cache_costs_nothing_but_time(write_tfds, tmp_path, monkeypatch, caplog):
    write_tfds(tmp_path, "cifar10")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache.tempfile, "mkstemp", refuse)
    assert len(stored.read("cifar10", str(tmp_path))["train_images"]) == 30
    assert "cannot keep the decoded images" in caplog.text


def test_failed_cache_leaves_no_file(write_tfds, tmp_path, monkeypatch, caplog):
    write_tfds(tmp_path, "cifar10")

    def disk_full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.np, "savez", disk_full)
    stored.read("cifar10", str(tmp_path))
    assert "No space left on device" in caplog.text
    assert [p.name for p in (tmp_path / "cifar10").iterdir()] == ["3.0.2"]


@pytest.mark.parametrize("name", stored.OFFICIAL)
def test_missing_set_names_the_command_without_network(tmp_path, name, monkeypatch):
    # TFDS left alone retries its download for 204 s on a machine without internet.
    for call in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, call, lambda *args, **kwargs: pytest.fail("network used"))
    with pytest.raises(DataError) as caught:
        stored.read(name, str(tmp_path))
    command = f"python -m randlabels.data.prepare --name={name} --data_dir={tmp_path}"
    assert f"run `{command}`" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_other_sets_name_the_command_of_tfds(tmp_path):
    with pytest.raises(DataError, match="run `tfds build emnist --file_format=array_record") as e:
        stored.read("emnist", str(tmp_path))
    assert "on a machine that has TensorFlow, or give your images a name of their own" in str(
        e.value
    )


def test_set_that_needs_tensorflow_is_refused(tmp_path):
    with pytest.raises(DataError, match="titanic needs TensorFlow"):
        stored.read("titanic", str(tmp_path))


def test_unknown_set_suggests_the_nearest_name(tmp_path):
    with pytest.raises(
        DataError, match=r"no data set named 'cifra10' \(looked in .*\); did you mean 'cifar10'"
    ):
        stored.read("cifra10", str(tmp_path))
    with pytest.raises(DataError, match="did you mean 'dead_leaves'"):
        stored.read("deadleaves", str(tmp_path))


@pytest.mark.parametrize(
    "name",
    ["", "..", "/etc/passwd", "a\nb", "a\0", "x" * 4000, "cifar10?x", "cifar10:9.9.9", "cifar10/x"],
)
def test_odd_names_are_one_sentence(tmp_path, name):
    with pytest.raises(DataError, match="there is no data set named|TFDS has no") as caught:
        stored.measure(name, str(tmp_path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("imagenette", "is not a set of equally sized images; set config.data.short_side"),
        ("voc", "is not a set of grey or RGB uint8 images with one class each"),
    ],
)
def test_sets_of_another_kind_are_refused(tmp_path, name, said, monkeypatch):
    import tensorflow_datasets as tfds

    # Sizes of imagenette's images differ; voc has several labels an image.
    builder = stored.find_builder(name, str(tmp_path))
    builder.info.set_file_format(tfds.core.FileFormat.ARRAY_RECORD, override=True)
    monkeypatch.setattr(stored, "find_builder", lambda *args: builder)
    monkeypatch.setattr(stored, "is_prepared", lambda *args: True)
    Path(builder.data_dir).mkdir(parents=True)
    with pytest.raises(DataError, match=f"{name} {said}"):
        stored.read(name, str(tmp_path))


@pytest.mark.parametrize("damage", ["truncated", "missing", "flipped byte"])
def test_damaged_shard_is_one_sentence(write_tfds, tmp_path, damage):
    write_tfds(tmp_path, "cifar10")
    shard = next(path for path in shards(tmp_path) if "train" in path.name)
    content = bytearray(shard.read_bytes())
    if damage == "missing":
        shard.unlink()
    elif damage == "truncated":
        shard.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 0xFF
        shard.write_bytes(content)
    with pytest.raises(DataError, match=r"train split in .* is damaged .* delete") as caught:
        stored.read("cifar10", str(tmp_path))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("*/*.npz"))


def test_other_format_is_refused(write_tfds, tmp_path):
    write_tfds(tmp_path, "mnist")
    info = tmp_path / "mnist/3.0.1/dataset_info.json"
    info.write_text(info.read_text().replace('"array_record"', '"tfrecord"'))
    with pytest.raises(DataError, match="holds mnist as tfrecord, which cannot be read"):
        stored.read("mnist", str(tmp_path))


def test_import_stays_cheap():
    code = "import sys, randlabels.data.sources, randlabels.data.stored, randlabels.data.prepare;"
    code += "sys.exit('tensorflow_datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ).returncode == 0
