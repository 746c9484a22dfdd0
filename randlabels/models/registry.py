"""Which models there are, and a model from a config.

A model is a flax linen module, called as `model(inputs, train=False)` on [batch, h, w, c] or
[batch, d] -> logits [batch, classes], whose dataclass fields are the fields of config.model that it
reads. It is found by its `facts` in a module of this folder, or by its import path anywhere else.
"""

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax import nnx
from flax.core import FrozenDict
from flax.nnx.bridge import ToLinen, to_linen
from ml_collections import ConfigDict

from randlabels.config_rules import Fields, Reader, check_choice, nearest
from randlabels.errors import InputError, in_one_line, shown
from randlabels.import_path import is_import_path, load
from randlabels.models.facts import facts_of
from randlabels.models.layers import ACTIVATIONS


def _find_models() -> dict[str, type[nn.Module]]:
    """The classes that state facts, of the modules beside this one."""
    package = __name__.rpartition(".")[0]
    found = {}
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        for value in vars(importlib.import_module(f"{package}.{module.name}")).values():
            if inspect.isclass(value) and issubclass(value, nn.Module) and "facts" in vars(value):
                found[facts_of(value).name] = value
    return found


MODELS: dict[str, type[nn.Module]] = _find_models()


def model_named(name: str) -> type[nn.Module] | type[nnx.Module]:
    """The class of a model, by its name or its import path my_package.my_module:Net.

    One of the user's own may be of flax's linen or of its NNX.

    Raises:
        InputError: if there is none, or what the path leads to is no model.
    """
    if not is_import_path(name):
        if "." in name or "/" in name:
            raise InputError(
                f"config.model.name is {shown(name)}; a model of your own is named "
                "my_package.my_module:Net (docs/extending.md)."
            )
        check_choice("model.name", name, MODELS)
        return MODELS[name]
    model = load("model.name", name)
    if not (inspect.isclass(model) and issubclass(model, nn.Module | nnx.Module)):
        raise InputError(f"config.model.name is {name!r}, which is no class of flax modules.")
    parameters = inspect.signature(model.__call__).parameters.values()
    if not any(p.name == "train" or p.kind is p.VAR_KEYWORD for p in parameters):
        raise InputError(
            f"config.model.name is {name!r}, whose __call__ takes no argument `train`; it shall "
            f"take (inputs, train=False)."
        )
    return model


def _defaults(model: Any) -> dict[str, Any]:
    """{field: its default, MISSING if there is none} that a config may fill.

    Of a linen module or class its dataclass fields, of an NNX class what its __init__ takes.
    """
    if isinstance(model, ToLinen):
        model = model.nnx_class
    if not (inspect.isclass(model) and issubclass(model, nnx.Module)):
        fields = [f for f in dataclasses.fields(model) if f.name not in ("name", "parent")]
        made = [f.name for f in fields if f.default_factory is not dataclasses.MISSING]
        return {f.name: None if f.name in made else f.default for f in fields}
    taken = inspect.signature(model.__init__).parameters.values()
    return {
        p.name: dataclasses.MISSING if p.default is p.empty else p.default
        for p in taken
        if p.name not in ("self", "rngs") and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    }


def field_names(model: Any) -> set[str]:
    """The fields of a model, or its class, that a config may fill."""
    return set(_defaults(model))


def with_fields(model: nn.Module, **values: Any) -> nn.Module:
    """The model with other values of those of the fields that it has."""
    known = {k: v for k, v in values.items() if k in field_names(model)}
    if isinstance(model, ToLinen):
        return model.clone(kwargs=FrozenDict({**model.kwargs, **known}))
    return model.clone(**known)


def build(
    config: ConfigDict,
    batch_axis: str | None = None,
    batch_groups: tuple[tuple[int, ...], ...] | None = None,
) -> nn.Module:
    """The model a config describes, called on [batch, h, w, c] or [batch, d].

    Returns logits [batch, num_classes] in float32 whatever the precision of the computation. With
    `train=True` batch norms use the statistics of the batch, averaged over the device axis
    `batch_axis` where one is given (or over each of the groups of devices `batch_groups`), and
    update their running statistics.

    Raises:
        InputError: if there is no such model, or it cannot be built from the fields.
    """
    batch = {"batch_axis": batch_axis, "batch_groups": batch_groups}
    return _make(config.model, config.labels.num_classes, config.train.precision, batch)


