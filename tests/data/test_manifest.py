"""A prepared data set that was damaged since is refused in one sentence; leftovers go away."""

import fcntl
import io
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from randlabels.data import prepare, stored
from randlabels.data.errors import DataError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder with a small cifar10 that was prepared from a .npz."""
    folder = tmp_path_factory.mktemp("prepared")
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 20), ("test", 10)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
        arrays[f"{split}_labels"] = np.arange(count) % 10
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    (folder / "a.npz").write_bytes(buffer.getvalue())
    prepare.prepare("cifar10", str(folder / "data"), str(folder / "a.npz"))
    return folder


@pytest.fixture
def version(prepared, tmp_path):
    """The folder of a version of its own, to be damaged."""
    shutil.copytree(prepared / "data", tmp_path / "data")
    return tmp_path / "data" / "cifar10" / "3.0.2"


def refused(version, message):
    data_dir = str(version.parents[1])
    for read in (stored.read, stored.measure):
        with pytest.raises(DataError, match=message) as caught:
            read("cifar10", data_dir)
        assert "\n" not in str(caught.value)
        assert "delete" in str(caught.value)
    with pytest.raises(DataError, match=message):
        prepare.prepare("cifar10", data_dir, "")


def test_what_was_prepared_is_read_and_named(version):
    data_dir = str(version.parents[1])
    assert stored.measure("cifar10", data_dir) == ((32, 32, 3), 20, 10)
    assert len(stored.read("cifar10", data_dir)["train_images"]) == 20
    assert "already prepared" in prepare.prepare("cifar10", data_dir, "")
    assert "(from a.npz)" in prepare.prepare("cifar10", data_dir, "")


@pytest.mark.parametrize("decoded", [False, True], ids=["first time", "kept"])
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("label.labels.txt", lambda b: b.replace(b"dog", b"god"), "label.labels.txt was changed"),
        ("label.labels.txt", lambda b: b"", "label.labels.txt has 0 bytes"),
        (
            "dataset_info.json",
            lambda b: b[: len(b) // 2],
            "description of .* cannot be read|has .* bytes",
        ),
        ("dataset_info.json", lambda b: b"", "description of .* cannot be read|has 0 bytes"),
        ("dataset_info.json", lambda b: b.replace(b'"20"', b'"19"'), "json was changed"),
        ("features.json", lambda b: b"[]", "description of .* cannot be read|has 2 bytes"),
        ("manifest.json", lambda b: b[:-20], "manifest.json is damaged"),
        ("manifest.json", lambda b: b"{}", "manifest.json is damaged"),
        ("manifest.json", lambda b: b"[1]", "manifest.json is damaged"),
        ("manifest.json", lambda b: b"\xff\xfe", "manifest.json is damaged"),
        ("cifar10-train.array_record-00000-of-00001", lambda b: b[:-9], "has .* bytes"),
        ("cifar10-test.array_record-00000-of-00001", lambda b: None, "is missing"),
    ],
)
def test_damage_is_one_sentence(version, name, change, message, decoded):
    if decoded:
        stored.read("cifar10", str(version.parents[1]))
    path = version / name
    content = change(path.read_bytes())
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    refused(version, message)


def without(*keys):
    """The manifest without what a path of keys leads to."""

    def change(manifest):
        *above, last = keys
        for key in above:
            manifest = manifest[key]
        del manifest[last]

    return change


SHARD = "cifar10-train.array_record-00000-of-00001"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(label_names=[]), "manifest.json is damaged"),
        (lambda m: m.update(label_names={"label": "dog"}), "manifest.json is damaged"),
        (lambda m: m["texts"].update({"../x": {"bytes": 1, "sha256": ""}}), "is damaged"),
        (lambda m: m["splits"]["train"].update(examples="20"), "manifest.json is damaged"),
        (without("splits"), "manifest.json is damaged"),
        (without("texts"), "manifest.json is damaged"),
        (without("splits", "test", "examples"), "manifest.json is damaged"),
        (lambda m: m["splits"]["train"].update(files={}), "manifest.json is damaged"),
        (without("splits", "train"), f"{SHARD} is not in manifest.json"),
        (without("texts", "dataset_info.json"), "dataset_info.json is not in manifest.json"),
        (without("texts", "label.labels.txt"), "label.labels.txt is not in manifest.json"),
        (
            lambda m: m["splits"].update(more=m["splits"]["train"]),
            "manifest.json has other splits than dataset_info.json",
        ),
    ],
)
def test_an_edited_manifest_does_not_disarm_the_check(version, change, message):
    manifest = json.loads((version / "manifest.json").read_text())
    change(manifest)
    (version / "manifest.json").write_text(json.dumps(manifest))
    refused(version, message)


def test_a_manifest_of_brackets_and_one_that_never_ends(version):
    (version / "manifest.json").write_text("[" * 10**5)
    refused(version, "manifest.json is damaged")
    (version / "manifest.json").unlink()
    os.mkfifo(version / "manifest.json")
    refused(version, "manifest.json is damaged")


def test_a_set_without_a_manifest_is_read(version):
    """As TFDS itself makes it."""
    (version / "manifest.json").unlink()
    assert len(stored.read("cifar10", str(version.parents[1]))["train_images"]) == 20


def test_records_of_the_same_size_are_compared_when_they_are_decoded(version):
    """Two shards of the same sizes exchanged would be a whole, but other, data set."""
    path = version / "cifar10-train.array_record-00000-of-00001"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="of-00001 was changed"):
        stored.read("cifar10", str(version.parents[1]))


def test_leftovers_of_killed_preparations_are_removed_and_living_ones_are_not(prepared, tmp_path):
    data = tmp_path / "data"
    for name in ("dead", "living"):
        (data / f".preparing-cifar10-{name}" / "cifar10").mkdir(parents=True)
    handle = os.open(data / ".preparing-cifar10-living", os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        prepare.prepare("cifar10", str(data), str(prepared / "a.npz"))
        assert sorted(p.name for p in data.iterdir()) == [".preparing-cifar10-living", "cifar10"]
    finally:
        os.close(handle)


def test_a_preparation_that_is_killed_leaves_what_the_next_removes(prepared, tmp_path):
    code = (
        "import sys, time; from randlabels.data import prepare;"
        "prepare.builders.write = lambda *a: (print('writing', flush=True), time.sleep(60));"
        "prepare.prepare('cifar10', *sys.argv[1:])"
    )
    arguments = [str(tmp_path / "data"), str(prepared / "a.npz")]
    child = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout.readline() == "writing\n"
        child.send_signal(signal.SIGKILL)
    (leftover,) = (tmp_path / "data").iterdir()
    assert leftover.name.startswith(".preparing-cifar10-")
    prepare.prepare("cifar10", *arguments)
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["cifar10"]


def test_the_manifest_counts_and_names_the_classes(version):
    found = json.loads((version / "manifest.json").read_text())
    assert {name: split["examples"] for name, split in found["splits"].items()} == {
        "train": 20,
        "test": 10,
    }
    assert found["label_names"]["label"][5] == "dog"
    assert found["source"] == "a.npz"
