"""Labels as pure functions of (seed, example id), the heart of training on random labels.

The paper (arXiv:2006.10455, section 1) asks for labels drawn i.i.d. and uniformly, independent of
the input and fixed for the whole training. A counter-based generator gives exactly that without a
table: the 64 bits of example i are threefry2x32 of a key at counter (0, i), and the key is that of
(stream, seed) at counter (0, number of classes), both `jax.random.fold_in`. Without the number of
classes, labels of 10 classes modulo 5 would be those of 5 classes, and an upstream and a downstream
task of one seed would share what their labels say. The bits are used as they are, so that no JAX
setting (PRNG implementation, partitionable threefry, x64) and no later change of
`jax.random.randint` can move a label.
"""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from randlabels.config_rules import Fields, Reader
from randlabels.data.errors import DataError

KINDS = ("random", "real", "noisy")

# First word of the key. Seeds are below 2**32, so stream 0 is `jax.random.key(seed)` and no seed
# of one stream meets a seed of the other.
_CLASS_STREAM = 0
_COIN_STREAM = 1


def check_labels(fields: Fields) -> dict[str, Reader]:
    """The rule of config.labels: which fields the chosen kind reads."""
    kind = fields["labels.kind"]
    return {"labels.noise": Reader(f"label kind {kind}", kind == "noisy")}


def _random_bits(stream: int, seed: int, num_classes: int, ids: np.ndarray) -> np.ndarray:
    """64 random bits for each id, uint64 [n]; ids uint32 [n]."""
    words = jnp.array([stream, seed], jnp.uint32)
    key = jax.random.wrap_key_data(words, impl="threefry2x32")
    key = jax.random.fold_in(key, num_classes)
    folded = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, ids)
    bits = np.asarray(jax.random.key_data(folded)).astype(np.uint64)
    return bits[:, 0] << np.uint64(32) | bits[:, 1]


def _checked_ids(seed: int, example_ids: ArrayLike) -> np.ndarray:
    if not 0 <= seed < 2**32:
        raise DataError(f"label seed {seed} is outside 0 .. 2**32 - 1; choose one inside.")
    ids = np.asarray(example_ids)
    if ids.size == 0:
        return np.zeros(0, np.uint32)
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        raise DataError(
            f"example ids must be a vector of integers, got {ids.dtype} of shape {ids.shape}."
        )
    if ids.min() < 0 or ids.max() >= 2**32:
        raise DataError(
            f"example ids must lie in 0 .. 2**32 - 1, got {ids.min()} .. {ids.max()}; "
            "a larger id would share the label of a smaller one."
        )
    return ids.astype(np.uint32)


def random_labels(seed: int, example_ids: ArrayLike, num_classes: int) -> np.ndarray:
    """Uniform random class of each example, int32 [n].

    A pure function of (seed, id, num_classes): batch, order, devices and JAX's settings do not
    enter. Different seeds are independent, and so are different numbers of classes. The modulo bias
    is below num_classes / 2**64.

    Raises:
      DataError: an id or the seed is not in uint32's range, or num_classes is not positive.
    """
    ids = _checked_ids(seed, example_ids)
    if not 1 <= num_classes <= 2**31 - 1:
        raise DataError(f"num_classes must be from 1 to 2**31 - 1, got {num_classes}.")
    bits = _random_bits(_CLASS_STREAM, seed, num_classes, ids)
    return (bits % np.uint64(num_classes)).astype(np.int32)


def _check_real_labels(real: np.ndarray, num_classes: int) -> None:
    if real.size and not 0 <= real.min() <= real.max() < num_classes:
        raise DataError(
            f"num_classes is {num_classes} but the real labels need {real.max() + 1}; "
            "set num_classes to that, or use random labels."
        )


def make_labels(
    kind: str,
    seed: int,
    example_ids: ArrayLike,
    real_labels: ArrayLike,
    num_classes: int,
    noise: float,
) -> np.ndarray:
    """Labels of one kind, int32 [n].

    `random`: `random_labels`; `real`: `real_labels`; `noisy`: each real label is replaced, with
    probability `noise`, by a uniformly random class (which may be the real one again). Which
    ones is a function of (seed, id) too, and a higher `noise` replaces them and more.

    Args:
      kind: "random", "real" or "noisy".
      seed: the label seed, in uint32's range; "real" does not use it.
      example_ids: [n] ids in uint32's range.
      real_labels: [n] true classes; "random" uses only their number.
      num_classes: number of classes; for "real" and "noisy" it must cover `real_labels`.
      noise: probability of replacement, 0 .. 1; only "noisy" uses it.

    Raises:
      DataError: an argument is out of range, or the lengths differ.
    """
    ids, real = _checked_ids(seed, example_ids), np.asarray(real_labels, np.int32)
    if kind not in KINDS:
        raise DataError(f"unknown kind of labels {kind!r}; choose one of {', '.join(KINDS)}.")
    if real.shape != ids.shape:
        raise DataError(f"{ids.size} example ids but labels of shape {real.shape}.")
    if kind == "random":
        return random_labels(seed, ids, num_classes)
    _check_real_labels(real, num_classes)
    if kind == "real":
        return real
    if not 0 <= noise <= 1:
        raise DataError(f"label noise must be a probability in 0 .. 1, got {noise}.")
    # 53 bits fill a float64 in [0, 1) exactly, so noise 0 replaces none and noise 1 all.
    coin = (_random_bits(_COIN_STREAM, seed, num_classes, ids) >> np.uint64(11)) * 2.0**-53
    return np.where(coin < noise, random_labels(seed, ids, num_classes), real).astype(np.int32)
