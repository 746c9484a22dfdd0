"""In which order the axes of a kernel of others stand: flax's or PyTorch's, told by its shape."""

import math

import numpy as np
from numpy.typing import ArrayLike

from randlabels.eigen.torch_order import from_torch
from randlabels.errors import InputError

_SMALLEST = 1e-30  # the largest weight of a kernel that is no accident
ORDERS = ("auto", "flax", "torch")
_NAMES = {
    4: {
        "flax": "[rows, columns, channels, filters]",
        "torch": "[filters, channels, rows, columns]",
    },
    2: {"flax": "[inputs, units]", "torch": "[units, inputs]"},
}


def in_our_order(kernel: ArrayLike, image_shape: tuple[int, ...], order: str) -> np.ndarray:
    """A kernel of the first layer as [rows, columns, channels, filters].

    A dense layer is the convolution of its full size, on images that were flattened row, column,
    channel (flax) or channel, row, column (PyTorch).

    Args:
        kernel: of 4 axes (a convolution) or 2 (a dense layer).
        image_shape: (h, w, c) of what the layer sees.
        order: one of ORDERS; auto tells by the number of channels, and by kernels being square.

    Raises:
        InputError: if the kernel cannot see such images in any order, or can in both.
    """
    given = np.asarray(kernel)
    if order not in ORDERS:
        raise InputError(f"order is {order!r}; it may be {', '.join(ORDERS)}.")
    if given.ndim not in (2, 4) or given.size == 0 or given.dtype.kind not in "iuf":
        raise InputError(
            f"the kernel is {given.dtype} {given.shape}; give numbers of 4 axes (a convolution) or "
            "2 (a dense layer)."
        )
    largest = np.abs(given).max()
    if not _SMALLEST < largest < 1 / _SMALLEST:
        raise InputError(
            f"the kernel's largest number is {largest:g}: it is all 0, not finite, or so far from "
            "1 that its squares are not."
        )
    fitting = [name for name in ORDERS[1:] if _sees(given.shape, image_shape, name)]
    if order == "auto" and len(fitting) == 2 and given.ndim == 4:
        square = [name for name in fitting if _is_square(given.shape, name)]
        fitting = square or fitting
    chosen = fitting if order == "auto" else [name for name in fitting if name == order]
    if not chosen:
        _refuse_larger(given.shape, image_shape, order)
        forms = " or ".join(f"{n} as {name} orders it" for name, n in _NAMES[given.ndim].items())
        raise InputError(
            f"a kernel of shape {given.shape} does not see images of {image_shape}: it should be "
            f"{forms}."
        )
    if len(chosen) > 1:
        raise InputError(
            f"a kernel of shape {given.shape} may be in flax's order or in PyTorch's; say which "
            "(order flax or torch)."
        )
    return _ordered(given, image_shape, chosen[0])


def _refuse_larger(shape: tuple[int, ...], image: tuple[int, ...], order: str) -> None:
    """Raises InputError if a kernel would see such images, were they as large as it."""
    for name in ORDERS[1:] if order == "auto" else (order,):
        sides = shape[:2] if name == "flax" else shape[2:]
        if len(shape) == 4 and _is_square(shape, name) and _sees(shape, (*sides, image[2]), name):
            raise InputError(
                f"a kernel of {sides[0]} x {sides[1]} pixels is larger than the images, which have "
                f"{image[0]} x {image[1]}; give larger images, as by --image_size."
            )


def _sees(shape: tuple[int, ...], image: tuple[int, ...], order: str) -> bool:
    """Whether a kernel of this shape, so ordered, sees such images."""
    if len(shape) == 2:
        return shape[0 if order == "flax" else 1] == math.prod(image)
    rows, columns, channels = shape[:3] if order == "flax" else (shape[2], shape[3], shape[1])
    return channels == image[2] and rows <= image[0] and columns <= image[1]


def _is_square(shape: tuple[int, ...], order: str) -> bool:
    return shape[0] == shape[1] if order == "flax" else shape[2] == shape[3]


def _ordered(kernel: np.ndarray, image: tuple[int, ...], order: str) -> np.ndarray:
    rows, columns, channels = image
    if kernel.ndim == 2 and order == "torch":
        kernel = kernel.reshape(-1, channels, rows, columns)
    if order == "torch":
        return from_torch(kernel)
    return kernel.reshape(*image, -1) if kernel.ndim == 2 else kernel
