"""Every field with its default. Runs by itself, without any download, on dead-leaves images.

    python -m randlabels.main --config=base --workdir=runs/base

Four networks (simple_cnn) learn images of 16x16 with 5 random classes. Every other file here writes
what a family of networks changes in this one, at each budget. A field that the chosen data set,
model or optimizer does not read must keep its default: a value that nothing reads is an error.
"""

from collections.abc import Mapping

from ml_collections import ConfigDict

from randlabels.errors import InputError

# {recipe: {budget: {"group.field": value}}}
Recipes = Mapping[str, Mapping[str, Mapping[str, object]]]
BUDGETS = ("full", "short", "smoke")  # a GPU where there are images; minutes on a CPU; seconds


def get_config() -> ConfigDict:
    """The default configuration; see the comments for units and ranges."""
    config = ConfigDict()
    config.seed = 0  # of the first network; network k of an arm has seed + k

    config.data = data = ConfigDict()
    data.name = "dead_leaves"  # dead_leaves, pink_noise, gaussian, or a TFDS name: cifar10, ...
    data.data_dir = ""  # where TFDS keeps its data sets; "" is TFDS's default
    data.seed = 0  # of the split into upstream and downstream, the order of batches, generated data
    data.upstream_size = 1200  # examples
    data.downstream_size = 1200  # examples, disjoint from upstream
    data.test_size = 500  # examples; 0 is all of a stored test set
    data.image_size = 16  # pixels; 0 is the native size; stored images are averaged down by boxes
    data.augment = "none"  # none, crop_flip (4-pixel zero-padded random crop, horizontal flip)
    data.shuffle_pixels = False  # images: one random order of the pixels for all of them
    data.diagonal = (1.0,)  # gaussian: the diagonal of the covariance, or of its square root
    data.diagonal_holds = "variances"  # gaussian: variances, standard_deviations
    data.rotation_seed = -1  # gaussian: of a random rotation of the inputs; -1 is none
    data.label_axes = "first"  # gaussian: real labels follow the axis first, first_and_last

    config.labels = labels = ConfigDict()
    labels.kind = "random"  # random, real, noisy (real, a share of them replaced at random)
    labels.num_classes = 5
    labels.seed = 0  # of the first network's labels; network k of an arm has seed + k
    labels.noise = 0.0  # noisy: share of the labels that are redrawn, 0 to 1
    labels.test = "clean"  # test labels: clean (the real ones), same (drawn as the training labels)

    config.model = model = ConfigDict()
    model.name = "simple_cnn"  # mlp, simple_cnn, conv_net, vgg16, resnet18, wide_resnet
    model.init_scale = 0.35  # kernels are N(0, (init_scale / sqrt(fan_in))^2); sqrt(2) is He
    model.activation = "relu"  # relu, leaky_relu, tanh, sigmoid, gelu, elu
    model.filters = 48  # simple_cnn, wide_resnet: filters of the first convolution
    model.kernel_size = 3  # simple_cnn, wide_resnet: of the first convolution, pixels
    model.channels = (16, 16, 32, 32)  # conv_net: filters of the convolutions
    model.widths = (32,)  # mlp, simple_cnn, conv_net: units of the dense hidden layers
    model.dropout = 0.0  # mlp, simple_cnn, conv_net: of the dense hidden layers' units, in training
    model.width = 1.0  # vgg16, resnet18, wide_resnet: factor on the channels of all layers
    model.last_width = 1.0  # the same: a further factor on the channels of the last layers
    model.depth = 28  # wide_resnet: 6 n + 4
    model.stem = "cifar"  # resnet18: cifar, imagenet
    model.conv = "auto"  # lax, patches (much faster on CPU), auto

    config.optimizer = optimizer = ConfigDict()
    optimizer.name = "sgd"  # sgd, adam, adamw, muon, or any of optax with a learning rate
    optimizer.learning_rate = 0.01
    optimizer.momentum = 0.9  # where the optimizer has one
    optimizer.weight_decay = 0.0  # decoupled where the optimizer has it, else added to the gradient
    optimizer.decay_at = ()  # fractions of training at which the learning rate is multiplied ...
    optimizer.decay_factor = 1 / 3  # ... by this

    config.train = train = ConfigDict()
    train.task = "upstream"  # upstream, downstream: which part of the training set
    train.epochs = 80
    train.batch_size = 64
    train.loss = "cross_entropy"  # cross_entropy, squared (distance to the one-hot label)
    train.precision = "float32"  # of the computation: float32, bfloat16; parameters are float32
    train.checkpoint_epochs = (0,)  # kept for analysis; the last is always kept
    train.eval_epochs = ()  # when to evaluate on the whole task and test set; () is every epoch
    train.resume_seconds = 60.0  # least time between checkpoints for resuming; 0 is every epoch

    config.population = population = ConfigDict()
    population.seeds = 4  # networks for each arm and each point of the sweep
    population.sweep = ()  # (("optimizer.learning_rate", (0.01, 0.003)), ...): all combinations
    population.vectorize = "auto"  # vmap, map: networks side by side or one after the other
    population.devices = "auto"  # networks, batch: what is spread over the devices
    population.shared_batches = True  # all networks see the same batches

    config.init = init = ConfigDict()
    # How networks start: scratch; from a run: pretrained, pretrained_unscaled, covariance; made
    # from data: aligned, patch_whitening; from nothing: orthogonal, smooth.
    init.arms = ("scratch",)
    init.layers = ("all",)  # that the arms set: all (but the head), first:2, last:1, or names
    init.run = ""  # workdir of the earlier run that arms read
    init.step = -1  # of its checkpoint; -1 is the newest
    init.covariance = "pooled"  # covariance: of all networks of the run pooled, or of each network
    init.curve = "closed_form:1"  # aligned: f, see transfer/curves.py; measured, fitted read a run
    init.centered = True  # aligned: eigenvectors of the covariance; False: of the second moment
    init.match = "output_variance"  # made arms: output_variance, weight_norm of the fresh kernel
    init.biases = "zero"  # made arms: zero, centring (outputs have mean 0 over inputs)
    init.images = 2000  # of the task, from which moments of a layer's inputs are taken
    return config


def sizes(upstream: int, downstream: int, test: int) -> dict[str, int]:
    """Numbers of examples, as fields of a recipe."""
    return {
        "data.upstream_size": upstream,
        "data.downstream_size": downstream,
        "data.test_size": test,
    }


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
    config.update_from_flattened_dict(recipes[name][budget])
    return config
