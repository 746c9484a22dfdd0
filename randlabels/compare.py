"""A kernel from a file of weights against a data set: numbers, figures and a page in a folder."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from randlabels import records
from randlabels.analysis.own_kernel import KernelComparison, compare_kernel
from randlabels.backend import say_machine
from randlabels.configs import base
from randlabels.data import sources
from randlabels.disk import told
from randlabels.errors import InputError
from randlabels.figures import style
from randlabels.figures.kernel_comparison import kernel_figures
from randlabels.folders import check_folder, expanded
from randlabels.pages import picture, render
from randlabels.weights import kernel_named, read_weights

EXAMPLES = 5000  # images whose patches are taken, if there are as many


def compare_weights(
    weights: str | Path,
    kernel: str,
    data: str,
    *,
    start: str | Path = "",
    data_dir: str = "",
    image_size: int = 0,
    order: str = "auto",
    strides: int = 1,
    padding: str = "VALID",
    random_bases: int = 200,
    folder: str | Path = "",
) -> tuple[KernelComparison, Path]:
    """Compare a kernel of a file with the images of a data set; returns what was found, and where.

    Args:
        weights: file of weights, see `read_weights`.
        kernel: its name there.
        data: name of a data set, as in config.data.name.
        start: file of the weights before training; "" if there is none.
        data_dir: where prepared data sets are.
        image_size: as config.data.image_size; 0 is native, 16 for generated images.
        order, strides, padding, random_bases: as `compare_kernel`.
        folder: for comparison.json, figures and page.html; "" is one beside the weights.

    Raises:
        InputError: if files, data or names cannot be used, or the folder cannot be written to.
    """
    if not data:
        raise InputError("data names the images to compare with, such as cifar10.")
    chosen = kernel_named(read_weights(weights), kernel, weights)
    begun = kernel_named(read_weights(start), kernel, start) if start else None
    place = Path(folder) if folder else _beside(expanded("weights", weights), kernel)
    check_folder("workdir", place)
    images = _images(data, data_dir, image_size)
    say_machine(f"{kernel} of {Path(weights).name}")
    found = compare_kernel(
        chosen,
        images,
        start=begun,
        order=order,
        strides=strides,
        padding=padding,
        source=data,
        random_bases=random_bases,
    )
    asked = {
        "weights": weights,
        "kernel": kernel,
        "data": data,
        "start": start,
        "data_dir": data_dir,
        "image_size": image_size,
        "order": order,
        "strides": strides,
        "padding": padding,
        "random_bases": random_bases,
    }
    with told(place):
        _write(found, place, f"{kernel} of {Path(weights).name} and {data}", asked)
    return found, place


def _command(asked: Mapping[str, Any]) -> str:
    """The command line that makes a comparison again."""
    given = (f"--{name}={shlex.quote(str(value))}" for name, value in asked.items() if value)
    return " ".join(["python -m randlabels.analyze", *given])


def _beside(weights: Path, kernel: str) -> Path:
    name = "".join(c if c.isalnum() or c in "-_." else "-" for c in f"{weights.stem}-{kernel}")
    return weights.parent / f"{name}-alignment"


def _images(data: str, data_dir: str, image_size: int) -> np.ndarray:
    """Up to EXAMPLES training images of a data set."""
    from randlabels.data.generators import generator_named
    from randlabels.data.stored import measure

    config = base.get_config().data
    config.name, config.data_dir = data, data_dir
    generator = generator_named(data)
    if generator is None:
        config.image_size = image_size
        available = measure(data, data_dir)[1]
        config.upstream_size, config.test_size = min(EXAMPLES, available), 0
    else:
        config.image_size = image_size or config.image_size
        config.upstream_size, config.test_size = EXAMPLES, 1
    config.downstream_size = 0
    dataset = sources.load(config)
    return dataset.train_images[: config.upstream_size]


def _write(found: KernelComparison, folder: Path, title: str, asked: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    figures = kernel_figures(found)
    for name, (figure, _) in figures.items():
        style.save(figure, folder / f"{name}.png")
    records.write_json(
        folder / "comparison.json",
        {
            "asked": {name: str(value) for name, value in asked.items()},
            "kernel_shape": list(found.kernel_shape),
            "networks": found.networks,
            "images": found.images,
            "eigenvalues": found.eigenvalues,
            "misalignments": found.rows(),
            "sets": {
                name: {
                    "filters": of.num_filters,
                    "misalignment": of.misalignment,
                    "reason": of.reason,
                    "p_random": of.p_value,
                    "p_exact": float(of.controlled.exact_p[0]),
                    "shrunk": of.shrunk,
                    "f": of.tau,
                }
                for name, of in found.sets.items()
            },
        },
    )
    shown = [
        {"name": name, "source": picture(folder / f"{name}.png"), "caption": caption}
        for name, (_, caption) in figures.items()
    ]
    text = render(
        "kernel.html",
        title=title,
        found=found,
        rows=found.rows(),
        figures=shown,
        command=_command(asked),
    )
    records.replace_text(folder / "page.html", text)
