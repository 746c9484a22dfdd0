"""Sets of images in the forms in which users have them."""

import gzip
import io
import json
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from randlabels.data.errors import DataError
from randlabels.data.forms import Wishes, read_form
from randlabels.data.forms.pictures import UnusableError, decode, fit


def picture(array, form="png", **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, form, **options)
    return buffer.getvalue()


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def write_tree(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def write_zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path, files):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


WRITERS = {"photos": write_tree, "photos.zip": write_zip, "photos.tar.gz": write_tar}


def area_mean(image, size):
    """Of the centre square, in whole numbers: pixels are cut into parts that cells hold whole."""
    height, width, channels = image.shape
    side = min(height, width)
    parts = image.astype(np.int64).repeat(2 * size, axis=0).repeat(2 * size, axis=1)
    top, left = (height - side) * size, (width - side) * size
    square = parts[top : top + 2 * size * side, left : left + 2 * size * side]
    cells = square.reshape(size, 2 * side, size, 2 * side, channels).sum(axis=(1, 3))
    area = (2 * side) ** 2
    return (2 * cells + area) // (2 * area)


@pytest.mark.parametrize("shape", [(64, 64), (70, 64), (41, 97), (32, 17), (16, 20), (24, 24)])
def test_pictures_are_made_smaller_by_the_mean_over_each_pixels_area(shape):
    image = noise(*shape, 3)
    np.testing.assert_array_equal(fit(image, 16), area_mean(image, 16))


def test_a_picture_of_the_wished_size_is_left_alone_and_a_smaller_one_said_to_be_larger():
    image = noise(16, 16, 3)
    pixels, enlarged = decode(picture(image), Wishes(size=16))
    np.testing.assert_array_equal(pixels, image)
    assert not enlarged
    pixels, enlarged = decode(picture(image), Wishes(size=20))
    assert (pixels.shape, enlarged) == ((20, 20, 3), True)


def test_a_picture_is_turned_upright():
    image = noise(8, 12, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: to be turned by 90 degrees, clockwise
    pixels, _ = decode(picture(image, exif=exif), Wishes())
    np.testing.assert_array_equal(pixels, np.rot90(image, -1))


def test_grey_stays_grey_unless_colour_is_asked_for():
    grey, colour = noise(8, 8), noise(8, 8, 3)
    assert decode(picture(grey), Wishes())[0].shape == (8, 8, 1)
    made, _ = decode(picture(grey), Wishes(channels=3))
    np.testing.assert_array_equal(made, np.repeat(grey[..., None], 3, axis=-1))
    made, _ = decode(picture(colour), Wishes(channels=1))
    luma = colour @ np.array([0.299, 0.587, 0.114])
    assert np.abs(made[..., 0] - luma).max() <= 1


def test_palettes_and_opaque_alpha_are_pixels():
    colour = noise(8, 8, 3) // 64 * 64
    buffer = io.BytesIO()
    Image.fromarray(colour).convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(
        buffer, "png"
    )
    np.testing.assert_array_equal(decode(buffer.getvalue(), Wishes())[0], colour)
    opaque = np.dstack([colour, np.full((8, 8), 255, np.uint8)])
    np.testing.assert_array_equal(decode(picture(opaque), Wishes())[0], colour)


def sixteen_bits(form):
    """Colours of 16 bits a channel, which Pillow reads and cuts to 8."""
    import zlib

    rows = noise(8, 8, 3, 2)
    if form == "ppm":
        return b"P6\n# made\n8 8\n65535\n" + rows.tobytes()

    def chunk(kind, body):
        checksum = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + checksum

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + head + data + chunk(b"IEND", b"")


def moving():
    buffer = io.BytesIO()
    frames = [Image.fromarray(noise(8, 8, 3, seed=i)) for i in range(3)]
    frames[0].save(buffer, "gif", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is a damaged image"),
        (b"hello", "is a damaged image"),
        (picture(noise(8, 8, 3))[:-40], "is a damaged image"),
        (picture(np.dstack([noise(8, 8, 3), noise(8, 8)])), "is transparent in places"),
        (picture(noise(8, 8).astype(np.uint16)), "has more than one byte a channel"),
        (sixteen_bits("png"), "has more than one byte a channel"),
        (sixteen_bits("ppm"), "has more than one byte a channel"),
        (moving(), "has 3 frames, not one"),
    ],
)
def test_pictures_that_cannot_be_used(content, problem):
    with pytest.raises(UnusableError, match=problem):
        decode(content, Wishes())


