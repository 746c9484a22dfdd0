"""How long the analysis of a layer will take: its multiplications at the rate of this machine."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import numpy as np
from absl import logging

from randlabels import progress
from randlabels.analysis.filter_sets import MAX_INTERVAL_DIM, is_shrunk
from randlabels.analysis.find_layers import Layer
from randlabels.analysis.input_bases import num_coordinates
from randlabels.analysis.input_spectrum import MAX_NULL_DIM
from randlabels.analysis.records import Skipped
from randlabels.eigen.matrices import float64
from randlabels.errors import InputError

# In products of two d x d matrices, which use a processor better; measured at d = 144 to 2,304.
_EIGH = 15
_DRAW_BASIS = 15
_COMPARE_BASIS = 3
_COMPARE_EIGENSPACES = 15  # to a random basis, and one sample of sign flips
_RESAMPLING = 50 * 1000

_REPEATS = 5  # of a product, the fastest of which counts: others work here, too
_WORTH_SAYING = 20  # seconds of work that are announced


def expected_seconds(
    layer: Layer,
    num_images: int,
    num_bases: int,
    group_sizes: Sequence[int],
    num_steps: int,
    random_bases: int,
    leading: int = 0,
) -> float:
    """Seconds for the moments, eigenvectors and null distributions of a layer, within about 2.

    Args:
        layer: of dimension d; its patches are multiplied d^2 times each.
        num_images: that Sigma_x is measured on.
        num_bases: how many Sigma_x there are, 1 or one for each network, or also each checkpoint.
        group_sizes: networks in each group.
        num_steps: checkpoints.
        random_bases: how many, for each misalignment.
        leading: eigenvectors along which filters are compared; 0 is all.
    """
    dim = num_coordinates(layer, num_images, leading)
    bases = num_bases * _multiplications_of_basis(layer, num_images, dim)
    compared = _products(layer, dim, group_sizes, num_steps, random_bases) * dim**3
    rate = _multiplication_rate(layer.dim)
    return bases / rate + compared / (rate if dim == layer.dim else _multiplication_rate(dim))


def _multiplications_of_basis(layer: Layer, num_images: int, dim: int) -> float:
    """For the moments of a layer's inputs, or of the products of few patches, and eigenvectors."""
    patches = num_images * layer.patches_per_image
    small, large = sorted((patches, layer.dim))
    if dim == layer.dim:
        small, large = layer.dim, patches
    return float(large * small**2 + _EIGH * small**3)


def _products(
    layer: Layer, dim: int, group_sizes: Sequence[int], num_steps: int, random_bases: int
) -> float:
    """Products of two matrices [dim, dim] for the null distributions."""
    products = 0.0
    for size in group_sizes:
        for num_sets, num_filters in ((1, size * layer.num_filters), (size, layer.num_filters)):
            compared = (num_filters > dim) + is_shrunk(dim, num_filters)
            each = random_bases * (_DRAW_BASIS + num_sets * _COMPARE_BASIS)
            products += num_steps * compared * each
            if dim < num_filters and dim <= MAX_NULL_DIM:
                eigenspaces = _DRAW_BASIS + num_sets * _COMPARE_EIGENSPACES
                products += num_steps * random_bases * eigenspaces
        if size > 1 and dim <= MAX_INTERVAL_DIM:
            products += num_steps * _RESAMPLING
    return products


def within(
    limit: float, seconds: Mapping[Layer, float], skip: bool
) -> tuple[list[Layer], list[Skipped]]:
    """The layers that take no longer than a limit, and what is said of the others.

    How long they take is announced, if it is long.

    Args:
        limit: in seconds, of each layer.
        seconds: that each layer takes.
        skip: whether a layer that takes longer is left out, or an error.

    Raises:
        InputError: if one takes longer and may not be left out, or if all do.
    """
    long = {layer: took for layer, took in seconds.items() if took > limit}
    reasons = {
        layer.path: f"layer {layer.path} (d = {layer.dim:,}) would take about {_shown(took)}, "
        f"longer than {_shown(limit)}; give minutes={took / 60 + 1:.0f} (--minutes) "
        "to have it analysed, fewer eigenvectors, such as leading=500 (--leading), or choose other "
        "layers."
        for layer, took in long.items()
    }
    kept = [layer for layer in seconds if layer not in long]
    if reasons and (not skip or not kept):
        raise InputError(next(iter(reasons.values())))
    for reason in reasons.values():
        logging.warning("%s", reason)
    total = sum(seconds[layer] for layer in kept)
    if total > _WORTH_SAYING:
        names = ", ".join(f"{layer.path} (d = {layer.dim:,})" for layer in kept)
        progress.say(f"The analysis of {names} will take about {_shown(total)}.")
    return kept, [Skipped(path, None, reason) for path, reason in reasons.items()]


def _shown(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"


@contextlib.contextmanager
def progress_by_work(
    seconds: Sequence[float], steps: int
) -> Iterator[Iterator[Callable[[str], None]]]:
    """A bar that moves as the work is done; for each layer what is called after each checkpoint.

    Args:
        seconds: that each layer takes.
        steps: checkpoints of each.
    """
    whole = max(sum(seconds), 1e-9)
    with progress.bar(total=100, bar_format="{l_bar}{bar}| [{elapsed}<{remaining}]") as bar:

        def advancing(share: float) -> Callable[[str], None]:
            def advance(name: str) -> None:
                bar.set_description(name)
                bar.update(min(share, 100 - bar.n))  # rounding may not take it beyond

            return advance

        yield (advancing(100 * took / whole / steps) for took in seconds)


def _multiplication_rate(dim: int) -> float:
    """Float64 multiplications a second in a product of matrices of this size, at most 1,024."""
    with float64():
        matrix = jax.device_put(np.ones((1024, min(dim, 1024))))
        product = jax.jit(lambda x: x.T @ x)
        product(matrix).block_until_ready()  # compiles
        took = []
        for _ in range(_REPEATS):
            start = time.perf_counter()
            product(matrix).block_until_ready()
            took.append(time.perf_counter() - start)
        return float(matrix.size * matrix.shape[1] / min(took))
