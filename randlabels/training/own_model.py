"""A model of the user's own, applied to shapes as in training, before anything is written."""

import hashlib
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from ml_collections import ConfigDict

from randlabels.analysis.layers import find_layers
from randlabels.errors import InputError, in_one_line
from randlabels.import_path import is_import_path
from randlabels.training.dropout import dropout_rngs

_BATCH = 2
_HINTS = {
    "InvalidRngError": "; keys are there for nn.Dropout, where config.model.dropout is above 0",
    "ScopeCollectionNotFound": "; variables are kept in 'params' and 'batch_stats' alone",
}


def check_own_model(config: ConfigDict, model: nn.Module, shape: tuple[int, ...]) -> None:
    """Make sure that a model that is named by its import path takes inputs [*shape] to logits.

    A warning says so if its layers cannot be analysed.

    Raises:
        InputError: if applying it fails, or gives anything but floats [batch, num_classes].
    """
    if not is_import_path(config.model.name):
        return
    given = f"config.model.name is {config.model.name!r}, which"
    try:
        variables, outputs = _shapes(config, model, shape)
    except (Exception, SystemExit) as error:  # whatever the user's model raises
        hint = _HINTS.get(type(error).__name__, "")
        raise InputError(
            f"{given} cannot be applied to inputs {shape}: {in_one_line(error)}{hint}"
        ) from error
    wrong = [leaf.dtype for leaf in jax.tree.leaves(variables["params"]) if leaf.dtype != "float32"]
    if wrong:
        raise InputError(f"{given} has parameters of {wrong[0]}; keep them in float32.")
    wanted = (_BATCH, config.labels.num_classes)
    for train, logits in outputs.items():
        is_array = isinstance(logits, jax.ShapeDtypeStruct)
        if is_array and logits.shape == wanted and jnp.issubdtype(logits.dtype, jnp.floating):
            continue
        found = f"{logits.dtype} {logits.shape}" if is_array else f"a {type(logits).__name__}"
        raise InputError(
            f"{given} returns {found} with train={train} where logits, floats {wanted}, are asked "
            "for."
        )
    if not find_layers(model, shape):
        logging.warning(
            "%s has no Conv or Dense of randlabels.models.layers: it can be trained and "
            "transferred, but not analysed.",
            config.model.name,
        )


def _shapes(
    config: ConfigDict, model: nn.Module, shape: tuple[int, ...]
) -> tuple[dict[str, Any], dict[bool, Any]]:
    """Shapes of the variables of a model, and {train: those of what it returns}."""
    x = jax.ShapeDtypeStruct((_BATCH, *shape), jnp.float32)
    made = jax.eval_shape(lambda x: model.init(jax.random.key(0), x), x)
    variables = {"params": made["params"], "batch_stats": made.get("batch_stats", {})}
    return variables, {
        train: jax.eval_shape(_application(config, model, train), variables, x)
        for train in (False, True)
    }


def _application(config: ConfigDict, model: nn.Module, train: bool) -> Any:
    """(variables, x [batch, ...]) -> logits, as in training or in evaluation."""

    def apply(variables: Any, x: jax.Array) -> Any:
        if not train:
            return model.apply(variables, x)
        rngs = dropout_rngs(config, jnp.uint32(0), jnp.int32(0))
        return model.apply(variables, x, train=True, mutable=["batch_stats"], rngs=rngs)[0]

    return apply


def identity_of(config: ConfigDict, model: nn.Module, shape: tuple[int, ...]) -> dict[str, str]:
    """By which a model of the user's own is known again; {} for those of the package.

    The digest is of what JAX traces in training and in evaluation, with the arrays that it holds:
    comments and names do not change it, another version of JAX may.
    """
    if not is_import_path(config.model.name):
        return {}
    variables, _ = _shapes(config, model, shape)
    x = jax.ShapeDtypeStruct((_BATCH, *shape), jnp.float32)
    digest = hashlib.sha256()
    for train in (False, True):
        traced = jax.make_jaxpr(_application(config, model, train))(variables, x)
        digest.update(str(traced).encode())
        for held in traced.consts:
            digest.update(np.asarray(held).tobytes())
    return {"digest": digest.hexdigest(), "jax": jax.__version__}
