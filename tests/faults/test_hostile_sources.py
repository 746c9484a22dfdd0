"""Sources of data that would take more memory or time than there is, or that mislead."""

import io
import os
import resource
import struct
import subprocess
import sys
import tarfile
import time
import zipfile

import numpy as np
import pytest
from PIL import Image
from test_archives import END, member, npz, png

from randlabels.data import bounded, builders, prepare, stored
from randlabels.data.check import check
from randlabels.data.errors import DataError
from randlabels.data.forms import Wishes, arrays, read_form
from randlabels.errors import InputError

ADDRESS_SPACE = 3 * 2**29  # bytes; Python with NumPy needs a fifth of it


def shrinking(monkeypatch, free):
    """Free memory is what is given, less what a reader has said that it holds."""
    left = [free]

    def counted(self, size, each=bounded._EACH, add=bounded.Held.add):
        add(self, size, each)
        left[0] -= size + each

    monkeypatch.setattr(bounded.Held, "add", counted)
    monkeypatch.setattr(bounded, "available_memory", lambda: float(left[0]))


def in_little_memory(code, *arguments):
    """What Python prints that may take ADDRESS_SPACE, and its most memory in bytes."""
    begin = f"import resource\nresource.setrlimit(resource.RLIMIT_AS, 2 * ({ADDRESS_SPACE},))\n"
    # Not of `getrusage`, which counts what this process had when it forked.
    end = "\nprint(next(s.split()[1] for s in open('/proc/self/status') if 'VmHWM' in s))"
    done = subprocess.run(
        [sys.executable, "-c", begin + code + end, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    *lines, most = done.stdout.splitlines()
    return "\n".join(lines), int(most) * 1024


def tree_tar(count, each=b""):
    """A tar of pictures of two classes."""
    return b"".join(member(f"{'ab'[i % 2]}/{i}.png", png() + each) for i in range(count)) + END


# --- what is no file, or has no path


@pytest.mark.parametrize("name", ["pipe", "pipe.tar", "pipe.parquet", "pipe.npz", "zero"])
@pytest.mark.parametrize(
    "read",
    [
        lambda path: prepare.prepare("birds", f"{path.parent}/ds", str(path)),
        lambda path: read_form(path, Wishes()),
    ],
    ids=["prepare", "read_form"],
)
def test_only_files_and_folders_are_opened(tmp_path, name, read):
    if name == "zero":
        (tmp_path / name).symlink_to("/dev/zero")
    else:
        os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match="is no plain file"):
        read(tmp_path / name)


@pytest.mark.parametrize("path", ["x" * 5000, "~nosuchuser/x", "a\0b"])
def test_paths_that_there_cannot_be(tmp_path, path):
    message = "cannot be read|home of a user that is not known|no path of a folder"
    with pytest.raises(InputError, match=message):
        prepare.prepare("birds", str(tmp_path / "ds"), path)
    for use in (
        lambda: check(path),
        lambda: stored.read("birds", path),
        lambda: prepare.prepare("birds", path, str(tmp_path)),
    ):
        with pytest.raises(InputError, match=f"{message}|a name of more than 255 bytes"):
            use()


# --- memory


def test_pictures_of_a_tar_are_held_only_as_long_as_there_is_memory(tmp_path, monkeypatch):
    (tmp_path / "a.tar").write_bytes(tree_tar(60))
    assert read_form(tmp_path / "a.tar", Wishes()).counts == {"train": 60}
    shrinking(monkeypatch, 40_000)
    with pytest.raises(DataError, match="more pictures than memory holds .* unpack it and give"):
        read_form(tmp_path / "a.tar", Wishes())


@pytest.mark.parametrize("kind", [b"x", b"g", b"X", b"L", b"K"])
def test_headers_that_describe_others_are_small(tmp_path, kind):
    header = member("a/0.png", size=2**33 - 1, kind=kind)
    (tmp_path / "a.tar").write_bytes(header + tree_tar(4))
    with pytest.raises(DataError, match="header of 8589934591 bytes, where at most 1048576"):
        read_form(tmp_path / "a.tar", Wishes())


def test_fields_for_all_members_do_not_pile_up(tmp_path):
    fields = [
        tarfile.TarInfo.create_pax_global_header({f"{i}-{j}": "x" for j in range(40)})
        for i in range(4)
    ]
    (tmp_path / "a.tar").write_bytes(
        b"".join(f + member(f"a/{i}.png", png()) for i, f in enumerate(fields)) + END
    )
    with pytest.raises(DataError, match="sets more than 100 fields"):
        read_form(tmp_path / "a.tar", Wishes())


def test_long_names_of_both_kinds_are_read(tmp_path):
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "a.tar", "w", format=form) as tar:
            for label in ("b" * 150, "ü" * 120):
                info = tarfile.TarInfo(f"{label}/{'x' * 120}.png")
                info.size = len(png())
                tar.addfile(info, io.BytesIO(png()))
        names = read_form(tmp_path / "a.tar", Wishes()).label_names["label"]
        assert names == ("b" * 150, "ü" * 120)