def class_files(each=3):
    return {
        f"{label}/{i}.png": picture(noise(8, 8, 3, seed=10 * place + i))
        for place, label in enumerate(("cats", "dogs", "owls"))
        for i in range(each)
    }


def check_class_files(data, files):
    """All images are there, in the order of class and name."""
    part = data.splits["train"]
    assert data.label_names == {"label": ("cats", "dogs", "owls")}
    assert len(part.ids) == len(files)
    for name, image, label in zip(part.ids, part.images, part.labels["label"], strict=True):
        key = next(f for f in files if name.endswith(f))
        np.testing.assert_array_equal(image, np.asarray(Image.open(io.BytesIO(files[key]))))
        assert data.label_names["label"][label] == key.split("/")[0]
    assert list(part.ids) == sorted(part.ids)


@pytest.mark.parametrize("prefix", ["", "photos/", "a/b/"])
@pytest.mark.parametrize("form", WRITERS)
def test_class_folders_without_splits(tmp_path, form, prefix):
    files = class_files()
    source = WRITERS[form](tmp_path / form, {prefix + name: c for name, c in files.items()})
    data = read_form(source, Wishes())
    check_class_files(data, files)
    assert data.notes == ()


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("words", [("train", "val", "test"), ("Training", "valid", "TESTING")])
def test_class_folders_of_splits(tmp_path, form, words):
    files = {f"{word}/{n}": c for word in words for n, c in class_files().items()}
    files |= {"train/readme.txt": b"x", "__MACOSX/cats/._0.png": b"x", "train/.hidden.png": b"x"}
    if words[0] == "Training":
        files.pop("train/readme.txt")
        files.pop("train/.hidden.png")
    data = read_form(WRITERS[form](tmp_path / form, files), Wishes())
    assert data.counts == {"train": 9, "validation": 9, "test": 9}
    assert len(data.notes) == (words[0] == "train")


def test_class_folders_may_hold_further_folders(tmp_path):
    files = {f"{n[:-5]}deep/{n[-5:]}": c for n, c in class_files().items()}
    data = read_form(write_tree(tmp_path / "photos", files), Wishes())
    assert data.label_names == {"label": ("cats", "dogs", "owls")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.clear(), "has no images"),
        (lambda f: f.update({"1.png": f["cats/1.png"]}), r"1\.png lies in no class folder"),
        (lambda f: f.update({"cats/9.png": picture(noise(9, 8, 3))}), r"9\.png is .*; give --size"),
        (
            lambda f: f.update({"cats/9.png": picture(noise(8, 8))}),
            r"9\.png is .*; give --channels",
        ),
        (lambda f: f.update({"cats/9.png": b"x"}), r"9\.png is a damaged image; .*--max_unusable"),
    ],
)
@pytest.mark.parametrize("form", WRITERS)
def test_class_folders_that_are_refused(tmp_path, form, change, message):
    files = class_files()
    change(files)
    source = WRITERS[form](tmp_path / form, files)
    if form == "photos":
        source.mkdir(exist_ok=True)
    with pytest.raises(DataError, match=message) as caught:
        read_form(source, Wishes())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("stray", ["test/stray.png", "train/stray.png"])
@pytest.mark.parametrize("form", WRITERS)
def test_a_stray_picture_does_not_make_classes_of_splits(tmp_path, form, stray):
    files = {f"{word}/{n}": c for word in ("train", "test") for n, c in class_files().items()}
    source = WRITERS[form](tmp_path / form, files | {stray: picture(noise(8, 8, 3))})
    with pytest.raises(DataError, match=r"stray\.png lies in no class folder"):
        read_form(source, Wishes())


def test_a_class_may_be_called_as_a_split_is(tmp_path):
    names = {"train": "train/a.png", "bus": "bus/a.png"}
    content = picture(noise(8, 8, 3))
    source = write_tree(tmp_path / "photos", dict.fromkeys(names.values(), content))
    assert read_form(source, Wishes()).label_names == {"label": ("bus", "train")}


