"""Which examples form a task, and in which order an epoch visits them.

Both sort the raw 64-bit words of a Philox generator. NumPy guarantees the words of a bit generator
across its versions (not those of `Generator.permutation`), so splits and orders outlive upgrades.
"""

import numpy as np

from randlabels.data.errors import DataError

# Keeps the words of a split apart from those of every epoch (`spawn_key` of a SeedSequence).
_SPLIT_STREAM = 0
_EPOCH_STREAM = 1
_PIXEL_STREAM = 2


def _permutation(size: int, seed: int, *stream: int) -> np.ndarray:
    if seed < 0:
        raise DataError(f"seed {seed} is negative; choose one that is not.")
    words = np.random.Philox(np.random.SeedSequence(seed, spawn_key=stream)).random_raw(size)
    return np.argsort(words, kind="stable")


def split_indices(
    seed: int, num_examples: int, upstream_size: int, downstream_size: int
) -> dict[str, np.ndarray]:
    """Disjoint random index sets `upstream` and `downstream`, int64 [upstream_size] and so on.

    Upstream is taken from the front of one seeded permutation and downstream from its end, so
    that (at the same `num_examples`) changing the size of one leaves the other as it is.

    Raises:
      DataError: a size is negative, or the two together exceed num_examples.
    """
    if upstream_size < 0 or downstream_size < 0:
        raise DataError(
            f"upstream_size {upstream_size} and downstream_size {downstream_size} "
            "must not be negative."
        )
    if upstream_size + downstream_size > num_examples:
        raise DataError(
            f"upstream_size {upstream_size} + downstream_size {downstream_size} must not exceed "
            f"the {num_examples} training examples together; make them smaller."
        )
    order = _permutation(num_examples, seed, _SPLIT_STREAM)
    return {
        "upstream": order[:upstream_size],
        "downstream": order[num_examples - downstream_size :],
    }


def epoch_order(seed: int, epoch: int, num_examples: int, batch_size: int) -> np.ndarray:
    """Positions visited by each step of one epoch, int32 [steps, batch_size].

    A pure function of its arguments, so a resumed run recomputes it. Every position occurs at
    most once; the num_examples % batch_size last ones of the permutation are left out.

    Raises:
      DataError: batch_size is not in 1 .. num_examples, or seed or epoch is negative.
    """
    if not 1 <= batch_size <= num_examples:
        raise DataError(
            f"batch_size {batch_size} must be at least 1 and at most the {num_examples} examples."
        )
    if epoch < 0:
        raise DataError(f"epoch {epoch} is negative.")
    steps = num_examples // batch_size
    order = _permutation(num_examples, seed, _EPOCH_STREAM, epoch)
    return order[: steps * batch_size].reshape(steps, batch_size).astype(np.int32)


def pixel_order(seed: int, num_pixels: int) -> np.ndarray:
    """A random order of the pixels of an image, int64 [num_pixels], from a stream of its own."""
    return _permutation(num_pixels, seed, _PIXEL_STREAM)