def test_an_idx_file_is_held_once(tmp_path):
    """700 MiB within 1.5 GiB, which twice of them would exceed."""
    side = 28
    count = 700 * 2**20 // side**2
    for kind, shape in (("images-idx3", (count, side, side)), ("labels-idx1", (count,))):
        with (tmp_path / f"train-{kind}-ubyte").open("wb") as file:
            file.write(bytes((0, 0, 8, len(shape))) + struct.pack(f">{len(shape)}I", *shape))
            file.truncate(file.tell() + int(np.prod(shape)))
    code = """
import sys; from pathlib import Path; from randlabels.data.forms import Wishes, read_form
print(read_form(Path(sys.argv[1]), Wishes()).counts)"""
    said, most = in_little_memory(code, tmp_path)
    assert said == f"{{'train': {count}}}"
    assert most < 1.3 * 2**30


def test_arrays_are_made_grey_and_larger_without_casting_them_whole(tmp_path):
    """240 MB of pixels, of which doubles or 8-byte integers would take 2 GB."""
    images = np.zeros((8000, 100, 100, 3), np.uint8)
    images[-1] = np.arange(3 * 100 * 100).reshape(100, 100, 3) % 251
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(8000) % 2)
    code = """
import sys; from pathlib import Path; from randlabels.data.forms import Wishes, read_form
images = read_form(Path(sys.argv[1]), Wishes(size=16, channels=1)).splits["train"].images
print(images.shape, int(images[-1].sum()))"""
    said, most = in_little_memory(code, tmp_path / "a.npz")
    wanted = arrays.fit(arrays._with_channels(images[-1], 1), 16)
    assert said == f"(8000, 16, 16, 1) {int(wanted.sum())}"
    assert most < 2**29 + 2**28


def test_what_arrays_would_become_is_asked_for_first(tmp_path, monkeypatch):
    (tmp_path / "a.npz").write_bytes(
        npz(images=np.zeros((10, 4, 4, 3), np.uint8), labels=np.arange(10) % 2)
    )
    monkeypatch.setattr(bounded, "available_memory", lambda: 10_000.0)
    for wishes, shape in ((Wishes(size=4096), r"4096, 4096, 3"), (Wishes(64, 1), "64, 64, 1")):
        with pytest.raises(DataError, match=rf"images as \(10, {shape}\) takes"):
            read_form(tmp_path / "a.npz", wishes)
    assert read_form(tmp_path / "a.npz", Wishes(channels=1)).shape == (4, 4, 1)


def test_a_share_is_held_out_only_where_there_is_memory_for_a_copy(tmp_path, monkeypatch):
    images = np.zeros((40, 16, 16, 3), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(40) % 2)
    monkeypatch.setattr(bounded, "available_memory", lambda: images.nbytes + 1.0)
    data = read_form(tmp_path / "a.npz", Wishes())
    monkeypatch.setattr(bounded, "available_memory", lambda: images.nbytes - 1.0)
    with pytest.raises(DataError, match="holding out a share of 40 training images takes"):
        prepare._with_test(data, 0.1, 0)