def test_links_to_folders_are_not_passed_over(tmp_path):
    source = write_tree(tmp_path / "photos", class_files())
    elsewhere = write_tree(tmp_path / "elsewhere", {"1.png": picture(noise(8, 8, 3))})
    (source / "birds").symlink_to(elsewhere)
    with pytest.raises(DataError, match="birds is a link to a folder"):
        read_form(source, Wishes())


def test_names_that_are_no_text_are_one_sentence(tmp_path):
    import os

    folder = write_tree(tmp_path / "photos", class_files())
    os.makedirs(os.fsencode(folder) + b"/caf\xe9")
    (folder / "cats" / "0.png").rename(os.fsdecode(os.fsencode(folder) + b"/caf\xe9/0.png"))
    with pytest.raises(DataError, match="is no usable name; rename it") as caught:
        read_form(folder, Wishes())
    str(caught.value).encode()
    source = write_zip(tmp_path / "a.zip", class_files() | {"../up/cats/0.png": b"x"})
    with pytest.raises(DataError, match="is no usable name; rename it"):
        read_form(source, Wishes())


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train/cats/1.png", "test/dogs/1.png"}, "has a class 'dogs' in test/|no images in train"),
        ({"test/cats/1.png", "test/dogs/1.png"}, "has no images in train/"),
        ({"train/cats/1.png", "cats/x/1.png"}, "has the folder cats/ beside those of splits"),
    ],
)
def test_splits_that_do_not_fit(tmp_path, files, message):
    content = picture(noise(8, 8, 3))
    source = write_tree(tmp_path / "photos", dict.fromkeys(files, content))
    with pytest.raises(DataError, match=message):
        read_form(source, Wishes())


def test_a_share_may_be_unusable_and_is_named(tmp_path):
    files = class_files(10) | {"cats/x.png": b"x", "owls/y.png": b""}
    source = write_tree(tmp_path / "photos", files)
    data = read_form(source, Wishes(largest_unusable=0.1))
    assert data.counts == {"train": 30}
    (note,) = data.notes
    assert note.startswith("2 left out: cats/x.png is a damaged image, owls/y.png is")
    check_class_files(data, class_files(10))
    with pytest.raises(DataError, match=r"more than 3.00% of 32 images cannot be used"):
        read_form(source, Wishes(largest_unusable=0.03))


@pytest.mark.parametrize("damage", ["flipped", "cut", "encrypted", "link"])
def test_damaged_zips_are_one_sentence(tmp_path, damage):
    path = write_zip(tmp_path / "photos.zip", class_files())
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[:-100]
    elif damage == "flipped":
        content[60] ^= 0xFF
    else:
        start = content.rindex(b"PK\x01\x02")
        if damage == "encrypted":
            content[start + 8] |= 1
        else:
            content[start + 5] = 3  # made on Unix
            content[start + 38 : start + 42] = struct.pack("<I", 0o120777 << 16)
    path.write_bytes(bytes(content))
    message = "damaged|encrypted, or neither" if damage != "cut" else "no tar archive|damaged"
    with pytest.raises(DataError, match=message) as caught:
        read_form(path, Wishes())
    assert "\n" not in str(caught.value)


# --- arrays


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("names", ["{}_images {}_labels", "x_{} y_{}"])
@pytest.mark.parametrize("column", [False, True])
def test_npz_of_splits(tmp_path, names, column):
    arrays, truth = {}, {}
    for seed, split in enumerate(("train", "val", "test")):
        images, labels = noise(6, 8, 8, 3, seed=seed), np.arange(6) % 3 + 4
        truth[{"val": "validation"}.get(split, split)] = images, labels - 4
        image_key, label_key = names.format(split, split).split()
        arrays |= {image_key: images, label_key: labels[:, None] if column else labels}
    data = read_form(save(tmp_path / "a.npz", **arrays), Wishes())
    assert data.label_names == {"label": ("4", "5", "6")}
    for split, (images, labels) in truth.items():
        np.testing.assert_array_equal(data.splits[split].images, images)
        np.testing.assert_array_equal(data.splits[split].labels["label"], labels)


