"""What one field of a config may be, beside its default."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of a config.

    Attributes:
        default: its type is the type of the field.
        low: the least value of a number, or of the numbers of a tuple; None where none applies.
        high: the greatest.
        element: the type of the numbers of a tuple.
        longest: the greatest length of a tuple or string.
        choices: what a string may be; () where any will do, or where another module checks it.
    """

    default: Any
    low: float | None = None
    high: float = math.inf
    element: type | None = None
    longest: int = 4096
    choices: tuple[str, ...] = ()


def defaults_of(fields: Mapping[str, Field]) -> ConfigDict:
    """A config of {"field" or "group.field": Field}, in that order."""
    config = ConfigDict()
    for name, field in fields.items():
        group, _, own = name.rpartition(".")
        if group and group not in config:
            config[group] = ConfigDict()
        (config[group] if group else config)[own] = field.default
    return config
