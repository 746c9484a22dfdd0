"""Own images, from a folder to a prepared data set that trains, and official sets beside CIFAR."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from absl import logging
from ml_collections import ConfigDict
from test_forms import class_files, idx_folder, noise, picture, svhn_folder, write_tree
from test_prepare import write_tar

from randlabels.data import prepare as module
from randlabels.data import sources, stored
from randlabels.data.check import check
from randlabels.data.errors import DataError
from randlabels.data.forms import Examples, RawData, Wishes
from randlabels.data.prepare import prepare
from randlabels.errors import InputError


@pytest.fixture
def photos(tmp_path):
    """A folder of 20 pictures of each of 3 classes, of many sizes."""
    rng = np.random.default_rng(0)
    files = {
        f"{label}/{i:02d}.png": picture(noise(*rng.integers(12, 30, 2), 3, seed=i))
        for label in ("cats", "dogs", "owls")
        for i in range(20)
    }
    return write_tree(tmp_path / "photos", files)


def load(name, data_dir, **fields):
    values = {
        "name": name, "data_dir": str(data_dir), "seed": 0, "upstream_size": 20,
        "downstream_size": 10, "test_size": 0, "image_size": 0, "shuffle_pixels": False,
        "short_side": 0, "stream": False,
    }  # fmt: skip
    return sources.load(ConfigDict(values | fields))


def test_a_folder_becomes_a_data_set_that_tfds_reads(photos, tmp_path):
    import tensorflow_datasets as tfds

    said = prepare("birds", str(tmp_path / "ds"), str(photos), Wishes(size=8), 0.2)
    first, command = said.split("\n")
    assert "48 training and 12 test images from photos" in first
    assert "0.2 of each class held out (--seed=0)" in first
    assert "8 x 8 x 3, of 3 classes (cats, dogs, owls)" in first
    assert "--config.data.name=birds" in command
    assert "--config.data.upstream_size=24 --config.data.downstream_size=24" in command
    builder = tfds.builder("birds", data_dir=tmp_path / "ds")
    assert builder.info.features["label"].names == ["cats", "dogs", "owls"]
    source = builder.as_data_source(split="train")
    from randlabels.data.forms.pictures import decode

    seen = set()
    for record in (source[i] for i in range(len(source))):
        name = record["id"].decode()
        wanted, _ = decode((photos / name).read_bytes(), Wishes(size=8))
        np.testing.assert_array_equal(record["image"], wanted)
        assert name.startswith(["cats", "dogs", "owls"][record["label"]])
        seen.add(name)
    assert len(seen) == 48
    dataset = load("birds", tmp_path / "ds")
    assert dataset.class_names == ("cats", "dogs", "owls")
    assert (len(dataset.train_images), len(dataset.test_images)) == (48, 12)
    assert np.bincount(dataset.test_labels).tolist() == [4, 4, 4]


def test_what_is_held_out_hangs_on_the_seed_alone(photos, tmp_path):
    found = []
    for place, seed in enumerate((0, 0, 1)):
        data_dir = tmp_path / str(place)
        prepare("birds", str(data_dir), str(photos), Wishes(size=4), 0.2, seed)
        found.append(stored.read("birds", str(data_dir))["test_images"])
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_a_share_of_nothing_is_refused(tmp_path):
    source = write_tree(tmp_path / "photos", class_files(each=2))
    for share, message in ((0.1, "leaves nothing to train or to test on"), (0.0, "between 0 and")):
        with pytest.raises(DataError, match=message):
            prepare("birds", str(tmp_path / "ds"), str(source), test_share=share)
    assert not (tmp_path / "ds").exists() or not list((tmp_path / "ds").iterdir())


def test_a_set_of_the_users_own_says_that_it_is_there_and_of_what(photos, tmp_path):
    where = str(tmp_path / "ds")
    prepare("birds", where, str(photos), Wishes(size=8))
    assert "birds is already prepared in" in prepare("birds", where, str(photos), Wishes(size=8))
    with pytest.raises(DataError, match="did you mean 'birds'"):
        stored.read("brids", where)


@pytest.mark.parametrize(
    "change", [{"wishes": Wishes(size=4)}, {"seed": 1}, {"test_share": 0.2}, {"source": "others"}]
)
def test_another_preparation_under_the_same_name_is_refused(photos, tmp_path, change):
    where = str(tmp_path / "ds")
    asked = {"source": str(photos), "wishes": Wishes(size=8), "test_share": 0.1, "seed": 0}
    prepare("birds", where, **asked)
    if "source" in change:
        (tmp_path / "others").mkdir()
        change = {"source": str(tmp_path / "others")}
    with pytest.raises(DataError, match="birds is already prepared .* choose another --name, or"):
        prepare("birds", where, **asked | change)
    with pytest.raises(InputError, match="nowhere.* does not exist"):
        prepare("birds", where, **asked | {"source": str(tmp_path / "nowhere")})


@pytest.mark.parametrize("share", [float("nan"), -0.1, 1.5])
def test_a_share_of_damaged_images_that_is_none(photos, tmp_path, share):
    with pytest.raises(DataError, match="--max_unusable=.* must lie between 0 and 1"):
        prepare("birds", str(tmp_path / "ds"), str(photos), Wishes(8, 0, share))


@pytest.mark.parametrize("names", [("a\nb", "c"), (" ", "b"), ("a", "a "), ("", "b")])
def test_names_that_no_file_of_names_holds_are_refused(tmp_path, names):
    arrays = {"images": noise(20, 8, 8, 3), "labels": np.arange(20) % 2, "classes": np.array(names)}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(
        DataError, match="give it a name of one line that can be printed, without blanks"
    ):
        prepare("birds", str(tmp_path / "ds"), str(tmp_path / "a.npz"))


def test_classes_that_are_double_or_empty_are_refused(tmp_path):
    for names, message in ((("a", "a"), "two classes 'a'"), (("a", "b", "c"), "of the class 'c'")):
        arrays = {"images": noise(20, 8, 8, 3), "labels": np.arange(20) % 2}
        np.savez(tmp_path / "a.npz", **arrays, classes=np.array(names))
        with pytest.raises(DataError, match=message):
            prepare("birds", str(tmp_path / "ds"), str(tmp_path / "a.npz"))


def test_a_class_of_which_all_images_are_damaged_is_missed(photos, tmp_path):
    for path in (photos / "cats").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(DataError, match="has no training image of the class 'cats'"):
        prepare("birds", str(tmp_path / "ds"), str(photos), Wishes(8, 0, 0.6))


def test_small_classes_without_test_images_are_counted(tmp_path):
    files = class_files(each=4) | {f"many/{i}.png": picture(noise(8, 8, 3)) for i in range(20)}
    source = write_tree(tmp_path / "photos", files)
    said = prepare("birds", str(tmp_path / "ds"), str(source))
    assert "none of 3 classes with too few images for that" in said


def test_a_missing_set_of_the_users_own_names_the_way_to_it(tmp_path):
    with pytest.raises(DataError, match=r"prepared by `python -m randlabels.data.prepare`"):
        stored.read("qqqzzz", str(tmp_path))


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "text", "description"])
def test_check_reads_from_end_to_end(photos, tmp_path, damage):
    where = tmp_path / "ds"
    prepare("birds", str(where), str(photos), Wishes(size=8), 0.2)
    said = check(str(where / "birds"))
    assert "48 train images, 16 to 16 of a class and 12 test images, 4 to 4 of a class" in said
    assert "all files are as they were made" in said
    folder = where / "birds" / "1.0.0"
    shard = next(folder.glob("*train.array_record*"))
    content = bytearray(shard.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
        shard.write_bytes(bytes(content))
    elif damage == "cut":
        shard.write_bytes(bytes(content[:-10]))
    elif damage == "remove":
        shard.unlink()
    elif damage == "text":
        (folder / "label.labels.txt").write_text("cats\ndogs\nbats\n")
    else:
        (folder / "dataset_info.json").write_text("{")
    with pytest.raises(DataError, match="damaged|cannot be read") as caught:
        check(str(where))
    assert "\n" not in str(caught.value)


def test_check_names_what_it_cannot_choose(photos, tmp_path):
    with pytest.raises(DataError, match="holds no prepared data set"):
        check(str(tmp_path))
    for name in ("birds", "more_birds"):
        prepare(name, str(tmp_path / "ds"), str(photos), Wishes(size=8))
    with pytest.raises(DataError, match="holds several data sets"):
        check(str(tmp_path / "ds"))


@pytest.mark.parametrize("splits", [("train", "validation"), ("train",), ("train", "test")])
def test_sets_without_test_images_use_validation_or_a_share(tmp_path, splits, monkeypatch, caplog):
    """As imagenet_resized and others of TFDS are."""
    rng = np.random.default_rng(0)
    parts = {
        split: Examples(
            rng.integers(0, 256, (size, 4, 4, 3), np.uint8), {"label": np.arange(size) % 2}
        )
        for split, size in zip(splits, (40, 10), strict=False)
    }
    data = RawData(parts, {"label": ("a", "b")})
    monkeypatch.setattr(module, "_with_test", lambda data, *rest: data)
    monkeypatch.setattr(module, "_read_source", lambda *rest: (data, "planted"))
    prepare("planted", str(tmp_path), str(tmp_path))
    with caplog.at_level(logging.WARNING, logger="absl"):
        found = stored.read("planted", str(tmp_path))
    train, test = (40, 10) if len(splits) == 2 else (36, 4)
    assert stored.measure("planted", str(tmp_path)) == ((4, 4, 3), train, test)
    assert (len(found["train_images"]), len(found["test_images"])) == (train, test)
    both = np.concatenate([found["train_images"], found["test_images"]]).reshape(train + test, -1)
    assert len(np.unique(both, axis=0)) == train + test
    said = {"validation": "its validation split is one", "": "0.1 of its training images are one"}
    last = splits[-1] if len(splits) == 2 else ""
    assert (said.get(last, "no test split") in caplog.text) == (last != "test")
    caplog.clear()
    again = stored.read("planted", str(tmp_path))
    assert caplog.text == ""  # it was said once
    np.testing.assert_array_equal(again["test_images"], found["test_images"])
    called = {"test": "test", "validation": "validation", "": "held-out train"}[last]
    assert f" of a class and {test} {called} images, " in check(str(tmp_path / "planted"))


# --- the official sets


def official(monkeypatch, name, folder):
    """Makes TFDS expect the files of a folder."""
    builder = type(stored.find_builder(name, str(folder)))
    (first, *_) = builder.url_infos.values()
    infos = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        infos[f"http://127.0.0.1:9/{path.name}"] = type(first)(
            size=len(content), checksum=digest, filename=path.name
        )
    monkeypatch.setattr(builder, "url_infos", infos)


def stl10_archive(folder):
    truth, files = (
        {},
        {
            "stl10_binary/class_names.txt": b"\n".join(b"%d" % i for i in range(10)),
            "stl10_binary/x": b"x",
        },
    )
    for seed, split in enumerate(("train", "test")):
        images, labels = noise(4, 96, 96, 3, seed=seed), np.arange(4) % 2
        truth[split] = images, labels
        files[f"stl10_binary/{split}_X.bin"] = images.transpose(0, 3, 2, 1).tobytes()
        files[f"stl10_binary/{split}_y.bin"] = (labels + 1).astype(np.uint8).tobytes()
    write_tar(folder / "stl10_binary.tar.gz", files)
    return truth


ROOT = Path(__file__).parents[2]
MAKERS = {
    "mnist": idx_folder,
    "fashion_mnist": idx_folder,
    "svhn_cropped": svhn_folder,
    "stl10": stl10_archive,
}


@pytest.mark.parametrize("name", MAKERS)
def test_official_sets(tmp_path, monkeypatch, name):
    import tensorflow_datasets as tfds

    folder = tmp_path / "files"
    folder.mkdir()
    truth = MAKERS[name](folder)
    official(monkeypatch, name, folder)
    source = folder / "stl10_binary.tar.gz" if name == "stl10" else folder
    said = prepare(name, str(tmp_path / "ds"), str(source))
    assert "official files" in said or "from stl10_binary.tar.gz" in said
    for split, (images, labels) in truth.items():
        data = tfds.data_source(name, data_dir=tmp_path / "ds", split=split)
        found = {np.asarray(r["image"]).tobytes(): int(r["label"]) for r in data}
        wanted = {image.tobytes(): int(y) for image, y in zip(images, labels, strict=True)}
        assert found == wanted
    # The default directory takes what is official, and nothing else.
    other = tmp_path / "other"
    other.mkdir()
    MAKERS[name](other)
    spoiled = next(iter(sorted(other.iterdir())))
    spoiled.write_bytes(gzip.compress(b"another") if name != "svhn_cropped" else b"another")
    given = other / "stl10_binary.tar.gz" if name == "stl10" else other
    with pytest.raises(DataError, match="where the official archive has|damaged"):
        prepare(name, "", str(given))


def test_a_copy_under_an_official_name_must_fit_it(tmp_path, photos):
    where = str(tmp_path / "ds")
    with pytest.raises(DataError, match="has a class 'cats' in train/; the classes are airplane"):
        prepare("cifar10", where, str(photos), Wishes(size=32))
    path = tmp_path / "a.npz"
    arrays = {f"{s}_images": noise(10, 8, 8) for s in ("train", "test")}
    np.savez(path, **arrays, train_labels=np.arange(10), test_labels=np.arange(10))
    with pytest.raises(DataError, match=r"shape \(8, 8, 1\); mnist images are \(28, 28, 1\)"):
        prepare("mnist", where, str(path))
    assert "10 training and 10 test" in prepare("mnist", where, str(path), Wishes(size=28))


@pytest.mark.slow
def test_from_class_folders_to_figures_in_three_commands(photos, tmp_path):
    """The commands of docs/data.md, small."""

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "photos" / "cats" / "note.txt").write_text("hello")
    said = run(
        "randlabels.data.prepare",
        "--name=birds",
        f"--source={photos}",
        "--size=8",
        "--data_dir=datasets",
    )
    assert "1 other files ignored" in said
    _, command = said.strip().split("\nTrain on random labels: python -m ")
    small = ("train.epochs=2", "population.seeds=2", "train.batch_size=16", "model.filters=100")
    run(*command.split(), *(f"--config.{field}" for field in small))
    run("randlabels.analyze", "--workdir=runs/birds", "--random_bases=5")
    assert (tmp_path / "runs" / "birds" / "analysis" / "alignment.json").exists()
    assert list((tmp_path / "runs" / "birds" / "figures").glob("*.png"))
    manifest = json.loads((tmp_path / "datasets/birds/1.0.0/manifest.json").read_text())
    assert manifest["source"] == "photos"
