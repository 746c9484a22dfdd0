"""Checks a configuration once, before anything runs; every later use may trust it.

The fields, their defaults and their meaning are in `configs/base.py`. A config is wrong when a
field is unknown, missing, of another type or out of range, or when it sets a field that the chosen
data set, model or optimizer does not read.
"""

import difflib
import inspect
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from ml_collections import ConfigDict

from configs import base
from randlabels.errors import InputError
from randlabels.models import MODELS
from randlabels.models.layers import ACTIVATIONS
from randlabels.training.losses import LOSSES
from randlabels.transfer.registry import ARMS

GENERATED_DATA = ("dead_leaves", "pink_noise", "gaussian")

SWEEPABLE = (
    "optimizer.learning_rate",
    "optimizer.momentum",
    "optimizer.weight_decay",
    "model.init_scale",
    "labels.noise",
    "labels.seed",
    "init.step",
    "init.layers",
    "init.curve",
    "init.centered",
)

CHOICES: dict[str, tuple[str, ...]] = {
    "data.augment": ("none", "crop_flip"),
    "data.label_axes": ("first", "first_and_last"),
    "data.diagonal_holds": ("variances", "standard_deviations"),
    "labels.kind": ("random", "real", "noisy"),
    "labels.test": ("clean", "same"),
    "model.name": tuple(MODELS),
    "model.activation": tuple(ACTIVATIONS),
    "model.stem": ("cifar", "imagenet"),
    "model.conv": ("auto", "lax", "patches"),
    "train.task": ("upstream", "downstream"),
    "train.loss": tuple(LOSSES),
    "train.precision": ("float32", "bfloat16"),
    "population.vectorize": ("auto", "vmap", "map"),
    "population.devices": ("auto", "networks", "batch"),
    "init.covariance": ("pooled", "network"),
    "init.match": ("output_variance", "weight_norm"),
    "init.biases": ("zero", "centring"),
}

# Inclusive ranges of scalars.
RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**31 - 1),
    "data.seed": (0, 2**31 - 1),
    "labels.seed": (0, 2**31 - 1),
    "data.upstream_size": (0, math.inf),
    "data.downstream_size": (0, math.inf),
    "data.test_size": (0, math.inf),
    "data.image_size": (0, 4096),
    "labels.num_classes": (2, math.inf),
    "labels.noise": (0.0, 1.0),
    "model.init_scale": (1e-6, 1e3),
    "model.filters": (1, math.inf),
    "model.kernel_size": (1, math.inf),
    "model.depth": (10, math.inf),
    "model.width": (1e-3, 1e3),
    "model.last_width": (1e-3, 1e3),
    "model.dropout": (0.0, 0.99),
    "optimizer.learning_rate": (0.0, 1e3),
    "optimizer.momentum": (0.0, 0.9999),
    "optimizer.weight_decay": (0.0, 1e3),
    "optimizer.decay_factor": (1e-6, 1.0),
    "train.epochs": (1, math.inf),
    "train.batch_size": (1, math.inf),
    "train.resume_seconds": (0.0, math.inf),
    "population.seeds": (1, math.inf),
    "init.step": (-1, math.inf),
    "init.images": (1, math.inf),
    "data.rotation_seed": (-1, 2**31 - 1),
}

# Inclusive ranges of the elements of tuples.
ELEMENT_RANGES: dict[str, tuple[type, float, float]] = {
    "data.diagonal": (float, 0.0, math.inf),
    "model.channels": (int, 1, math.inf),
    "model.widths": (int, 1, math.inf),
    "optimizer.decay_at": (float, 0.0, 1.0),
    "train.checkpoint_epochs": (int, 0, math.inf),
    "train.eval_epochs": (int, 0, math.inf),
}


def check(config: ConfigDict) -> ConfigDict:
    """Return a frozen copy of a config in which everything is known, typed and in range.

    Raises:
        InputError: one sentence that names the field and what it may be.
    """
    defaults = flatten(base.get_config())
    fields = flatten(config)
    _check_names(fields, defaults)
    for name, value in fields.items():
        _check_type(name, value, defaults[name])
        _check_value(name, value)
    for name in ("init.arms", "init.layers"):
        fields[name] = _split_words(name, fields[name])
    _check_arms(fields["init.arms"])
    fields["population.sweep"] = _tuples(fields["population.sweep"])
    _check_sweep(fields, defaults)
    _check_unread(fields, defaults)
    _check_together(fields)
    checked = base.get_config()
    checked.update_from_flattened_dict(fields)
    return checked.lock()


