"""What a config may be, as far as its fields and the given rules say; knows no reader of it.

The fields, their defaults, ranges and choices are in `configs/base.py`. A config is wrong when a
field is unknown, missing, of another type or out of range, when a rule says so, or when it sets a
field that nothing reads: a rule says which fields the chosen data set, model, ... reads.
"""

import difflib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from randlabels.configs import base
from randlabels.errors import InputError, shown


class Reader(NamedTuple):
    """Who decides whether a field is read ("model mlp"), and whether it is."""

    chooser: str
    reads: bool


# Fields that hold tuples of tuples.
NESTED = ("population.sweep", "model.fields")

# {"group.field": value}; whatever a rule is asked, its names, types and ranges are right.
Fields = Mapping[str, Any]

# Raises InputError if fields cannot be used, and returns who reads those that not all choices read.
Rule = Callable[[Fields], Mapping[str, Reader]]


def checked(config: ConfigDict, sweepable: Sequence[str], rules: Sequence[Rule]) -> ConfigDict:
    """A frozen copy of a config in which everything is known, typed, in range and read.

    Args:
        config: to be checked; not changed.
        sweepable: the fields that config.population.sweep may name.
        rules: of those who read the fields.

    Raises:
        InputError: one sentence that names the field and what it may be.
    """
    fields = flatten(config)
    _check_names(fields)
    for name, value in fields.items():
        fields[name] = _checked_value(name, value)
    for name in NESTED:
        fields[name] = tuples(fields[name])
    _check_sweep(fields["population.sweep"], sweepable)
    _check_networks(fields)
    readers: dict[str, Reader] = {}
    for rule in rules:
        readers |= rule(fields)
    _check_unread(fields, readers)
    copy = base.get_config()
    copy.update_from_flattened_dict(fields)
    return copy.lock()


def flatten(config: ConfigDict) -> dict[str, Any]:
    """The fields of a config as {"group.field": value}."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            flat |= {f"{name}.{field}": v for field, v in flatten(value).items()}
        else:
            flat[name] = value
    return flat


def nearest(name: str, known: Sequence[str]) -> str:
    """A hint `; did you mean X?`, or the known names when none is near."""
    short = name.rpartition(".")[2]
    initials = [one for one in known if len(short) > 1 and _initials(one) == short]
    close = initials or difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"it may be {', '.join(known)}."


def _initials(name: str) -> str:
    """Of the words of a field: "lr" of optimizer.learning_rate."""
    return "".join(word[:1] for word in name.rpartition(".")[2].split("_"))


def check_choice(name: str, value: str, known: Collection[str]) -> None:
    """Make sure that a field names something known.

    Raises:
        InputError: with the nearest name, or all of them.
    """
    if value not in known:
        raise InputError(f"config.{name} is {shown(value)}; {nearest(value, tuple(known))}")


def _check_unread(fields: Fields, readers: Mapping[str, Reader]) -> None:
    swept = [name for name, _ in fields["population.sweep"]]
    for name, (chooser, read) in readers.items():
        if read:
            continue
        if name in swept:
            raise InputError(
                f"config.population.sweep sweeps {name!r}, which {chooser} does not read."
            )
        default = base.FIELDS[name].default
        # Neutral values say what is true anyway: no momentum, no noise.
        if fields[name] not in (default, 0, 0.0):
            raise InputError(
                f"config.{name} is {shown(fields[name])}, but {chooser} does not read it; "
                f"set it back to its default {default!r}."
            )


def _check_sweep(sweep: tuple[Any, ...], sweepable: Sequence[str]) -> None:
    example = '(("optimizer.learning_rate", (0.01, 0.003)),)'
    seen = set()
    for entry in sweep:
        if not (isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[1], tuple)):
            raise InputError(
                f"config.population.sweep must look like {example}, not {shown(entry)}."
            )
        name, values = entry
        if name not in sweepable:
            raise InputError(
                f"config.population.sweep cannot sweep {shown(name)}; "
                f"{nearest(str(name), sweepable)}"
            )
        for value in values:
            _checked_value(name, value)
        if name in seen or not values or len(set(values)) != len(values):
            raise InputError(
                f"config.population.sweep must name {name!r} once, with one or more different "
                f"values, not {shown(values)}."
            )
        seen.add(name)


def _check_networks(fields: Fields) -> None:
    """A sweep multiplies, so that a few short lists make more networks than anyone has."""
    points = math.prod(len(values) for _, values in fields["population.sweep"])
    count = fields["population.seeds"] * points * len(fields["init.arms"])
    if count > base.MAX_NETWORKS:
        raise InputError(
            f"config.population.seeds, config.population.sweep and config.init.arms make {count} "
            f"networks; a run holds at most {base.MAX_NETWORKS}."
        )


def _check_names(fields: Fields) -> None:
    for name in fields:
        if name not in base.FIELDS:
            raise InputError(f"config.{name} is unknown; {nearest(name, tuple(base.FIELDS))}")
    for name in base.FIELDS:
        if name not in fields:
            raise InputError(f"config.{name} is missing; configs/base.py has every field.")


def _checked_value(name: str, value: Any) -> Any:
    """The value of a field; names that the command line left in one string are apart."""
    field = base.FIELDS[name]
    _check_type(name, value, type(field.default))
    if isinstance(value, tuple | str) and len(value) > field.longest:
        unit = "values" if isinstance(value, tuple) else "characters"
        raise InputError(
            f"config.{name} must have at most {field.longest} {unit}, not {len(value)}."
        )
    if field.choices:
        check_choice(name, value, field.choices)
    if field.low is not None and field.element is not None:
        _check_elements(name, value, field.element, field.low, field.high)
    elif field.low is not None and not field.low <= value <= field.high:
        raise InputError(
            f"config.{name} must be from {field.low} to {field.high}, not {shown(value)}."
        )
    names = isinstance(field.default, tuple) and field.element is None and field.default
    return _split_words(name, value) if names else value


def _check_type(name: str, value: Any, wanted: type) -> None:
    fits = type(value) is wanted or (wanted is float and type(value) is int)
    if not fits:
        raise InputError(
            f"config.{name} must be of type {wanted.__name__}, "
            f"not {type(value).__name__} ({shown(value)})."
        )
    # Not math.isfinite, which a whole number beyond the floats makes raise.
    if wanted is float and not -math.inf < value < math.inf:
        raise InputError(f"config.{name} must be finite, not {shown(value)}.")


def _check_elements(
    name: str, values: tuple[Any, ...], element: type, low: float, high: float
) -> None:
    for value in values:
        typed = type(value) is int or (element is float and type(value) is float)
        if not typed or not low <= value <= high:
            raise InputError(
                f"config.{name} must hold numbers of type {element.__name__} "
                f"from {low} to {high}, not {shown(value)}."
            )


def _split_words(name: str, words: tuple[Any, ...]) -> tuple[str, ...]:
    """On the command line --config.init.arms=scratch,pretrained is a tuple of one string.

    A comma at the end, as in a tuple of one, adds no empty name.
    """
    if not all(isinstance(word, str) for word in words):
        raise InputError(f"config.{name} must hold names, not {shown(words)}.")
    parts = (part.strip() for word in words for part in word.split(","))
    return tuple(part for part in parts if part)


def tuples(value: Any) -> Any:
    """JSON makes lists of tuples, and a ConfigDict casts only the outermost back."""
    return tuple(tuples(v) for v in value) if isinstance(value, list | tuple) else value
