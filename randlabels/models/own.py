"""A model of the user's own: the shapes of what it makes, and by what it is known again."""

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict

from randlabels.errors import InputError, in_one_line
from randlabels.import_path import is_import_path

Tree = Any

_HINTS = {
    "InvalidRngError": "; keys are there for nn.Dropout, where config.model.dropout is above 0",
    "ScopeCollectionNotFound": "; variables are kept in 'params' and 'batch_stats' alone",
}
_NNX_KEYS = (
    "; keys for nnx.Dropout are there where __init__ takes `dropout`, the rate, and "
    "config.model.dropout is above 0"
)

# Where JAX prints the names of functions that it has besides the parameters of an equation.
_NAMES = re.compile(r"\b(name|jvp|fwd|bwd)=\S*")


def shapes_of(
    config: ConfigDict, model: nn.Module, shape: tuple[int, ...], batch: int, train: bool
) -> tuple[Tree, Any, Tree]:
    """Shapes of a model's variables, of what it returns for a batch, and of its new batch_stats.

    Raises:
        InputError: if applying it to `batch` inputs [*shape] fails.
    """
    with _refusing(config, f"cannot be applied to {batch} inputs {shape}"):
        variables = _variables(model, shape)
        x = jax.ShapeDtypeStruct((batch, *shape), jnp.float32)
        return variables, *jax.eval_shape(_application(config, model, train), variables, x)


@contextlib.contextmanager
def _refusing(config: ConfigDict, what: str) -> Iterator[None]:
    """Raise InputError, which says that the model `what`, whatever the user's model raises."""
    try:
        yield
    except (Exception, SystemExit) as error:
        hint = _NNX_KEYS if "No RngStream" in str(error) else _HINTS.get(type(error).__name__, "")
        raise InputError(
            f"config.model.name is {config.model.name!r}, which {what}: {in_one_line(error)}{hint}"
        ) from error


def _variables(model: nn.Module, shape: tuple[int, ...]) -> Tree:
    """Their shapes, as they are made from one example."""
    x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    made = jax.eval_shape(lambda x: model.init(jax.random.key(0), x), x)
    return {"params": made["params"], "batch_stats": made.get("batch_stats", {})}


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

    The digests are of what JAX traces where variables are made, in training on batches of
    config.train.batch_size, with gradients, and in evaluation of as many, and of the arrays that it
    holds: comments and names do not change them, other versions may, and are not compared. What a
    callback into Python or a rule for vmap of the user's own computes is not seen.

    Raises:
        InputError: if the model cannot be applied to inputs [*shape], or has no gradient.
    """
    if not is_import_path(config.model.name):
        return {}
    batch = config.train.batch_size
    with _refusing(config, "cannot be trained"):
        variables = _variables(model, shape)
        x = jax.ShapeDtypeStruct((batch, *shape), jnp.float32)
        one = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
        digests = {
            "initialisation": _digest(lambda x: model.init(jax.random.key(0), x), one),
            "train": _digest(_gradient(_application(config, model, True)), variables, x),
            "evaluation": _digest(_application(config, model, False), variables, x),
        }
    leaves = flatten_dict(variables, sep="/").items()
    return digests | {
        "variables": {name: list(leaf.shape) for name, leaf in leaves if hasattr(leaf, "shape")},
        "batch": batch,
        "versions": [jax.__version__, flax.__version__],
    }


def _gradient(apply: Callable[..., Any]) -> Callable[..., Any]:
    """The gradient of the sum of all logits, which has rules for derivatives of the user's own."""

    def summed(params: Tree, rest: Tree, x: jax.Array) -> Any:
        logits, new = apply(rest | {"params": params}, x)
        return jnp.sum(logits.astype(jnp.float32)), (logits, new)

    return lambda variables, x: jax.grad(summed, has_aux=True)(variables["params"], variables, x)


def _digest(function: Callable[..., Any], *arguments: Any) -> str:
    traced = _unnamed(jax.make_jaxpr(function)(*arguments))
    digest = hashlib.sha256(_NAMES.sub("", str(traced)).encode())
    for held in _held(traced):
        is_key = isinstance(held, jax.Array) and jnp.issubdtype(held.dtype, jax.dtypes.prng_key)
        digest.update(np.asarray(jax.random.key_data(held) if is_key else held).tobytes())
    return digest.hexdigest()


def _unnamed(part: Any) -> Any:
    """A jaxpr without the names of the functions in it, or what comes with an equation of one."""
    if hasattr(part, "_fields"):  # a NamedTuple
        return type(part)(*map(_unnamed, part))
    if type(part) in (tuple, list):
        return type(part)(map(_unnamed, part))
    if hasattr(part, "consts") and hasattr(part, "jaxpr"):
        return part.replace(jaxpr=_unnamed(part.jaxpr))
    if hasattr(part, "eqns"):
        return part.replace(
            eqns=[
                equation.replace(
                    params={
                        key: "" if key == "name" or _is_function(value) else _unnamed(value)
                        for key, value in equation.params.items()
                    }
                )
                for equation in part.eqns
            ]
        )
    return part


def _is_function(value: Any) -> bool:
    return callable(value) and hasattr(value, "__name__") and not isinstance(value, type)


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


def check_gradient(config: ConfigDict, model: nn.Module, shape: tuple[int, ...]) -> None:
    """Make sure that a model can be trained by gradients of its logits.

    Raises:
        InputError: if not.
    """
    x = jax.ShapeDtypeStruct((config.train.batch_size, *shape), jnp.float32)
    with _refusing(config, "has no gradient"):
        gradient = _gradient(_application(config, model, True))
        jax.eval_shape(gradient, _variables(model, shape), x)


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
