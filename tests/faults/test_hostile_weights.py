"""Files of weights that never end, or would take more memory than there is."""

import json
import os
import struct
import subprocess
import sys

import msgpack
import numpy as np
import pytest
from flax.serialization import msgpack_serialize
from test_archives import npz

from randlabels import npz as npz_module
from randlabels import weights
from randlabels.compare import compare_weights
from randlabels.data import bounded
from randlabels.errors import InputError
from randlabels.weights import kernel_named, read_weights

KERNEL = np.random.default_rng(0).normal(size=(3, 3, 3, 8)).astype(np.float32)
SMALL_MEMORY = 1e6


def with_a_giant(path):
    """A file with KERNEL as "w" and 2^38 bytes of zeros as "giant", which take no disk."""
    entries = {
        "w": {"dtype": "F32", "shape": KERNEL.shape, "data_offsets": [0, KERNEL.nbytes]},
        "giant": {
            "dtype": "F32",
            "shape": [2**18, 2**18],
            "data_offsets": [KERNEL.nbytes, KERNEL.nbytes + 2**38],
        },
    }
    header = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + KERNEL.tobytes())
        file.truncate(file.tell() + 2**38)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt", ".msgpack", ""])
def test_only_files_and_folders_are_opened(tmp_path, suffix):
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / f"zero{suffix}").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        for call in (
            lambda path: read_weights(path),
            lambda path: compare_weights(path, "w", "dead_leaves"),
        ):
            with pytest.raises(InputError, match="is no plain file"):
                call(tmp_path / f"{name}{suffix}")


def test_a_pipe_in_a_folder_of_orbax_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "_METADATA")
    with pytest.raises(InputError, match="is no plain file"):
        read_weights(tmp_path)


@pytest.mark.parametrize("path", ["x" * 5000, "~nosuchuser/a.npz", "a\0b.npz"])
def test_paths_that_there_cannot_be(path):
    with pytest.raises(InputError, match="cannot be read|home of a user that is not known"):
        compare_weights(path, "w", "dead_leaves")


def test_an_npz_is_asked_how_large_its_arrays_are(tmp_path, monkeypatch):
    giant = np.zeros((3000, 2000), np.float32)
    (tmp_path / "a.npz").write_bytes(npz(w=KERNEL, giant=giant))
    assert (tmp_path / "a.npz").stat().st_size < 10**5
    monkeypatch.setattr(bounded, "available_memory", lambda: SMALL_MEMORY)
    found = read_weights(tmp_path / "a.npz")
    np.testing.assert_array_equal(kernel_named(found, "w", "a.npz"), KERNEL)
    monkeypatch.setattr(npz_module, "read_array", None)
    with pytest.raises(InputError, match=r"giant \(3000, 2000\) in a.npz takes .* of memory"):
        kernel_named(found, "giant", "a.npz")


def test_of_safetensors_only_the_kernel_that_is_asked_for_is_read(tmp_path):
    found = read_weights(with_a_giant(tmp_path / "a.safetensors"))
    np.testing.assert_array_equal(kernel_named(found, "w", "a"), KERNEL)
    with pytest.raises(InputError, match=r"giant \(262144, 262144\) in a takes .* of memory"):
        kernel_named(found, "giant", "a")


@pytest.mark.parametrize("form", ["net.msgpack", "folder"])
def test_forms_that_are_read_whole_need_room_for_all(tmp_path, monkeypatch, form):
    if form == "folder":
        import orbax.checkpoint as ocp

        with ocp.StandardCheckpointer() as checkpointer:
            checkpointer.save(tmp_path / form, {"w": np.zeros((600, 600), np.float32)})
    else:
        (tmp_path / form).write_bytes(msgpack_serialize({"w": np.zeros((600, 600), np.float32)}))
    assert "w" in read_weights(tmp_path / form)
    monkeypatch.setattr(bounded, "available_memory", lambda: SMALL_MEMORY)
    with pytest.raises(InputError, match="takes .* of memory, .* give a file with fewer or"):
        read_weights(tmp_path / form)


def test_two_arrays_of_a_msgpack_that_join_to_one_name(tmp_path):
    content = msgpack_serialize({"a": {"b": KERNEL}, "a/b": KERNEL})
    assert len(msgpack.unpackb(content, strict_map_key=False)) == 2
    (tmp_path / "a.msgpack").write_bytes(content)
    with pytest.raises(InputError, match="has two arrays 'a/b'"):
        read_weights(tmp_path / "a.msgpack")


def test_a_kernel_that_is_damaged_or_no_numbers_is_one_sentence(tmp_path):
    content = npz(w=KERNEL)
    place = content.index(KERNEL.tobytes()[:8]) if KERNEL.tobytes()[:8] in content else 200
    broken = bytearray(content)
    broken[place] ^= 0xFF
    (tmp_path / "a.npz").write_bytes(broken)
    with pytest.raises(InputError, match="a.npz is damaged"):
        kernel_named(read_weights(tmp_path / "a.npz"), "w", "a.npz")


def test_without_a_name_of_a_kernel_none_is_quoted(tmp_path):
    (tmp_path / "a.npz").write_bytes(npz(w=KERNEL))
    with pytest.raises(InputError, match=r"\(--kernel=NAME\); it is one of: w") as caught:
        kernel_named(read_weights(tmp_path / "a.npz"), "", tmp_path / "a.npz")
    assert "''" not in str(caught.value)


def test_memory_that_ends_all_the_same_is_no_damage(tmp_path, monkeypatch):
    (tmp_path / "a.npz").write_bytes(npz(w=KERNEL))

    def full(*rest):
        raise MemoryError

    monkeypatch.setattr(npz_module, "read_array", full)
    with pytest.raises(MemoryError):  # of which the front door makes a sentence
        kernel_named(read_weights(tmp_path / "a.npz"), "w", "a.npz")
    monkeypatch.setitem(weights._READERS, ".npz", full)
    with pytest.raises(MemoryError):
        read_weights(tmp_path / "a.npz")


def test_the_front_door_refuses_in_one_sentence(tmp_path):
    command = [sys.executable, "-m", "randlabels.analyze", "--data=dead_leaves", "--kernel=giant"]
    path = with_a_giant(tmp_path / "a.safetensors")
    done = subprocess.run([*command, f"--weights={path}"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("randlabels: giant (262144, 262144) in ")
    assert done.stderr.count("\n") == 1
