"""Losses by name: (logits [batch, classes], labels [batch]) -> [batch]."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from randlabels.config_rules import Fields, Reader, check_choice


def squared(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Half the squared distance to the one-hot label, summed over classes."""
    target = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return 0.5 * jnp.sum((logits - target) ** 2, axis=-1)


LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "cross_entropy": optax.softmax_cross_entropy_with_integer_labels,
    "squared": squared,
}


def check_loss(fields: Fields) -> dict[str, Reader]:
    """The rule of config.train.loss.

    Raises:
        InputError: if there is no such loss.
    """
    check_choice("train.loss", fields["train.loss"], LOSSES)
    return {}