def flatten(config: ConfigDict) -> dict[str, Any]:
    """The fields of a config as {"group.field": value}."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            flat |= {f"{name}.{field}": v for field, v in flatten(value).items()}
        else:
            flat[name] = value
    return flat


def arms_that_read(fields: dict[str, Any]) -> list[str]:
    """The arms of a flattened config that start from an earlier run."""
    curves = dict(fields["population.sweep"]).get("init.curve", (fields["init.curve"],))
    return [
        arm for arm in fields["init.arms"] if any(ARMS[arm].reads_run(curve) for curve in curves)
    ]


def nearest(name: str, known: tuple[str, ...]) -> str:
    """A hint `; did you mean X?`, or the known names when none is near."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"it may be {', '.join(known)}."


def optimizer_named(name: str) -> Callable[..., optax.GradientTransformation]:
    """The function of optax that makes an optimizer; muon is in its contributed part."""
    return optax.contrib.muon if name == "muon" else getattr(optax, name)


def optimizer_parameters(name: str) -> set[str]:
    """The names of the arguments that an optax optimizer takes."""
    return set(inspect.signature(optimizer_named(name)).parameters)


def _check_names(fields: dict[str, Any], defaults: dict[str, Any]) -> None:
    for name in fields:
        if name not in defaults:
            raise InputError(f"config.{name} is unknown; {nearest(name, tuple(defaults))}")
    for name in defaults:
        if name not in fields:
            raise InputError(f"config.{name} is missing; configs/base.py has every field.")


def _check_type(name: str, value: Any, default: Any) -> None:
    wanted = type(default)
    fits = type(value) is wanted or (wanted is float and type(value) is int)
    if not fits:
        raise InputError(
            f"config.{name} must be of type {wanted.__name__}, "
            f"not {type(value).__name__} ({value!r})."
        )
    if wanted is float and not math.isfinite(value):
        raise InputError(f"config.{name} must be finite, not {value}.")


def _check_value(name: str, value: Any) -> None:
    if name in CHOICES and value not in CHOICES[name]:
        raise InputError(f"config.{name} is {value!r}; {nearest(value, CHOICES[name])}")
    if name in RANGES:
        low, high = RANGES[name]
        if not low <= value <= high:
            bounds = f"at least {low}" if high == math.inf else f"from {low} to {high}"
            raise InputError(f"config.{name} must be {bounds}, not {value}.")
    if name in ELEMENT_RANGES:
        kind, low, high = ELEMENT_RANGES[name]
        for element in value:
            typed = type(element) is int or (kind is float and type(element) is float)
            if not typed or not low <= element <= high:
                raise InputError(
                    f"config.{name} must hold numbers of type {kind.__name__} "
                    f"from {low} to {high}, not {element!r}."
                )


def _split_words(name: str, words: tuple[Any, ...]) -> tuple[str, ...]:
    """On the command line --config.init.arms=scratch,pretrained is a tuple of one string."""
    if not all(isinstance(word, str) for word in words):
        raise InputError(f"config.{name} must hold names, not {words!r}.")
    return tuple(part.strip() for word in words for part in word.split(","))


