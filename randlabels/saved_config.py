"""Configs that earlier runs have saved: opened again, and compared."""

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from randlabels.config_rules import NESTED, flatten, tuples
from randlabels.configs import base
from randlabels.errors import InputError, in_one_line
from randlabels.records import plain, read_json


def read_config(path: Path) -> dict[str, Any]:
    """A config.json as flattened {"group.field": value}.

    Raises:
        InputError: if it is damaged.
    """
    try:
        nested = read_json(path)
    except ValueError:  # not JSON, or not text
        nested = None
    if not isinstance(nested, dict) or not nested:
        raise InputError(
            f"{path} is damaged; remove it if it is of a run of yours, or use another workdir."
        )
    return flat(nested)


def flat(nested: dict[str, Any]) -> dict[str, Any]:
    """A config as JSON holds it, flattened."""
    return {
        f"{group}.{field}" if isinstance(values, dict) else group: value
        for group, values in nested.items()
        for field, value in (values.items() if isinstance(values, dict) else [("", values)])
    }


def open_config(saved: dict[str, Any]) -> ConfigDict:
    """The config of a run (`Run.config`) as training had it: lists are tuples again.

    Fields that a later version added have their defaults.

    Raises:
        InputError: if fields are of other types.
    """
    config = base.get_config()
    try:
        config.update(saved)
        for name in NESTED:
            config.update_from_flattened_dict({name: tuples(flatten(config)[name])})
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"the saved config cannot be read ({in_one_line(error)}).") from error
    return config


def with_defaults(saved: dict[str, Any]) -> dict[str, Any]:
    """A flattened config that was saved as JSON, with the fields that a later version added.

    Their defaults are what the version that saved it did.
    """
    return plain(flatten(base.get_config())) | saved


def differences_of_saved(one: Any, other: Any) -> list[str]:
    """As `differences`, of nested configs as JSON holds them; one line for what is no config.

    Versions that had fewer fields may have saved them.
    """
    if not isinstance(one, dict) or not isinstance(other, dict):
        return ["no config"]
    return differences(with_defaults(flat(one)), with_defaults(flat(other)))


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """One line for each field of two flattened configs that differs."""
    missing = "(absent)"
    return [
        f"config.{name}: {theirs.get(name, missing)!r} there, {ours.get(name, missing)!r} here"
        for name in sorted(set(ours) | set(theirs))
        if ours.get(name, missing) != theirs.get(name, missing)
    ]
