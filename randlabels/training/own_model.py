"""Checks a model of the user's own on shapes, as it is trained, before anything is written."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from absl import logging
from ml_collections import ConfigDict

from randlabels.analysis.find_layers import survey
from randlabels.errors import InputError
from randlabels.import_path import is_import_path
from randlabels.models import build, facts_of
from randlabels.models.flow import primitives_of
from randlabels.models.own import check_gradient, first_difference, shapes_of
from randlabels.training.devices import Splits
from randlabels.training.dropout import draws_by_example


def check_own_model(config: ConfigDict, model: nn.Module, shape: tuple[int, ...]) -> None:
    """Make sure that a model that is named by its import path takes inputs [*shape] to logits.

    Warnings say so if its layers cannot be analysed, or are slow on this machine.

    Raises:
        InputError: if applying it fails, or gives anything but floats [batch, num_classes], or has
            no gradient, or if its parameters are not float32, or training would change the shape of
            its state.
    """
    if not is_import_path(config.model.name):
        return
    given = f"config.model.name is {config.model.name!r}, which"
    size = config.train.batch_size
    for batch, train in ((1, False), (2, False), (size, False), (size, True)):
        variables, logits, new = shapes_of(config, model, shape, batch, train)
        _check_logits(given, logits, (batch, config.labels.num_classes), train)
    _check_variables(given, variables, new)
    check_gradient(config, model, shape)
    found = survey(model, shape)
    for path, reason in found.reasons.items():
        logging.warning("layer %s of %s cannot be analysed: %s.", path, config.model.name, reason)
    if not found.layers:
        logging.warning(
            "%s has no layer that can be analysed; it can be trained and transferred.",
            config.model.name,
        )
    if jax.default_backend() == "cpu" and _convolves_by_xla(model, shape):
        logging.warning(
            "%s convolves by XLA, whose gradients are tens of times slower on a CPU than products "
            "of patches: give its convolutions of flax the argument conv_general_dilated=convolve, "
            "of randlabels.models.convolution.",
            config.model.name,
        )


def _convolves_by_xla(model: nn.Module, shape: tuple[int, ...]) -> bool:
    example = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), example)
    return "conv_general_dilated" in primitives_of(
        jax.make_jaxpr(model.apply)(variables, example).jaxpr
    )


def how_it_splits(config: ConfigDict, shape: tuple[int, ...]) -> Splits:
    """Whether parts of a batch can lie on several devices, with the same results but for rounding.

    Not if the model draws anything but masks of single examples, by keys of training or of its own.
    One of the user's own may mix the examples of a batch, as batch norms do, unless its fields
    batch_axis and, where devices work in groups, batch_groups say that it takes care.

    Args:
        config: of the run.
        shape: of one input.
    """
    model = build(config)
    own = is_import_path(config.model.name)
    if own and not hasattr(model, "batch_axis"):
        return Splits(over_all=False, in_groups=False)
    alike = not (own or config.model.dropout) or draws_by_example(model, shape)
    in_groups = alike and (not own or hasattr(model, "batch_groups"))
    return Splits(alike, in_groups, facts_of(model).fixed_on_cpu)


def _check_logits(given: str, logits: Any, wanted: tuple[int, int], train: bool) -> None:
    is_array = isinstance(logits, jax.ShapeDtypeStruct)
    if is_array and logits.shape == wanted and jnp.issubdtype(logits.dtype, jnp.floating):
        return
    found = f"{logits.dtype} {logits.shape}" if is_array else f"a {type(logits).__name__}"
    raise InputError(
        f"{given} returns {found} with train={train} where logits, floats {wanted}, are asked for."
    )


def _check_variables(given: str, variables: Any, updated: Any) -> None:
    boxed = jax.tree.leaves(variables, is_leaf=lambda x: isinstance(x, nn.meta.AxisMetadata))
    if any(isinstance(leaf, nn.meta.AxisMetadata) for leaf in boxed):
        raise InputError(f"{given} has partitioned parameters; leave out nn.with_partitioning.")
    wrong = [leaf.dtype for leaf in jax.tree.leaves(variables["params"]) if leaf.dtype != "float32"]
    if wrong:
        raise InputError(f"{given} has parameters of {wrong[0]}; keep them in float32.")
    if any(jnp.issubdtype(x.dtype, jax.dtypes.extended) for x in jax.tree.leaves(variables)):
        raise InputError(f"{given} keeps a random key; take it from self.make_rng('dropout').")
    before, after = (
        {jax.tree_util.keystr(path): (leaf.shape, leaf.dtype) for path, leaf in leaves}
        for leaves in map(jax.tree_util.tree_leaves_with_path, (variables["batch_stats"], updated))
    )
    if before != after:
        raise InputError(
            f"{given} changes the shape or type of batch_stats{first_difference(before, after)} in "
            "training, or makes it there; make it at initialisation, as it stays."
        )
