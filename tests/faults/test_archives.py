"""Sources of data that are cut, flipped, or made to fill memory or never to end."""

import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from randlabels.data import bounded, prepare
from randlabels.data.forms import Wishes, read_form
from randlabels.errors import InputError

CLASSES = prepare._CLASSES["cifar10"]


def png(size=32, mode="RGB"):
    buffer = io.BytesIO()
    Image.new(mode, (size, size), 7).save(buffer, "png")
    return buffer.getvalue()


def member(name, content=b"", size=None, kind=tarfile.REGTYPE):
    """A header and its content as they stand in a tar."""
    info = tarfile.TarInfo(name)
    info.size, info.type = len(content) if size is None else size, kind
    return info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512)


def members(each=2):
    """The parts of a tar of a class tree, one for each image."""
    return [
        member(f"{split}/{label}/{i:04d}.png", png())
        for split in ("train", "test")
        for i in range(each)
        for label in CLASSES
    ]


END = bytes(1024)
PACK = {"tar": bytes, "tar.gz": gzip.compress, "tar.xz": lzma.compress}


def refused(tmp_path, content, message, name="a.tar"):
    """Preparing from a file of this content is refused in one sentence, and leaves nothing."""
    source = tmp_path / name
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        prepare.prepare("cifar10", str(tmp_path / "data"), str(source))
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert len(sentence) < 400
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").iterdir())


@pytest.mark.parametrize("form", PACK)
def test_a_whole_archive_is_read(tmp_path, form):
    (tmp_path / f"a.{form}").write_bytes(PACK[form](b"".join(members()) + END))
    data = read_form(tmp_path / f"a.{form}", Wishes())
    assert data.counts == {"train": 20, "test": 20}


@pytest.mark.parametrize("form", PACK)
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        # At each of these tarfile says that the archive ends, and every class has an image.
        (lambda parts: b"".join(parts[:-3]), "is damaged .*its end is missing"),
        (lambda parts: b"".join(parts[:-3]) + parts[-3][:300], "a header is damaged: truncated"),
        (
            lambda parts: b"".join(parts[:-3]) + b"\xff" * 512 + b"".join(parts[-2:]) + END,
            "a header is damaged: bad checksum",
        ),
        (
            lambda parts: b"".join(parts[:-3]) + bytes(512) + b"".join(parts[-2:]) + END,
            "something follows the end of the archive",
        ),
        (lambda parts: b"".join(parts) + END + b"more", "something follows the end"),
        (lambda parts: b"".join(parts) + END + parts[0], "something follows the end"),
        (lambda parts: b"".join(parts[:-1]) + parts[-1][:600], "is damaged"),
    ],
)
def test_damage_at_a_header_is_no_smaller_data_set(tmp_path, form, damage, message):
    refused(tmp_path, PACK[form](damage(members())), message, f"a.{form}")


def test_every_flipped_byte_of_a_header_is_noticed(tmp_path):
    parts = members(1)
    for place in range(0, 512, 37):
        header = bytearray(parts[-1])
        header[place] ^= 0x55
        content = b"".join(parts[:-1]) + bytes(header) + END
        refused(tmp_path, content, "is damaged|has no images")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (member("train/dog/9.png", size=2**33 - 1), "9.png has 8589934591 bytes; at most 67108864"),
        (member("notes", size=60 * 10**9 % 2**33), "notes has .* bytes; at most"),
        (member("train/dog/9.png", kind=tarfile.SYMTYPE), "neither a plain file nor a folder"),
        (member("train/dog/9.png", kind=tarfile.FIFOTYPE), "neither a plain file nor a folder"),
        (member("train/dog/9.png", kind=tarfile.CHRTYPE), "neither a plain file nor a folder"),
        (member("train/dog/9.png", kind=tarfile.GNUTYPE_SPARSE), "neither a plain file nor a"),
        (
            member("train/dog/9.png", png(33)),
            r"several shapes: .* train/dog/9.png is \(33, 33, 3\)",
        ),
        (
            member("train/dog/9.png", png(32, "L")),
            r"several shapes: .* train/dog/9.png is \(32, 32",
        ),
        (member("train/dog/9.png", png(32, "I;16")), "9.png has more than one byte a channel"),
        (member("train/dog/9.png", png(32, "LA")), "9.png is transparent in places"),
    ],
)
def test_members_that_no_data_set_has(tmp_path, extra, message):
    first, *rest = members(1)
    refused(tmp_path, first + extra + b"".join(rest) + END, message)


def test_a_sparse_file_of_60_gb_is_answered_by_its_header(tmp_path):
    path = tmp_path / "a.tar"
    header = member("train/dog/9.png", kind=tarfile.GNUTYPE_SPARSE)
    field = b"".join(f"{n:011o}\0".encode() for n in (0, 512, 60 * 10**9 - 512, 512))
    buffer = bytearray(header[:512])
    buffer[386 : 386 + len(field)] = field
    buffer[483:495] = struct.pack(">I8s", 0x80000000, (60 * 10**9).to_bytes(8, "big"))
    buffer[148:156] = b" " * 8
    buffer[148:156] = f"{sum(buffer):06o}\0 ".encode()
    path.write_bytes(bytes(buffer) + END)
    refused(tmp_path, None, "neither a plain file nor a folder|at most")