def check_model(fields: Fields) -> dict[str, Reader]:
    """The rule of config.model: which fields the chosen model reads.

    Raises:
        InputError: if there is no such model, or it cannot be built from the fields.
    """
    check_choice("model.activation", fields["model.activation"], ACTIVATIONS)
    settings = {
        name.removeprefix("model."): value
        for name, value in fields.items()
        if name.startswith("model.")
    }
    model = _make(settings, fields["labels.num_classes"], fields["train.precision"], {})
    own, chooser = field_names(model), f"model {fields['model.name']}"
    readers = {f"model.{name}": Reader(chooser, name in own) for name in settings if name != "name"}
    readers["model.fields"] = Reader(chooser, is_import_path(fields["model.name"]))
    return readers | {"train.precision": Reader(chooser, "dtype" in own)}


def _make(
    settings: Mapping[str, Any], num_classes: int, precision: str, batch: Mapping[str, Any]
) -> nn.Module:
    """The model of the fields of config.model, with those of the rest that it has too."""
    model = model_named(settings["name"])
    values = dict(settings) | {
        "num_classes": num_classes,
        "dtype": jnp.dtype(precision),
        "batch_axis": None,
        "batch_groups": None,
        **batch,
    }
    given = (*values, *(name for name, _ in _pairs(settings)))
    missing = [
        name
        for name, default in _defaults(model).items()
        if default is dataclasses.MISSING and name not in given
    ]
    if missing:
        raise InputError(
            f"config.model.name is {settings['name']!r}, whose field {missing[0]!r} has no "
            f"default and is no field of config.model; give it in config.model.fields, "
            f"(({missing[0]!r}, VALUE),)."
        )
    filled = {name: values[name] for name in field_names(model) & set(values) - {"fields"}}
    try:
        chosen = filled | _further_fields(settings, model, filled)
        return to_linen(model, **chosen) if issubclass(model, nnx.Module) else model(**chosen)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # in a __post_init__ of the user's own
        if not is_import_path(settings["name"]):
            raise
        raise InputError(
            f"config.model.name is {settings['name']!r}, which cannot be made: {in_one_line(error)}"
        ) from error


def _pairs(settings: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The entries of config.model.fields, (name, value).

    Raises:
        InputError: if they are of another form, or name one twice.
    """
    given = settings["fields"]
    for entry in given:
        if not (isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str)):
            raise InputError(
                'config.model.fields must look like (("hidden", 12), ("blocks", 3)), not '
                f"{shown(given)}."
            )
    names = [name for name, _ in given]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"config.model.fields names {twice[0]!r} twice.")
    return list(given)


def _further_fields(
    settings: Mapping[str, Any], model: Any, filled: Mapping[str, Any]
) -> dict[str, Any]:
    """What config.model.fields sets of a model of the user's own, each of its default's type.

    Raises:
        InputError: if the class has no such field, a field of config.model fills it, or the value
            is of another type.
    """
    pairs = _pairs(settings)
    own = _defaults(model)
    free = [name for name in own if name not in filled]
    for name, value in pairs:
        if name in filled:
            setter = f"config.model.{name}" if name in settings else "training"
            raise InputError(
                f"config.model.fields names {name!r}, which {setter} sets; set it there, or call "
                "the field of your model otherwise."
            )
        if name not in free:
            raise InputError(
                f"config.model.fields names {name!r}, which {settings['name']} has not; "
                f"{nearest(name, free) if free else 'it has no further fields.'}"
            )
        default = own[name]
        known = (bool, int, float, str, tuple)
        wanted = next((kind for kind in known if isinstance(default, kind)), None)
        fits = type(value) is wanted or (wanted is float and type(value) is int)
        if wanted and not fits:
            raise InputError(
                f"config.model.fields gives {name!r} the value {shown(value)}; it must be of type "
                f"{wanted.__name__}, as its default {shown(default)}."
            )
    return dict(pairs)


def check_inputs(config: ConfigDict, model: nn.Module, shape: tuple[int, ...]) -> None:
    """Make sure that a model built from a config can take inputs [*shape].

    A smaller image would leave nothing behind a VALID convolution or the poolings.

    Raises:
        InputError: if it is too small.
    """
    least, pixels = facts_of(model).smallest_image(model), min(shape[:2])
    if pixels < least:
        raise InputError(
            f"The images are only {pixels} pixels wide or high, but {config.model.name} needs "
            f"{least} (config.data.image_size, config.model.kernel_size or channels)."
        )
