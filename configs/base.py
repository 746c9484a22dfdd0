"""Every field with its default. Runs by itself, without any download, on dead-leaves images.

    python -m randlabels.main --config=base --workdir=runs/base

Four networks (simple_cnn) learn images of 16x16 with 5 random classes. Every other file here writes
what a family of networks changes in this one, at each budget. A field that the chosen data set,
model or optimizer does not read must keep its default: a value that nothing reads is an error.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from randlabels.errors import InputError
from randlabels.fields import Field, defaults_of

_MAX_SEED = 2**31 - 1
# Upper ends of sizes. Each alone is more than any machine of today trains; whether all together fit
# into memory is what `randlabels.training.memory` says.
_MAX_EXAMPLES = 2**28  # examples have ids below 2**30, and test examples those from there on
_MAX_UNITS = 10**6  # of a layer
_MAX_LAYERS = 200
_MAX_EPOCHS = 10**6
MAX_NETWORKS = 10**5  # of one population

# Each field with its default and what it may be. Where no range or choice stands here, the module
# that reads the field checks it: names of data sets, models, optimizers, losses and arms.
FIELDS: dict[str, Field] = {
    # Of the first network; network k of an arm has seed + k.
    "seed": Field(0, low=0, high=_MAX_SEED),
    # --- data
    # dead_leaves, pink_noise, gaussian, a TFDS name (cifar10, ...), or a generator of your own by
    # its import path, my_package.my_module:generator.
    "data.name": Field("dead_leaves"),
    "data.data_dir": Field(""),  # where TFDS keeps its data sets; "" is TFDS's default
    # Of the split into upstream and downstream, the order of batches, generated data.
    "data.seed": Field(0, low=0, high=_MAX_SEED),
    "data.upstream_size": Field(1200, low=0, high=_MAX_EXAMPLES),  # examples
    "data.downstream_size": Field(1200, low=0, high=_MAX_EXAMPLES),  # disjoint from upstream
    "data.test_size": Field(500, low=0, high=_MAX_EXAMPLES),  # 0 is all of a stored test set
    # Pixels; 0 is the native size; stored images are averaged down by boxes.
    "data.image_size": Field(16, low=0, high=4096),
    # Stored images of many sizes: pixels that the shorter side is resized to before a square of
    # image_size is cut from the centre; 0 is none.
    "data.short_side": Field(0, low=0, high=4096),
    "data.stream": Field(False),  # stored images stay on disk and are read batch by batch
    # crop_flip: 4-pixel zero-padded random crop, horizontal flip. resized_crop_flip: of pictures on
    # disk, a random rectangle of 8% to 100% of the area, horizontal flip.
    "data.augment": Field("none", choices=("none", "crop_flip", "resized_crop_flip")),
    "data.shuffle_pixels": Field(False),  # images: one random order of the pixels for all of them
    # gaussian: the diagonal of the covariance, or of its square root.
    # float32 holds the inputs, and their squares.
    "data.diagonal": Field((1.0,), low=0.0, high=1e12, element=float, longest=10**4),
    "data.diagonal_holds": Field("variances", choices=("variances", "standard_deviations")),
    # gaussian: of a random rotation of the inputs; -1 is none.
    "data.rotation_seed": Field(-1, low=-1, high=_MAX_SEED),
    # gaussian: which axes of the covariance real labels follow.
    "data.label_axes": Field("first", choices=("first", "first_and_last")),
    # --- labels
    # noisy: real, a share of them replaced at random.
    "labels.kind": Field("random", choices=("random", "real", "noisy")),
    "labels.num_classes": Field(5, low=2, high=10**6),
    # Of the first network's labels; network k of an arm has seed + k.
    "labels.seed": Field(0, low=0, high=_MAX_SEED),
    "labels.noise": Field(0.0, low=0.0, high=1.0),  # noisy: share of the labels that are redrawn
    # Test labels: clean (the real ones), same (drawn as the training labels).
    "labels.test": Field("clean", choices=("clean", "same")),
    # --- model
    # mlp, simple_cnn, conv_net, vgg16, resnet18, wide_resnet, or a model of your own by its import
    # path, my_package.my_module:Net.
    "model.name": Field("simple_cnn"),
    # Kernels are N(0, (init_scale / sqrt(fan_in))^2); sqrt(2) is He.
    "model.init_scale": Field(0.35, low=1e-6, high=1e3),
    "model.activation": Field("relu"),  # relu, leaky_relu, tanh, sigmoid, gelu, elu
    # simple_cnn, wide_resnet: filters of the first convolution, and their width in pixels.
    "model.filters": Field(48, low=1, high=_MAX_UNITS),
    "model.kernel_size": Field(3, low=1, high=64),
    # conv_net: filters of the convolutions.
    "model.channels": Field(
        (16, 16, 32, 32), low=1, high=_MAX_UNITS, element=int, longest=_MAX_LAYERS
    ),
    # mlp, simple_cnn, conv_net: units of the dense hidden layers, and their dropout in training.
    "model.widths": Field((32,), low=1, high=_MAX_UNITS, element=int, longest=_MAX_LAYERS),
    "model.dropout": Field(0.0, low=0.0, high=0.99),
    # vgg16, resnet18, wide_resnet: factor on the channels of all layers, and a further one on those
    # of the last layers.
    "model.width": Field(1.0, low=1e-3, high=1e3),
    "model.last_width": Field(1.0, low=1e-3, high=1e3),
    "model.depth": Field(28, low=10, high=1000),  # wide_resnet: 6 n + 4
    "model.stem": Field("cifar", choices=("cifar", "imagenet")),  # resnet18
    # patches is much faster on CPU, which auto knows.
    "model.conv": Field("auto", choices=("auto", "lax", "patches")),
    # Further fields of a model of your own: (("hidden", 12), ("blocks", 3)).
    "model.fields": Field((), longest=100),
    # --- optimizer
    "optimizer.name": Field("sgd"),  # sgd, adam, adamw, muon, or any of optax with a learning rate
    "optimizer.learning_rate": Field(0.01, low=0.0, high=1e3),
    "optimizer.momentum": Field(0.9, low=0.0, high=0.9999),  # where the optimizer has one
    # Decoupled where the optimizer has it, else added to the gradient.
    "optimizer.weight_decay": Field(0.0, low=0.0, high=1e3),
    # Fractions of training at which the learning rate is multiplied by the factor.
    "optimizer.decay_at": Field((), low=0.0, high=1.0, element=float, longest=1000),
    "optimizer.decay_factor": Field(1 / 3, low=1e-6, high=1.0),
    # --- train
    # Which part of the training set.
    "train.task": Field("upstream", choices=("upstream", "downstream")),
    "train.epochs": Field(80, low=1, high=_MAX_EPOCHS),
    "train.batch_size": Field(64, low=1, high=_MAX_EXAMPLES),
    # cross_entropy, squared (distance to the one-hot label).
    "train.loss": Field("cross_entropy"),
    # Of the computation; parameters are float32.
    "train.precision": Field("float32", choices=("float32", "bfloat16")),
    # Kept for analysis; the last is always kept.
    "train.checkpoint_epochs": Field((0,), low=0, high=_MAX_EPOCHS, element=int, longest=10**4),
    # When to evaluate on the whole task and test set; () is every epoch.
    "train.eval_epochs": Field((), low=0, high=_MAX_EPOCHS, element=int, longest=10**5),
    # Least time between checkpoints for resuming; 0 is every epoch.
    "train.resume_seconds": Field(60.0, low=0.0, high=1e9),
    # --- population
    # Networks for each arm and each point of the sweep.
    "population.seeds": Field(4, low=1, high=MAX_NETWORKS),
    # (("optimizer.learning_rate", (0.01, 0.003)), ...): all combinations.
    "population.sweep": Field(()),
    # Networks side by side or one after the other.
    "population.vectorize": Field("auto", choices=("auto", "vmap", "map")),
    # What is spread over the devices: networks, parts of each batch, both, or what is best.
    "population.devices": Field("auto", choices=("auto", "networks", "batch", "both")),
    "population.shared_batches": Field(True),  # all networks see the same batches
    # Part of the networks that is trained, such as 3/8; "" is all. --shard sets it.
    "population.shard": Field(""),
    # --- init
    # How networks start: scratch; from a run: pretrained, pretrained_unscaled; redrawn from one:
    # covariance (first layer), procrustes_covariance, by_rank, shuffled; made from data: aligned,
    # patch_whitening; from nothing: orthogonal, smooth.
    "init.arms": Field(("scratch",)),
    # That the arms set: all (but the head), first:2, last:1, or names.
    "init.layers": Field(("all",)),
    "init.run": Field(""),  # workdir of the earlier run that arms read
    "init.step": Field(-1, low=-1, high=_MAX_SEED),  # of its checkpoint; -1 is the newest
    # covariance, procrustes_covariance, by_rank: of all networks of the run pooled, or of each.
    "init.covariance": Field("pooled", choices=("pooled", "network")),
    # aligned: f, see transfer/curves.py; measured, fitted read a run.
    "init.curve": Field("closed_form:1"),
    # aligned: eigenvectors of the covariance; False: of the second moment.
    "init.centered": Field(True),
    # procrustes_covariance, by_rank, shuffled, made arms: what a kernel shares with the fresh one.
    "init.match": Field("output_variance", choices=("output_variance", "weight_norm")),
    # Made arms: centring gives outputs mean 0 over inputs.
    "init.biases": Field("zero", choices=("zero", "centring")),
    # Of the task, from which moments of a layer's inputs are taken.
    "init.images": Field(2000, low=1, high=_MAX_EXAMPLES),
}

BUDGETS = ("full", "short", "smoke")  # a GPU where there are images; minutes on a CPU; seconds
SAME: Any = object()  # at a budget: the field is not changed

Sizes = tuple[int, int, int]  # at full, short and smoke
# {"group.field": its values at full, short and smoke}
Columns = Mapping[str, tuple[Any, Any, Any]]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a recipe changes in the defaults.

    Attributes:
        changes: {"group.field": value} at every budget.
        at: other fields with their values at each budget, SAME where one is not changed.
    """

    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    at: Columns = dataclasses.field(default_factory=dict)


