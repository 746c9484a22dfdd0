"""What the rest of the package must know of a model beside its logits."""

import dataclasses
from collections.abc import Callable
from typing import Any


def _one(model: Any) -> int:
    return 1


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a model says of itself, as its class attribute `facts`. The defaults suit most models.

    Attributes:
        name: by which config.model.name calls it; "" for a model that is named by its import path.
        takes_vectors: whether it takes inputs [batch, d] too, not images alone.
        smallest_image: from the model to the least width and height of its images in pixels.
        in_turn: whether its networks are faster one after the other than side by side on GPU and
            TPU too; on CPU all are.
        fixed_on_cpu: share of a step's time on a CPU that splitting its batch over two devices does
            not save; 1 where that saves nothing.
    """

    name: str = ""
    takes_vectors: bool = False
    smallest_image: Callable[[Any], int] = _one
    in_turn: bool = False
    fixed_on_cpu: float = 1.0


def facts_of(model: Any) -> Facts:
    """The facts of a model or its class; the defaults where it states none."""
    facts = getattr(model, "facts", None)
    return facts if isinstance(facts, Facts) else Facts()
