"""Weights that others have trained, read from the files in which they come, by name.

safetensors, .npz, PyTorch's .pt and .pth (with PyTorch installed, weights alone and nothing that
unpickling could run), flax's .msgpack, and folders that Orbax wrote.
"""

import contextlib
import difflib
import functools
import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict

from randlabels import npz
from randlabels.data import bounded
from randlabels.errors import InputError, cut, shown
from randlabels.folders import existing

_SHOWN = 12  # kernels that a sentence names
_NUMBERS = "iufbc"  # kinds of NumPy's own; complex ones are refused by name
_BYTES = 24  # for each number of a kernel: as it is read, and twice as a double


@dataclass(frozen=True)
class Stored:
    """An array in a file of weights, which is read when it is asked for.

    Attributes:
        shape: of it, as the file says before it is read.
        read: reads it.
    """

    shape: tuple[int, ...]
    read: Callable[[], Any]


def read_weights(path: str | Path) -> dict[str, Stored]:
    """{name: array} of a file of weights; names of nested ones are joined with /.

    Raises:
        InputError: if it is not there, damaged, larger than memory, of an unknown form, or needs
            what is not installed.
    """
    found = existing("the file of weights", path)
    reader = _read_orbax if found.is_dir() else _READERS.get(found.suffix.lower())
    if reader is None:
        forms = ", ".join(_READERS)
        raise InputError(f"{found} is of no known form of weights ({forms}, or a folder of Orbax).")
    if found.is_file() and found.stat().st_size == 0:
        raise InputError(f"{found} is empty; fetch it again.")
    with _told(found):
        return reader(found)


@contextlib.contextmanager
def _told(path: object) -> Iterator[None]:
    """Turn what a parser raises into one sentence."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:  # of parsers of six forms
        why = cut(" ".join(f"{type(error).__name__}: {error}".split()))
        raise InputError(f"{path} is damaged, or no file of its form ({why}).") from error


def _read_safetensors(path: Path) -> dict[str, Stored]:
    from safetensors import safe_open

    def read(name: str) -> Any:
        with safe_open(path, framework="flax") as file:  # NumPy alone has no bfloat16
            return file.get_tensor(name)

    with safe_open(path, framework="flax") as file:
        return {
            name: Stored(tuple(file.get_slice(name).get_shape()), functools.partial(read, name))
            for name in file.keys()  # noqa: SIM118
        }


def _read_npz(path: Path) -> dict[str, Stored]:
    def read(name: str) -> np.ndarray:
        with npz.opened(path) as archive:
            return npz.read_array(path, archive, name)

    with npz.opened(path) as archive:
        names = [n.removesuffix(npz.SUFFIX) for n in archive.namelist() if n.endswith(npz.SUFFIX)]
        headers = {name: npz.read_header(path, archive, name) for name in names}
    return {
        name: Stored(header.shape, functools.partial(read, name))
        for name, header in headers.items()
        if header.dtype.kind in _NUMBERS
    }


def _read_torch(path: Path) -> dict[str, Stored]:
    try:
        import torch
    except ImportError as error:
        raise InputError(
            f"{path} needs PyTorch to be read (pip install torch); or save it as safetensors where "
            "there is PyTorch: safetensors.torch.save_file(model.state_dict(), FILE)."
        ) from error
    _check_memory(path, _unpacked(path))
    state = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping):
        raise InputError(f"{path} holds no state_dict; save model.state_dict().")
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}

    def read(name: str) -> np.ndarray:
        array: np.ndarray = tensors[name].detach().float().numpy()
        return array

    return {n: Stored(tuple(t.shape), functools.partial(read, n)) for n, t in tensors.items()}


def _unpacked(path: Path) -> int:
    """Bytes of a file of PyTorch; newer ones are zips."""
    if not zipfile.is_zipfile(path):
        return path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        return sum(info.file_size for info in archive.infolist())


def _read_msgpack(path: Path) -> dict[str, Stored]:
    from flax.serialization import msgpack_restore

    _check_memory(path, 2 * path.stat().st_size)  # the file, and what is made of it
    return _flat(path, msgpack_restore(path.read_bytes()))


def _read_orbax(path: Path) -> dict[str, Stored]:
    import jax
    import orbax.checkpoint as ocp

    for file in path.rglob("*"):
        existing("the file of weights", file)
    checkpointer = ocp.StandardCheckpointer()
    described = checkpointer.metadata(path.resolve()).item_metadata.tree
    leaves = [x for x in jax.tree.leaves(described) if hasattr(x, "shape")]
    _check_memory(path, sum(math.prod(x.shape) * np.dtype(x.dtype).itemsize for x in leaves))
    return _flat(path, checkpointer.restore(path.resolve()))


def _check_memory(path: object, size: int) -> None:
    bounded.check_memory(str(path), size, "give a file with fewer or smaller arrays")


def _flat(path: Path, tree: Any) -> dict[str, Stored]:
    """The arrays of a tree by their keys, joined."""
    found: dict[str, Stored] = {}
    for keys, leaf in flatten_dict(tree).items():
        name = "/".join(map(str, keys))
        if name in found:
            raise InputError(f"{path} has two arrays {shown(name)}; name one of them otherwise.")
        if hasattr(leaf, "shape"):
            found[name] = Stored(tuple(leaf.shape), functools.partial(np.asarray, leaf))
    return found


_READERS: dict[str, Callable[[Path], dict[str, Stored]]] = {
    ".safetensors": _read_safetensors,
    ".npz": _read_npz,
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".msgpack": _read_msgpack,
}


def kernel_named(weights: Mapping[str, Stored], name: str, path: object) -> np.ndarray:
    """The kernel of a name, which is read.

    Args:
        weights: from `read_weights`.
        name: of one of them.
        path: of the file, for the sentence.

    Raises:
        InputError: if there is none (those that are there are named), it has neither 2 nor 4 axes,
            holds no real numbers, is damaged, or is larger than memory.
    """
    kernels = {key: array for key, array in weights.items() if len(array.shape) in (2, 4)}
    if name in kernels:
        return _read_kernel(kernels[name], name, path)
    if name in weights:
        raise InputError(
            f"{name} in {path} has the shape {weights[name].shape}; a convolution has 4 axes and a "
            "dense layer 2."
        )
    close = difflib.get_close_matches(name, kernels, n=1) if name else []
    if close:
        raise InputError(f"{path} has no {shown(name)}; did you mean {close[0]!r}?")
    listed = [f"{key} {array.shape}" for key, array in list(kernels.items())[:_SHOWN]]
    more = f" and {len(kernels) - _SHOWN} more" if len(kernels) > _SHOWN else ""
    lacks = f"has no kernel {shown(name)}" if name else "needs the name of a kernel (--kernel=NAME)"
    raise InputError(
        f"{path} {lacks}; it is one of: {', '.join(listed)}{more}."
        if kernels
        else f"{path} has no kernel: no array of 4 axes (a convolution) or 2 (a dense layer)."
    )


def _read_kernel(stored: Stored, name: str, path: object) -> np.ndarray:
    size = _BYTES * math.prod(stored.shape)
    bounded.check_memory(f"{name} {stored.shape} in {path}", size, "give that of a first layer")
    with _told(path):
        found = np.asarray(stored.read())
    if found.dtype.kind == "c":
        raise InputError(f"{path} has complex numbers in {name}; give real weights.")
    if found.dtype.kind in "OSU":
        raise InputError(f"{path} has no numbers in {name}; give weights.")
    return found if found.dtype.kind in _NUMBERS else found.astype(np.float32)  # as bfloat16