def test_no_file_of_an_archive_may_be_larger_than_those_of_the_official_ones(tmp_path):
    large = member("cifar-10-batches-bin/data_batch_1.bin", size=2**32 + 1)
    refused(tmp_path, large + END, r"data_batch_1\.bin.* at most")


def test_images_of_too_many_pixels_are_not_decoded(tmp_path):
    """A PNG whose header says 20,000 x 20,000; decoding it would take 1.2 GB."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    for size in (2000, 12_000, 20_000):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0))
        data = chunk(b"IDAT", zlib.compress(bytes(1000)))
        image = b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")
        parts = [*members(1), member("train/dog/9.png", image), END]
        refused(
            tmp_path,
            b"".join(parts),
            "several shapes|has .* pixels, more than 67108864|is a damaged image",
        )


def test_bombs_stop_at_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(bounded, "MAX_BYTES", 10**6)
    zeros = bytes(3 * 10**6)
    # tarfile skips what is not wanted, but decompresses it.
    notes = member("notes", zeros)
    refused(
        tmp_path, gzip.compress(notes + END), "holds more than 1000000 bytes|at most", "a.tar.gz"
    )
    refused(tmp_path, lzma.compress(zeros), "holds more than 1000000 bytes", "a.npz.xz")
    refused(tmp_path, gzip.compress(zeros), "is damaged|holds more than", "b.tar.gz")
    refused(tmp_path, zeros, "has 3000000 bytes; at most 1000000 are read", "a.tar")
    monkeypatch.setattr(bounded, "MAX_BYTES", 10**9)
    monkeypatch.setattr(bounded, "_RATIO_FROM", 10**6)
    refused(tmp_path, lzma.compress(zeros), "more than 200-fold", "a.npz.xz")
    monkeypatch.setattr(bounded, "MAX_MEMBERS", 10)
    refused(tmp_path, b"".join(members()) + END, "has more than 10 members")


def test_a_file_that_never_ends_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "pipe.npz"):
        if name != "pipe":
            os.mkfifo(tmp_path / name)
        refused(tmp_path, None, "is no plain file", name)
    with pytest.raises(InputError, match="is no plain file"):
        prepare.prepare("cifar10", str(tmp_path / "data"), "/dev/zero")
    folder = tmp_path / "tree" / "train" / "dog"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "1.png")
    refused(tmp_path, None, r"1\.png is no plain file", "tree")


def npz(**arrays):
    """A .npz of these contents; bytes stand as they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in arrays.items():
            if isinstance(content, np.ndarray):
                inner = io.BytesIO()
                np.save(inner, content)
                content = inner.getvalue()
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


def claiming(shape, content=b""):
    """An array whose header says another shape than its content has."""
    inner = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(inner, header)
    return inner.getvalue() + content


GOOD = {
    "train_images": np.zeros((10, 32, 32, 3), np.uint8),
    "train_labels": np.arange(10),
    "test_images": np.zeros((10, 32, 32, 3), np.uint8),
    "test_labels": np.arange(10),
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": b"hello"}, "is damaged or no .npz file"),
        ({"train_images": b""}, "is damaged or no .npz file"),
        ({"train_labels": claiming((10**12,))}, "train_labels is no array of numbers"),
        ({"train_labels": claiming((-1,), b"1")}, "is damaged or no .npz file"),
        ({"train_labels": claiming((10,), b"1234")}, "train_labels is no array of numbers"),
        ({"train_labels": b"\x93NUMPY\x01\x00\x06\x00{1:'a'"}, "is damaged or no .npz file"),
        ({"train_labels": b"\x93NUMPY\x07\x00\x06\x00{1:'a'"}, r"train_labels is of version"),
        ({"train_labels": np.array(["a"] * 10)}, "are texts and numbers"),
        ({"train_labels": np.ones(10)}, "it must be integers or texts"),
        ({"train_labels": np.array([None] * 10)}, "train_labels is no array of numbers"),
    ],
)
def test_npz_members_that_are_no_arrays(tmp_path, changes, message):
    refused(tmp_path, npz(**GOOD | changes), message, "a.npz")


def test_a_whole_npz_is_read_and_fortran_order_kept(tmp_path):
    images = np.arange(10 * 32 * 32 * 3).astype(np.uint8).reshape(10, 32, 32, 3)
    (tmp_path / "a.npz").write_bytes(npz(**GOOD | {"test_images": np.asfortranarray(images)}))
    data = read_form(tmp_path / "a.npz", Wishes())
    np.testing.assert_array_equal(data.splits["test"].images, images)
    np.testing.assert_array_equal(data.splits["train"].labels["label"], np.arange(10))
