"""Configs by name, with changes, for use from Python: `randlabels.config("base", epochs=5)`."""

import difflib
import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from randlabels import configs
from randlabels.config_rules import nearest
from randlabels.configs import base
from randlabels.errors import InputError, in_one_line, shown


def config(name: str = "base", /, **changes: Any) -> ConfigDict:
    """A checked config.

    config("base", epochs=5, seeds=8)
    config("vgg16:short", data={"data_dir": "datasets"}, learning_rate=0.01)

    Args:
        name: of a config in configs/, or a file of your own, each with an argument after a colon
            as on the command line ("study:fig5.random.short").
        **changes: fields by their last name (epochs is train.epochs) where only one field has it,
            or groups of them (data={"name": "cifar10"}).

    Raises:
        InputError: if there is no such config or field, or a value cannot be used.
    """
    from randlabels.training.check import check

    found = _named(name)
    fields = _fields(changes)
    for field, value in fields.items():
        if isinstance(base.FIELDS[field].default, tuple) and isinstance(value, list):
            value = tuple(value)
        try:
            found.update_from_flattened_dict({field: value})
        except (TypeError, ValueError) as error:
            kind = type(base.FIELDS[field].default).__name__
            raise InputError(
                f"config.{field} must be of type {kind}, not {type(value).__name__} "
                f"({shown(value)})."
            ) from error
    return check(found)


def _fields(changes: Mapping[str, Any]) -> dict[str, Any]:
    """{"group.field": value} of changes by short names and by groups."""
    groups = {name.partition(".")[0] for name in base.FIELDS if "." in name}
    fields: dict[str, Any] = {}
    for name, value in changes.items():
        if name in groups and isinstance(value, Mapping):
            given = {f"{name}.{field}": v for field, v in value.items()}
        else:
            given = {_full_name(name): value}
        for field in given:
            if field not in base.FIELDS:
                raise InputError(f"config.{field} is unknown; {nearest(field, tuple(base.FIELDS))}")
        fields |= given
    return fields


def _full_name(name: str) -> str:
    if name in base.FIELDS:  # seed, or a full name from a dict
        return name
    full = [field for field in base.FIELDS if field.rpartition(".")[2] == name]
    if len(full) > 1:
        group, _, field = full[0].partition(".")
        raise InputError(
            f"{name} may be {' or '.join(full)}; give its group, such as "
            f"{group}={{{field!r}: ...}}."
        )
    if not full:
        short = {field.rpartition(".")[2]: field for field in base.FIELDS}
        close = difflib.get_close_matches(name, short, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "configs/base.py has every field."
        raise InputError(f"no field of a config is called {shown(name)}; {hint}")
    return full[0]


def _named(name: str) -> ConfigDict:
    """What the get_config of a shipped config, or of a file, returns."""
    if not isinstance(name, str):
        raise InputError(f"{shown(name)} is no name of a config; give one, such as 'base'.")
    stem, colon, argument = name.partition(":")
    get_config = _function(stem)
    try:
        found = get_config(argument) if colon else get_config()
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # of a user's file
        raise InputError(f"the config {name} fails: {in_one_line(error)}") from error
    if not isinstance(found, ConfigDict):
        raise InputError(f"get_config of {name} returns no ConfigDict.")
    return ConfigDict(found.to_dict())


def shipped() -> dict[str, Path]:
    """{name: file} of the configs that come with the package, by name."""
    (folder,) = configs.__path__
    return {path.stem: path for path in sorted(Path(folder).glob("[a-z]*.py"))}


def _function(stem: str) -> Any:
    if stem in shipped():
        module = importlib.import_module(f"randlabels.configs.{stem}")
    elif stem.endswith(".py") and Path(stem).is_file():
        spec = importlib.util.spec_from_file_location(Path(stem).stem, stem)
        assert spec is not None  # for what ends in .py there is one
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            raise InputError(f"importing {stem} fails: {in_one_line(error)}") from error
    else:
        raise InputError(f"there is no config {shown(stem)}; {nearest(stem, tuple(shipped()))}")
    if not hasattr(module, "get_config"):
        raise InputError(f"{stem} has no get_config.")
    return module.get_config
