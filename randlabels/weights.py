"""Weights that others have trained, read from the files in which they come, by name.

safetensors, .npz, PyTorch's .pt and .pth (with PyTorch installed, weights alone and nothing that
unpickling could run), flax's .msgpack, and folders that Orbax wrote.
"""

import difflib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict

from randlabels.errors import InputError, cut, shown

_SHOWN = 12  # kernels that a sentence names


def read_weights(path: str | Path) -> dict[str, np.ndarray]:
    """{name: array} of a file of weights; names of nested ones are joined with /.

    Raises:
        InputError: if it is not there, damaged, of an unknown form, or needs what is not installed.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise InputError(f"{path} does not exist; give a file of weights.")
    reader = _read_orbax if path.is_dir() else _READERS.get(path.suffix.lower())
    if reader is None:
        forms = ", ".join(_READERS)
        raise InputError(f"{path} is of no known form of weights ({forms}, or a folder of Orbax).")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path} is empty; fetch it again.")
    try:
        found = reader(path)
    except InputError:
        raise
    except Exception as error:  # of parsers of six forms
        why = cut(" ".join(f"{type(error).__name__}: {error}".split()))
        raise InputError(f"{path} is damaged, or no file of its form ({why}).") from error
    arrays = {name: array for name, array in found.items() if isinstance(array, np.ndarray)}
    odd = [name for name, array in arrays.items() if array.dtype.kind == "c"]
    if odd:
        raise InputError(f"{path} has complex numbers in {odd[0]}; give real weights.")
    return {name: array for name, array in arrays.items() if array.dtype.kind in "iufb"}


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors.flax import load_file  # NumPy alone has no bfloat16

    return {name: _numbers(array) for name, array in load_file(path).items()}


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is damaged, or no .npz file.")
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise InputError(
            f"{path} needs PyTorch to be read (pip install torch); or save it as safetensors where "
            "there is PyTorch: safetensors.torch.save_file(model.state_dict(), FILE)."
        ) from error
    state = torch.load(path, map_location="cpu", weights_only=True)
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping):
        raise InputError(f"{path} holds no state_dict; save model.state_dict().")
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    return {name: value.detach().float().numpy() for name, value in tensors.items()}


def _read_msgpack(path: Path) -> dict[str, np.ndarray]:
    from flax.serialization import msgpack_restore

    return _flat(msgpack_restore(path.read_bytes()))


def _read_orbax(path: Path) -> dict[str, np.ndarray]:
    import orbax.checkpoint as ocp

    return _flat(ocp.StandardCheckpointer().restore(path.resolve()))


def _flat(tree: Any) -> dict[str, np.ndarray]:
    leaves = flatten_dict(tree, sep="/").items()
    return {name: _numbers(leaf) for name, leaf in leaves if hasattr(leaf, "shape")}


def _numbers(array: Any) -> np.ndarray:
    """As NumPy's own types: bfloat16 becomes float32."""
    found = np.asarray(array)
    return found if found.dtype.kind in "iufbcSU" else found.astype(np.float32)


_READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    ".safetensors": _read_safetensors,
    ".npz": _read_npz,
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".msgpack": _read_msgpack,
}


def kernel_named(weights: Mapping[str, np.ndarray], name: str, path: object) -> np.ndarray:
    """The kernel of a name.

    Args:
        weights: from `read_weights`.
        name: of one of them.
        path: of the file, for the sentence.

    Raises:
        InputError: if there is none, or it has neither 2 nor 4 axes; kernels that are there are
            named.
    """
    kernels = {key: array for key, array in weights.items() if array.ndim in (2, 4)}
    if name in kernels:
        return kernels[name]
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
    raise InputError(
        f"{path} has no kernel {shown(name)}; give --kernel, one of: {', '.join(listed)}{more}."
        if kernels
        else f"{path} has no kernel: no array of 4 axes (a convolution) or 2 (a dense layer)."
    )