def test_labels_of_two_integer_types_stay_whole(tmp_path):
    """NumPy makes doubles of them, in which large ones are the same."""
    large = 2**60 + np.arange(3)
    arrays = {"train_labels": large.astype(np.uint64), "test_labels": large.astype(np.int64)[::-1]}
    images = {f"{split}_images": noise(3, 8, 8, 3) for split in ("train", "test")}
    data = read_form(save(tmp_path / "a.npz", **arrays, **images), Wishes())
    assert data.label_names == {"label": tuple(map(str, large))}
    assert data.splits["train"].labels["label"].tolist() == [0, 1, 2]
    assert data.splits["test"].labels["label"].tolist() == [2, 1, 0]


def test_names_of_classes_are_texts_however_they_are_kept(tmp_path):
    arrays = {"images": noise(2, 8, 8, 3), "labels": np.arange(2)}
    for names in (np.array(["ant", "bée"]), np.array([b"ant", "bée".encode()])):
        data = read_form(save(tmp_path / "a.npz", **arrays, classes=names), Wishes())
        assert data.label_names == {"label": ("ant", "bée")}
    path = save(tmp_path / "b.npz", **arrays, classes=np.array([0.5, 1.5]))
    with pytest.raises(DataError, match="names of the classes are float64; give texts"):
        read_form(path, Wishes())
    path = save(tmp_path / "c.npz", **arrays, classes=np.array([b"\xff", b"ok"]))
    with pytest.raises(DataError, match="no text in UTF-8"):
        read_form(path, Wishes())


def test_npz_without_splits_named_by_texts(tmp_path):
    labels, names = np.array(["owl", "cat", "owl"]), np.array(["owl", "dog", "cat"])
    path = save(tmp_path / "a.npz", images=noise(3, 8, 8), labels=labels)
    data = read_form(path, Wishes())
    assert data.label_names == {"label": ("cat", "owl")}
    assert data.splits["train"].labels["label"].tolist() == [1, 0, 1]
    assert data.splits["train"].images.shape == (3, 8, 8, 1)
    path = save(tmp_path / "b.npz", images=noise(3, 8, 8), labels=labels, classes=names)
    data = read_form(path, Wishes())
    assert data.label_names == {"label": ("owl", "dog", "cat")}
    assert data.splits["train"].labels["label"].tolist() == [0, 2, 0]


def test_arrays_are_resized_and_coloured_as_pictures_are(tmp_path):
    images = noise(2, 20, 30, 3)
    path = save(tmp_path / "a.npz", images=images, labels=np.arange(2))
    for wishes in (Wishes(size=8), Wishes(size=8, channels=1), Wishes(channels=1)):
        made = read_form(path, wishes).splits["train"].images
        for one, image in zip(made, images, strict=True):
            wanted, _ = decode(picture(image), wishes)
            assert np.abs(one.astype(int) - wanted).max() <= (1 if wishes.size else 0)