def test_one_picture_in_many_rows_of_a_parquet(tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 5000
    image = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80), np.uint8)).save(
        image, "png"
    )
    table = pa.table({"image": [image.getvalue()] * rows, "label": [i % 2 for i in range(rows)]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 10**5
    shrinking(monkeypatch, 3_000_000)
    with pytest.raises(DataError, match="has more pictures than memory holds .* give fewer"):
        read_form(tmp_path / "a.parquet", Wishes())


def test_memory_that_ends_all_the_same_is_one_sentence(tmp_path):
    (tmp_path / "a.npz").write_bytes(
        npz(images=np.zeros((10, 4, 4, 3), np.uint8), labels=np.arange(10) % 2)
    )
    code = """
import sys, numpy as np
from randlabels import frontdoor, npz
from randlabels.data import prepare
def full(*rest): raise MemoryError
npz.read_array = full
prepare._define_flags()
frontdoor.run(prepare.main)"""
    flags = ["--name=birds", f"--source={tmp_path}/a.npz", f"--data_dir={tmp_path}/ds"]
    done = subprocess.run([sys.executable, "-c", code, *flags], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("randlabels: memory is used up")
    assert done.stderr.count("\n") == 1


# --- classes


def test_many_classes_take_no_more_time_than_many_images(tmp_path):
    count = 60_000
    labels = np.array([f"class {i:06d}" for i in range(count)])
    images = np.zeros((count, 2, 2, 1), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    start = time.process_time()
    data = read_form(tmp_path / "a.npz", Wishes())
    prepare.check_names("a.npz", data)
    with pytest.raises(DataError, match="leaves nothing"):
        prepare._with_test(data, 0.1, 0)
    assert time.process_time() - start < 5
    np.testing.assert_array_equal(data.splits["train"].labels["label"], np.arange(count))


def test_ids_are_no_classes(tmp_path):
    count = 100_001
    images = np.zeros((count, 1, 1, 1), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(count))
    with pytest.raises(DataError, match="has 100001 classes, .* are these ids of the images"):
        read_form(tmp_path / "a.npz", Wishes())


@pytest.mark.parametrize("name", ["\x1b[31mred", "a\u2028b", "a\ud800", "a\u202eb", "a\tb"])
def test_names_of_classes_can_be_printed(tmp_path, name):
    images = np.zeros((40, 4, 4, 3), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(40) % 2, classes=[name, "b"])
    with pytest.raises(DataError, match="a name of one line that can be printed") as caught:
        prepare.prepare("birds", str(tmp_path / "ds"), str(tmp_path / "a.npz"))
    assert str(caught.value).isprintable()


def test_names_in_all_scripts_can_be_printed(tmp_path):
    names = ["Grüne Äpfel", "りんご\u3000赤", "می\u200cخواهم", "👩\u200d🌾"]
    images = np.zeros((80, 4, 4, 3), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(80) % 4, classes=names)
    prepare.check_names("a.npz", read_form(tmp_path / "a.npz", Wishes()))


def test_names_in_a_zip_without_the_flag_of_utf_8(tmp_path):
    """As Info-ZIP under Linux writes them; those that are cp437 stay what they are."""
    names = ("Grüne Äpfel", "Zitronen", "Äpfel")
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(f"{name}/1.png", png())
    content = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(magic)
        while place >= 0:
            content[place + offset + 1] &= ~0x08 & 0xFF
            place = content.find(magic, place + 4)
    path.write_bytes(content)
    assert read_form(path, Wishes()).label_names["label"] == names
    path.write_bytes(bytes(content).replace("Äpfel".encode(), b"\x8epfel?"))
    assert read_form(path, Wishes()).label_names["label"][-1] == "Äpfel?"


def test_folders_without_pictures_are_named(tmp_path):
    for name in ("cats", "dogs", "owls", "train"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    (tmp_path / "photos" / "dogs" / "notes.txt").write_text("x")
    for i in range(4):
        (tmp_path / "photos" / "cats" / f"{i}.png").write_bytes(png())
        (tmp_path / "photos" / "owls" / f"{i}.png").write_bytes(png())
    notes = read_form(tmp_path / "photos", Wishes()).notes
    assert notes[0] == "no images in dogs, train"


# --- the disk


def test_a_disk_that_is_full_is_one_sentence_and_nothing_is_left(tmp_path, monkeypatch):
    """array_record says so in an exception of its own, here of a file that may not grow."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(200) % 2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(DataError, match="a file is larger than the system allows") as caught:
            prepare.prepare("birds", str(tmp_path / "ds"), str(tmp_path / "a.npz"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "ds").iterdir()) == []

    def full(*rest):
        raise RuntimeError("Failed to finalize writing: No space left on device [type.googleapis]")

    monkeypatch.setattr(builders, "write", full)
    with pytest.raises(DataError, match="the disk is full; make space"):
        prepare.prepare("birds", str(tmp_path / "ds"), str(tmp_path / "a.npz"))
    assert list((tmp_path / "ds").iterdir()) == []


# --- what is said


def test_a_data_dir_that_is_not_there_is_said(tmp_path):
    with pytest.raises(DataError, match=r"looked in .*nope, which does not exist"):
        stored.read("birds", str(tmp_path / "nope"))


def test_a_size_of_nothing_is_out_of_range(tmp_path):
    command = [sys.executable, "-m", "randlabels.data.prepare", "--name=birds", "--size=0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "[1, 4096]" in done.stderr