def _tuples(value: Any) -> Any:
    """JSON makes lists of tuples, and a ConfigDict casts only the outermost back."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value


def _readers(fields: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """For each field that only some choices read: who chooses, and whether it is read now."""
    data, model = fields["data.name"], fields["model.name"]
    optimizer = fields["optimizer.name"]
    arguments = optimizer_parameters(optimizer)
    arms = fields["init.arms"]
    read = frozenset().union(*(ARMS[arm].reads for arm in arms))
    if arms_that_read(fields):
        read |= {"run", "step"}
    chooser = f"arm {', '.join(arms)}"
    readers = {
        "data.data_dir": (f"data set {data}", data not in GENERATED_DATA),
        "data.image_size": (f"data set {data}", data != "gaussian"),
        "data.shuffle_pixels": (f"data set {data}", data != "gaussian"),
        "data.diagonal": (f"data set {data}", data == "gaussian"),
        "data.diagonal_holds": (f"data set {data}", data == "gaussian"),
        "data.rotation_seed": (f"data set {data}", data == "gaussian"),
        "data.label_axes": (f"data set {data}", data == "gaussian"),
        "labels.noise": (f"label kind {fields['labels.kind']}", fields["labels.kind"] == "noisy"),
        "optimizer.momentum": (f"optimizer {optimizer}", "momentum" in arguments),
    }
    for name in fields:
        group, _, field = name.partition(".")
        if group == "init" and field != "arms":
            readers[name] = (chooser, field in read)
        if group == "model" and field != "name":
            readers[name] = (f"model {model}", field in MODELS[model].__dataclass_fields__)
    return readers


def _check_unread(fields: dict[str, Any], defaults: dict[str, Any]) -> None:
    _check_optimizer(fields)
    for name, (chooser, read) in _readers(fields).items():
        # Neutral values say what is true anyway: no momentum, no noise.
        neutral = (defaults[name], 0, 0.0)
        if not read and fields[name] not in neutral:
            raise InputError(
                f"config.{name} is {fields[name]!r}, but {chooser} does not read it; "
                f"set it back to its default {defaults[name]!r}."
            )


def _check_optimizer(fields: dict[str, Any]) -> None:
    name = fields["optimizer.name"]
    optimizers = tuple(
        n
        for n, f in {**vars(optax), "muon": optax.contrib.muon}.items()
        if inspect.isfunction(f)
        and not n.startswith(("_", "scale_by_"))
        and next(iter(inspect.signature(f).parameters), "") == "learning_rate"
    )
    if name not in optimizers:
        raise InputError(f"config.optimizer.name is {name!r}; {nearest(name, optimizers)}")
    if not _trains(name):
        raise InputError(
            f"config.optimizer.name is {name!r}, which takes no schedule of learning rates or "
            f"needs more than gradients; choose another, such as 'sgd' or 'adam'."
        )


def _trains(name: str) -> bool:
    """Whether an optax optimizer works with a schedule of learning rates and gradients alone."""

    def update(learning_rate: jax.Array) -> Any:
        optimizer = optimizer_named(name)(optax.constant_schedule(learning_rate))
        params = {"kernel": jnp.ones((2, 2))}
        return optimizer.update(params, optimizer.init(params), params)[0]

    try:
        jax.eval_shape(update, 1.0)
    except (TypeError, ValueError):
        return False
    return True


def _check_sweep(fields: dict[str, Any], defaults: dict[str, Any]) -> None:
    example = '(("optimizer.learning_rate", (0.01, 0.003)),)'
    seen = set()
    for entry in fields["population.sweep"]:
        if not (isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[1], tuple)):
            raise InputError(f"config.population.sweep must look like {example}, not {entry!r}.")
        name, values = entry
        if name not in SWEEPABLE:
            raise InputError(
                f"config.population.sweep cannot sweep {name!r}; {nearest(str(name), SWEEPABLE)}"
            )
        for value in values:
            _check_type(name, value, defaults[name])
            _check_value(name, value)
        if name in seen or not values or len(set(values)) != len(values):
            raise InputError(
                f"config.population.sweep must name {name!r} once, with one or more different "
                f"values, not {values!r}."
            )
        seen.add(name)
    for name in seen:
        chooser, read = _readers(fields).get(name, ("", True))
        if not read:
            raise InputError(
                f"config.population.sweep sweeps {name!r}, which {chooser} does not read."
            )


def _check_together(fields: dict[str, Any]) -> None:
    """Rules that concern more than one field."""
    task, size = fields["train.task"], fields[f"data.{fields['train.task']}_size"]
    if fields["train.batch_size"] > size:
        raise InputError(
            f"config.train.batch_size is {fields['train.batch_size']}, but the {task} task has "
            f"only {size} examples (config.data.{task}_size)."
        )
    for name in ("train.checkpoint_epochs", "train.eval_epochs"):
        late = [epoch for epoch in fields[name] if epoch > fields["train.epochs"]]
        if late:
            raise InputError(
                f"config.{name} names epoch {late[0]}, but training ends after epoch "
                f"{fields['train.epochs']} (config.train.epochs)."
            )
    if fields["data.name"] in GENERATED_DATA and fields["data.test_size"] < 1:
        raise InputError("config.data.test_size must be at least 1 for generated data.")
    if fields["data.name"] == "gaussian" and fields["data.augment"] != "none":
        raise InputError("config.data.augment needs images, and gaussian inputs are not images.")
    if fields["data.name"] == "gaussian" and fields["model.name"] != "mlp":
        raise InputError("gaussian inputs are vectors: set config.model.name to 'mlp'.")
    if fields["model.name"] == "wide_resnet" and (fields["model.depth"] - 4) % 6:
        raise InputError(
            f"config.model.depth must be 6 n + 4 for a wide_resnet, not {fields['model.depth']}."
        )
    _check_init(fields)


def _check_arms(arms: tuple[str, ...]) -> None:
    if not arms or len(set(arms)) != len(arms):
        raise InputError(f"config.init.arms must name one or more different arms, not {arms!r}.")
    for arm in arms:
        if arm not in ARMS:
            raise InputError(f"config.init.arms names {arm!r}; {nearest(arm, tuple(ARMS))}")


def _check_init(fields: dict[str, Any]) -> None:
    needing = arms_that_read(fields)
    if needing and not fields["init.run"]:
        raise InputError(
            f"arm {needing[0]} starts from an earlier run: give its workdir as config.init.run."
        )
    if not fields["init.layers"]:
        raise InputError(
            "config.init.layers must name layers, such as ('conv1',), ('first:2',) or ('all',), "
            f"not {fields['init.layers']!r}."
        )
