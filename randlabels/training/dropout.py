"""Masks of dropout that depend on (seed, step, example) alone, as all that is random in a step.

`nn.Dropout` draws one mask for all that it is given, so that the mask of an example would depend on
its place in the batch and, where batches are split over devices, on their number. Inside
`masks_by_example` every `nn.Dropout` of a model, its own or a user's, draws for each example by
itself. What else a model may draw cannot be seen through: `draws_by_example` finds out.
"""

import contextlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from randlabels.models.flow import primitives_of

_DRAW = {"random_bits", "threefry2x32", "rng_bit_generator", "rng_uniform"}
_EXAMPLES = 7  # in a batch of `draws_by_example`: no other axis is likely to be as long


def dropout_rngs(config: ConfigDict, seed: jax.Array, step: jax.Array) -> dict[str, jax.Array]:
    """Keys of dropout: a pure function of the network's seed and the step, {} without dropout."""
    if not config.model.dropout:
        return {}
    name = zlib.crc32(b"dropout")
    key = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), name)
    return {"dropout": jax.random.fold_in(key, step)}


@contextlib.contextmanager
def masks_by_example(ids: jax.Array) -> Iterator[None]:
    """While a model is applied, each nn.Dropout draws the mask of an example from its key and id.

    Args:
        ids: of the examples of the batch, int [b].
    """

    def drop(module: nn.Dropout, apply: Callable[..., jax.Array], x: jax.Array) -> jax.Array:
        key = module.make_rng(module.rng_collection)
        keys = jax.vmap(lambda example: jax.random.fold_in(key, example))(ids)
        given = {"deterministic": False} if module.deterministic is None else {}
        return jax.vmap(lambda one, key: apply(one[None], rng=key, **given)[0])(x, keys)

    with _instead_of_dropout(len(ids), drop):
        yield


def draws_by_example(model: nn.Module, shape: tuple[int, ...]) -> bool:
    """Whether a model draws nothing in training but masks of examples, by nn.Dropout.

    Such a model ends with the same parameters, to rounding, however its batches lie on devices.

    Args:
        model: whose dropout is on, built without a batch axis.
        shape: of one input.
    """
    x = jax.ShapeDtypeStruct((_EXAMPLES, *shape), jnp.float32)

    def apply(variables: Any, x: jax.Array) -> Any:
        return model.apply(variables, x, train=True, mutable=["batch_stats"])

    try:
        with _instead_of_dropout(_EXAMPLES, lambda module, apply, x: x):
            variables = jax.eval_shape(model.init, jax.random.key(0), x)
            drawn = primitives_of(jax.make_jaxpr(apply)(variables, x).jaxpr) & _DRAW
    except Exception:  # it asked for a key and none was given, or takes no batch of so many
        return False
    return not drawn  # by a key of its own


@contextlib.contextmanager
def _instead_of_dropout(
    examples: int, replacement: Callable[[nn.Dropout, Callable[..., jax.Array], jax.Array], Any]
) -> Iterator[None]:
    """Call replacement(module, its __call__, x) where an nn.Dropout is to mask x [examples, ...].

    Dropout whose first axis is another, or that shares masks between examples, does as it would.
    """

    def intercept(
        apply: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], context: Any
    ) -> Any:
        module = context.module
        if isinstance(module, nn.Dropout) and context.method_name == "__call__":
            x = _masked(module, *args, **kwargs)
            if x is not None and len(x) == examples:
                return replacement(module, apply, x)
        return apply(*args, **kwargs)

    with nn.intercept_methods(intercept):
        yield


def _masked(
    module: nn.Dropout, inputs: jax.Array, deterministic: bool | None = None, rng: Any = None
) -> jax.Array | None:
    """The inputs, if so called an nn.Dropout masks each by a key of its model; else None."""
    off = module.deterministic or deterministic or module.rate in (0.0, 1.0)
    shared = 0 in (axis % inputs.ndim for axis in module.broadcast_dims)
    return None if off or shared or rng is not None else inputs