def test_arrays_of_other_names_are_said_and_valid_is_a_split(tmp_path):
    images = noise(4, 8, 8, 3)
    arrays = {"train_images": images, "train_labels": np.arange(4), "valid_images": images,
              "valid_labels": np.arange(4), "x_test": images}  # fmt: skip
    data = read_form(save(tmp_path / "a.npz", **arrays), Wishes())
    assert data.counts == {"train": 4, "validation": 4}
    assert data.notes == ("arrays ignored: x_test",)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": noise(4, 3, 8, 9), "labels": np.arange(4)}, "channels come first: save images"),
        ({"images": noise(4, 8, 8, 3) / 255, "labels": np.arange(4)}, "images is float64"),
        ({"images": noise(4, 8, 8, 3), "labels": np.ones(4)}, "must be integers or texts"),
        ({"images": noise(4, 8, 8, 3), "labels": np.arange(5)}, "must be integers or texts"),
        (
            {"images": noise(4, 8, 8, 3), "labels": np.arange(4), "classes": np.array("ab")},
            r"the names of the classes are \(\)",
        ),
        ({"pictures": noise(4, 8, 8, 3)}, "has no array train_images .* it has pictures"),
        (
            {"images": noise(4, 8, 8, 3), "labels": np.arange(4), "classes": np.array(["a", "b"])},
            r"holds the value 2 as train_labels; the classes are 0 \.\. 1",
        ),
    ],
)
def test_arrays_that_are_refused(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        read_form(save(tmp_path / "a.npz", **arrays), Wishes())


# --- idx and .mat


def idx(array):
    return (
        b"\0\0\x08"
        + bytes([array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + (array.astype(np.uint8).tobytes())
    )


def idx_folder(folder, dots=False, pack=gzip.compress):
    truth = {}
    for seed, (word, split) in enumerate((("train", "train"), ("t10k", "test"))):
        images, labels = noise(10, 28, 28, seed=seed), np.arange(10) % 4
        truth[split] = images, labels
        suffix = ".gz" if pack is gzip.compress else ""
        for kind, array in (("images", images), ("labels", labels)):
            name = f"{word}-{kind}{'.' if dots else '-'}idx{array.ndim}-ubyte{suffix}"
            write_tree(folder, {name: pack(idx(array))})
    return truth


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
@pytest.mark.parametrize("dots", [False, True])
def test_idx_files(tmp_path, pack, dots):
    truth = idx_folder(tmp_path, dots, pack)
    data = read_form(tmp_path, Wishes())
    for split, (images, labels) in truth.items():
        np.testing.assert_array_equal(data.splits[split].images[..., 0], images)
        np.testing.assert_array_equal(data.splits[split].labels["label"], labels)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged or no idx file"),
        (gzip.compress(b"\0\0\x0d\3" + bytes(40)), "damaged or no idx file of bytes"),
        (gzip.compress(idx(noise(10, 28, 28))[:-1]), "is damaged: it has"),
        (gzip.compress(idx(noise(10, 28, 28)))[:-9], "is damaged"),
        (gzip.compress(idx(noise(9, 28, 28))), r"are \(9, 28, 28\) and the labels \(10,\)"),
        (gzip.compress(b"\0\0\x08\xff"), "is damaged"),
        (gzip.compress(idx(np.zeros((10, 0, 0)))), r"are \(10, 0, 0\)"),
    ],
    # The bytes hold the time, which two processes that collect tests do not share.
    ids=["empty", "of other bytes", "cut", "cut gz", "fewer images", "no shape", "no pixels"],
)
def test_damaged_idx_files(tmp_path, content, message):
    idx_folder(tmp_path)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_form(tmp_path, Wishes())


def svhn_folder(folder):
    from scipy.io import savemat

    truth = {}
    for seed, split in enumerate(("train", "test")):
        images, digits = noise(12, 32, 32, 3, seed=seed), np.arange(12) % 10
        truth[split] = images, digits
        y = np.where(digits == 0, 10, digits).astype(np.uint8)[:, None]
        savemat(folder / f"{split}_32x32.mat", {"X": images.transpose(1, 2, 3, 0), "y": y})
    return truth


def test_mat_files_of_svhn(tmp_path):
    truth = svhn_folder(tmp_path)
    data = read_form(tmp_path, Wishes())
    for split, (images, labels) in truth.items():
        np.testing.assert_array_equal(data.splits[split].images, images)
        np.testing.assert_array_equal(data.splits[split].labels["label"], labels)
    path = tmp_path / "test_32x32.mat"
    for content in (b"", b"hello" * 100, path.read_bytes()[:-1000]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"test_32x32\.mat is damaged or no \.mat file"):
            read_form(tmp_path, Wishes())


# --- parquet


def parquet(path, images, labels, names=None, as_struct=True, label="label", **more):
    import pyarrow as pa
    import pyarrow.parquet as pq

    encoded = [picture(image) if isinstance(image, np.ndarray) else image for image in images]
    rows = [{"bytes": e, "path": None} for e in encoded] if as_struct else encoded
    table = pa.table({"image": rows, label: labels, **more})
    if names:
        features = {label: {"names": names, "_type": "ClassLabel"}}
        described = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": described})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


@pytest.mark.parametrize("as_struct", [True, False])
def test_parquet_of_a_hub(tmp_path, as_struct):
    names, truth = ["owl", "cat"], {}
    for seed, (split, count) in enumerate((("train", 3), ("validation", 2), ("test", 2))):
        images, labels = noise(2 * count, 8, 8, 3, seed=seed), np.arange(2 * count) % 2
        truth[split] = images, labels
        for i in range(2):
            rows = slice(count * i, count * (i + 1))
            file = tmp_path / "data" / f"{split}-0000{i}-of-00002.parquet"
            parquet(file, list(images[rows]), labels[rows].tolist(), names, as_struct)
    data = read_form(tmp_path, Wishes())
    assert data.label_names == {"label": ("owl", "cat")}
    assert list(data.splits) == ["train", "validation", "test"]
    for split, (images, labels) in truth.items():
        np.testing.assert_array_equal(data.splits[split].images, images)
        np.testing.assert_array_equal(data.splits[split].labels["label"], labels)


def test_one_parquet_file_of_texts(tmp_path):
    path = parquet(tmp_path / "a.parquet", list(noise(3, 9, 8, 3)), ["b", "a", "b"])
    data = read_form(path, Wishes(size=4))
    assert data.shape == (4, 4, 3)
    assert data.label_names == {"label": ("a", "b")}
    assert data.splits["train"].labels["label"].tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "x", "z": [1, 2, 3]}, "say which column holds the classes, by --label"),
        ({"label": "class", "target": [1, 2, 3]}, "say which column holds the classes, by --label"),
        ({"labels": [0, -1, 1]}, "has labels from -1 to 1; they should be 0 or more"),
        ({"labels": [0, 2**40, 1]}, "has labels from 0 to"),
        ({"mask": [b"x", b"y", b"z"], "photo": [b"x", b"y", b"z"]}, "several columns of pictures"),
        ({"labels": [0, None, 1]}, "a label of the train images is missing"),
        ({"names": ["a"]}, "holds the value 1 as a label of train"),
        ({"images": ["a", "b", "c"], "as_struct": False}, "has no column of pictures"),
        ({"images": [b"x", b"", b"y"]}, "is a damaged image"),
    ],
)
def test_parquet_that_is_refused(tmp_path, options, message):
    given = {"images": list(noise(3, 8, 8, 3)), "labels": [0, 1, 1]} | options
    with pytest.raises(DataError, match=message):
        read_form(parquet(tmp_path / "a.parquet", **given), Wishes())


