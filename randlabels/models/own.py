"""A model of the user's own: the shapes of what it makes, and by what it is known again."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict

from randlabels.errors import InputError, in_one_line
from randlabels.import_path import is_import_path

Tree = Any

_BATCH = 2
_HINTS = {
    "InvalidRngError": "; keys are there for nn.Dropout, where config.model.dropout is above 0",
    "ScopeCollectionNotFound": "; variables are kept in 'params' and 'batch_stats' alone",
}


def shapes_of(
    config: ConfigDict, model: nn.Module, shape: tuple[int, ...], batch: int = _BATCH
) -> tuple[Tree, dict[bool, tuple[Any, Tree]]]:
    """Shapes of a model's variables, and {train: those of (what it returns, its new batch_stats)}.

    Raises:
        InputError: if applying it to `batch` inputs [*shape] fails.
    """
    x = jax.ShapeDtypeStruct((batch, *shape), jnp.float32)
    try:
        made = jax.eval_shape(lambda x: model.init(jax.random.key(0), x), x)
        variables = {"params": made["params"], "batch_stats": made.get("batch_stats", {})}
        return variables, {
            train: jax.eval_shape(_application(config, model, train), variables, x)
            for train in (False, True)
        }
    except (Exception, SystemExit) as error:  # whatever the user's model raises
        hint = _HINTS.get(type(error).__name__, "")
        raise InputError(
            f"config.model.name is {config.model.name!r}, which cannot be applied to {batch} "
            f"inputs {shape}: {in_one_line(error)}{hint}"
        ) from error


def _application(config: ConfigDict, model: nn.Module, train: bool) -> Callable[..., Any]:
    """(variables, x [batch, ...]) -> (logits, new batch_stats), as in training or evaluation."""

    def apply(variables: Tree, x: jax.Array) -> Any:
        if not train:
            return model.apply(variables, x), {}
        rngs = {"dropout": jax.random.key(0)} if config.model.dropout else {}
        logits, new = model.apply(variables, x, train=True, mutable=["batch_stats"], rngs=rngs)
        return logits, new.get("batch_stats", {})

    return apply


def identity_of(config: ConfigDict, model: nn.Module, shape: tuple[int, ...]) -> dict[str, Any]:
    """By which a model of the user's own is known again; {} for those of the package.

    The digests are of what JAX traces in training, with gradients, and in evaluation, and of the
    arrays that it holds: comments and names do not change them, another version of JAX may. What a
    callback into Python computes is not seen.

    Raises:
        InputError: if the model cannot be applied to inputs [*shape].
    """
    if not is_import_path(config.model.name):
        return {}
    variables, _ = shapes_of(config, model, shape)
    x = jax.ShapeDtypeStruct((_BATCH, *shape), jnp.float32)
    leaves = flatten_dict(variables, sep="/").items()
    return {
        "variables": {name: list(leaf.shape) for name, leaf in leaves if hasattr(leaf, "shape")},
        "train": _digest(_gradient(_application(config, model, True)), variables, x),
        "evaluation": _digest(_application(config, model, False), variables, x),
        "jax": jax.__version__,
    }


def _gradient(apply: Callable[..., Any]) -> Callable[..., Any]:
    """The gradient of the sum of all logits, which has rules for derivatives of the user's own."""

    def summed(params: Tree, rest: Tree, x: jax.Array) -> Any:
        logits, new = apply(rest | {"params": params}, x)
        return jnp.sum(logits.astype(jnp.float32)), (logits, new)

    return lambda variables, x: jax.grad(summed, has_aux=True)(variables["params"], variables, x)


def _digest(function: Callable[..., Any], *arguments: Any) -> str:
    traced = jax.make_jaxpr(function)(*arguments)
    digest = hashlib.sha256(str(traced).encode())
    for held in _held(traced):
        is_key = isinstance(held, jax.Array) and jnp.issubdtype(held.dtype, jax.dtypes.prng_key)
        digest.update(np.asarray(jax.random.key_data(held) if is_key else held).tobytes())
    return digest.hexdigest()


def _held(part: Any) -> Iterator[Any]:
    """The arrays that a jaxpr holds, in those of functions in it, too."""
    if isinstance(part, (tuple, list)):
        for one in part:
            yield from _held(one)
    elif hasattr(part, "consts") and hasattr(part, "jaxpr"):
        yield from part.consts
        yield from _held(part.jaxpr)
    elif hasattr(part, "eqns"):
        for equation in part.eqns:
            yield from (v.val for v in equation.invars if np.ndim(getattr(v, "val", 0)))
            yield from _held(tuple(equation.params.values()))


def changed(was: dict[str, Any], now: dict[str, Any], part: str) -> bool:
    """Whether a model computes something else than it did, as far as two identities tell.

    Args:
        was: its identity, {} where it is not known.
        now: likewise.
        part: "train" or "evaluation".
    """
    known = part in was and part in now and was["jax"] == now["jax"]
    return known and bool(was[part] != now[part])


def first_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """The first name, in alphabetical order, of which two mappings hold different things."""
    return min(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def check_variables(was: dict[str, Any], now: dict[str, Any], workdir: Any, advice: str) -> None:
    """Make sure that a model has the parameters that it had in a run.

    Args:
        was: its identity in the run, {} where it is not known.
        now: what it is.
        workdir: of the run.
        advice: what to do otherwise.

    Raises:
        InputError: if one is missing, new, or of another shape.
    """
    old, new = (identity.get("variables", {}) for identity in (was, now))
    if not old or not new or old == new:
        return
    name = first_difference(old, new)
    raise InputError(
        f"the model has {name} {tuple(new[name]) if name in new else 'no more'} where it was "
        f"{tuple(old[name]) if name in old else 'not there'} when {workdir} was begun; "
        f"{advice}."
    )
