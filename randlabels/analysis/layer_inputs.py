"""A run's inputs, layers and weights, opened for analysis."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from absl import logging

from randlabels.analysis.layers import Layer, LayerInputs
from randlabels.analysis.records import Skipped
from randlabels.data.sketch import agree, sketch, sketch_of_images
from randlabels.data.sources import measure
from randlabels.data.tasks import TaskData, open_task
from randlabels.errors import InputError
from randlabels.import_path import is_import_path
from randlabels.models import build, with_fields
from randlabels.models.naming import get_layer
from randlabels.models.own import check_variables, identity_of
from randlabels.proofs import changed
from randlabels.runs import CHECKPOINTS, Run, read_state, readable_metas
from randlabels.saved_config import open_config

# Inputs of a layer whose covariance still fits into memory (0.8 GB for each d x d).
MAX_DIM = 10_000


def open_inputs(run: Run, task: str = "") -> LayerInputs:
    """What the layers of a run's networks receive of a task.

    Args:
        run: whose networks they are.
        task: "upstream" or "downstream"; "" is the one that the run learned.

    Raises:
        InputError: if the data set is missing (DataError), or gives other images than it did.
    """
    config = open_config(run.config)
    data = open_task(config, task)
    _check_data(run, task, data)
    check_model(run)
    model = with_fields(build(config), dtype=jnp.float32)
    return LayerInputs(model, data.images, data.mean, data.std)


def _check_data(run: Run, task: str, data: TaskData) -> None:
    """Refuse data that are not those of the run, as far as its checkpoints know them."""
    own_task = task in ("", run.config["train"]["task"])
    images = ({"images": data.images} if own_task else {}) | {"test images": data.test_images}
    ours = {name: sketch_of_images(of) for name, of in images.items()}
    ours["channel moments"] = sketch(np.stack([data.mean, data.std]))
    for known in _known(run, "data"):
        for name in ours:
            if name in known and not agree(known[name], ours[name]):
                raise InputError(
                    f"the {name} of {data.source} are not those with which {run.workdir} was "
                    "trained; put them back."
                )


def check_model(run: Run) -> None:
    """Say so where a model of the user's own computes something else than in training.

    Raises:
        InputError: if it has other parameters than it had, or cannot be applied any more.
    """
    config = open_config(run.config)
    if not is_import_path(config.model.name):
        return
    now = identity_of(config, build(config), measure(config.data).shape)
    for was in _known(run, "model"):
        check_variables(was, now, run.workdir, "put it back")
        if changed(was, now, "evaluation"):
            logging.warning(
                "the model %s computes something else than when %s was trained; if that is not "
                "meant, put it back.",
                config.model.name,
                run.workdir,
            )


def _known(run: Run, part: str) -> list[dict[str, Any]]:
    """What the checkpoints of a run know of the "data" or the "model", each that differs once."""
    known: list[dict[str, Any]] = []
    for meta in readable_metas(run.workdir).values():
        of = meta.get("of", {}).get(part, {})
        if of not in known:
            known.append(of)
    return known


def layers_to_analyse(
    names: Sequence[str], layers: Sequence[Layer], num_images: int, leading: int
) -> tuple[list[Layer], list[Skipped]]:
    """The layers of these names in forward order; () is the first layer, ("all",) is every one.

    Returns also what "all" leaves out: layers of more than 10,000 dimensions, unless leading
    eigenvectors are to be found among no more patches than that.

    Args:
        names: of layers.
        layers: of the model.
        num_images: that they are shown.
        leading: eigenvectors along which layers are analysed; 0 is all.

    Raises:
        InputError: if there is no layer of a name, or it has so many dimensions.
    """
    known = [layer.path for layer in layers]
    unknown = [name for name in names if name not in (*known, "all")]
    if unknown:
        raise InputError(
            f"there is no layer {unknown[0]!r} to analyse; it may be all, or some of "
            f"{', '.join(known)}."
        )
    wanted = known if "all" in names else names or known[:1]
    chosen = [layer for layer in layers if layer.path in wanted]
    reasons = {
        layer.path: f"layer {layer.path} has {layer.dim:,} inputs, and their covariance too many "
        f"entries; choose layers of at most {MAX_DIM:,}"
        f"{', or give leading=500 (--leading)' * layer.has_few_patches(num_images)}."
        for layer in chosen
        if layer.dim > MAX_DIM and not (leading and layer.has_few_patches(num_images))
    }
    if reasons and "all" not in names:
        raise InputError(next(iter(reasons.values())))
    for reason in reasons.values():
        logging.warning("%s", reason)
    skipped = [Skipped(path, None, reason) for path, reason in reasons.items()]
    return [layer for layer in chosen if layer.path not in reasons], skipped


def read_kernels(run: Run, step: int, path: str) -> np.ndarray:
    """The kernels [network, ...] of one layer at one checkpoint.

    Raises:
        InputError: if they are missing or damaged.
    """
    return get_layer(run.params(step, layer=path), path)["kernel"]


def read_variables(run: Run, step: int) -> Any:
    """What a model needs to compute, for all networks: leaves lead with the axis `network`.

    Raises:
        InputError: if they are missing or damaged.
    """
    folder = run.workdir / CHECKPOINTS / str(step)
    return read_state(folder, "params/") | read_state(folder, "batch_stats/")