def test_the_column_called_image_is_the_picture(tmp_path):
    images = noise(3, 8, 8, 3)
    masks = [picture(noise(8, 8, 3, seed=9))] * 3
    path = parquet(tmp_path / "a.parquet", list(images), [0, 1, 1], mask=masks)
    np.testing.assert_array_equal(read_form(path, Wishes()).splits["train"].images, images)


def test_files_that_do_not_agree_on_labels_are_refused(tmp_path):
    images = list(noise(2, 8, 8, 3))
    parquet(tmp_path / "train-0.parquet", images, [0, 1], ["cat", "dog"])
    parquet(tmp_path / "test-0.parquet", images, [0, 1], ["dog", "cat"])
    with pytest.raises(DataError, match="name the classes differently"):
        read_form(tmp_path, Wishes())
    parquet(tmp_path / "train-0.parquet", images, [0, 1])
    parquet(tmp_path / "test-0.parquet", images, ["a", "b"])
    with pytest.raises(DataError, match="the labels are texts and numbers"):
        read_form(tmp_path, Wishes())


def test_labels_that_are_encoded_as_categories(tmp_path):
    import pyarrow as pa

    path = parquet(
        tmp_path / "a.parquet",
        list(noise(3, 8, 8, 3)),
        pa.array(["b", "a", "b"]).dictionary_encode(),
    )
    assert read_form(path, Wishes()).label_names == {"label": ("a", "b")}


def test_the_column_of_classes_may_be_chosen(tmp_path):
    path = parquet(tmp_path / "a.parquet", list(noise(3, 8, 8, 3)), [0, 1, 1], coarse=[1, 0, 0])
    labels = read_form(path, Wishes(label="coarse")).splits["train"].labels["label"]
    assert labels.tolist() == [1, 0, 0]
    with pytest.raises(DataError, match="has no column fine"):
        read_form(path, Wishes(label="fine"))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"hello" * 50])
def test_a_damaged_parquet_is_one_sentence(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(DataError, match="is damaged or no parquet file"):
        read_form(tmp_path / "a.parquet", Wishes())


@pytest.mark.parametrize("wishes", [Wishes(size=16), Wishes(channels=3)])
def test_forms_of_one_size_are_read_as_they_are(tmp_path, wishes):
    idx_folder(tmp_path)
    with pytest.raises(DataError, match="read as they are; leave out --size"):
        read_form(tmp_path, wishes)