Recipes = Mapping[str, Recipe]


def get_config(argument: str = "") -> ConfigDict:
    """The default configuration; see FIELDS for units and ranges.

    Raises:
        InputError: for an argument, as in --config=base:short; base has no budgets.
    """
    if argument:
        raise InputError(f"base has no recipe or budget {argument!r}; leave it out.")
    return defaults_of(FIELDS)


def sizes(upstream: Sizes, downstream: Sizes, test: Sizes) -> Columns:
    """Numbers of examples, as fields of a recipe."""
    return {
        "data.upstream_size": upstream,
        "data.downstream_size": downstream,
        "data.test_size": test,
    }


def changes_at(budget: str, changes: Mapping[str, Any], at: Columns) -> dict[str, Any]:
    """{"group.field": value} that a recipe or a stage changes at one of the budgets."""
    column = {field: values[BUDGETS.index(budget)] for field, values in at.items()}
    return {**changes, **{field: value for field, value in column.items() if value is not SAME}}


def from_recipes(recipes: Recipes, argument: str = "full") -> ConfigDict:
    """The default config with the changes of one recipe of a family of networks at one budget.

    Args:
        recipes: of a family; the first is its default.
        argument: of the config file: "", "budget", "recipe" or "recipe.budget"; full by default.

    Raises:
        InputError: if the recipe or the budget is unknown.
    """
    name, budget = next(iter(recipes)), "full"
    if "." in argument:
        name, _, budget = argument.partition(".")
    elif argument in recipes:
        name = argument
    elif argument:
        budget = argument
    if name not in recipes:
        raise InputError(f"recipe {name!r} is unknown; it may be {', '.join(recipes)}.")
    if budget not in BUDGETS:
        meant = argument == budget and len(recipes) > 1  # or a recipe was
        more = f" (recipes: {', '.join(recipes)})" if meant else ""
        raise InputError(f"budget {budget!r} is unknown; it may be {', '.join(BUDGETS)}{more}.")
    config = get_config()
    recipe = recipes[name]
    config.update_from_flattened_dict(changes_at(budget, recipe.changes, recipe.at))
    return config
