"""What a config may be: every field, its type, its range, and who reads it."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from ml_collections import ConfigDict

from randlabels import records
from randlabels.config_rules import flatten
from randlabels.configs import base
from randlabels.data.generators import GENERATORS
from randlabels.errors import InputError
from randlabels.models import MODELS, field_names
from randlabels.saved_config import differences
from randlabels.training.check import check
from randlabels.training.optimizers import optimizer_parameters

ROOT = Path(__file__).parents[1]
CONFIGS = sorted(path.stem for path in (ROOT / "configs").glob("[a-z]*.py"))
FAMILIES = [name for name in CONFIGS if name not in ("base", "study")]
DEFAULTS = flatten(base.get_config())
OWNED_CHOICES = ("model.name", "model.activation", "train.loss")
CHOICES = (*OWNED_CHOICES, *(name for name, field in base.FIELDS.items() if field.choices))


def family(name):
    return importlib.import_module(f"randlabels.configs.{name}")


RECIPES = [f"{name}:{recipe}" for name in FAMILIES for recipe in family(name).RECIPES]


def load(recipe, budget):
    name, _, argument = recipe.partition(":")
    return family(name).get_config(f"{argument}.{budget}")


@pytest.mark.parametrize("budget", base.BUDGETS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_is_accepted_and_survives_json(recipe, budget):
    config = check(load(recipe, budget))
    assert config.is_locked
    back = load(recipe, budget)
    back.update(json.loads(json.dumps(records.plain(config.to_dict()))))  # casts lists to tuples
    assert check(back) == config
    assert flatten(check(config)) == flatten(config)


def test_configs_are_collected():
    assert {"base", "study"} < set(CONFIGS)
    assert len(FAMILIES) == 6


@pytest.mark.parametrize("name", FAMILIES)
def test_a_recipe_is_one_step_from_base(name):
    """A family's file imports no other, and what it writes at a budget is all that it changes."""
    tree = ast.parse((ROOT / "configs" / f"{name}.py").read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(node) for node in imports] == [
        "import functools",
        "from randlabels.configs import base",
    ]
    for name_of, recipe in family(name).RECIPES.items():
        assert not set(recipe.changes) & set(recipe.at)
        assert {len(values) for values in recipe.at.values()} == {len(base.BUDGETS)}
        for column, budget in enumerate(base.BUDGETS):
            at = {field: values[column] for field, values in recipe.at.items()}
            changes = recipe.changes | {
                f: value for f, value in at.items() if value is not base.SAME
            }
            assert flatten(load(f"{name}:{name_of}", budget)) == DEFAULTS | changes


@pytest.mark.parametrize(
    ("argument", "same"),
    [
        ("", "one.full"),
        ("short", "one.short"),
        ("two", "two.full"),
        ("two.smoke", "two.smoke"),
    ],
)
def test_recipe_and_budget_may_be_left_out(argument, same):
    recipes = {
        name: base.Recipe(at={"data.name": tuple(f"{name}.{budget}" for budget in base.BUDGETS)})
        for name in ("one", "two")
    }
    assert base.from_recipes(recipes, argument).data.name == same


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("tiny", "budget 'tiny' is unknown; it may be full, short, smoke (recipes: one, two)."),
        ("two.tiny", "budget 'tiny' is unknown; it may be full, short, smoke."),
        ("three.full", "recipe 'three' is unknown; it may be one, two."),
    ],
)
def test_unknown_recipes_and_budgets_are_named(argument, sentence):
    with pytest.raises(InputError) as error:
        base.from_recipes({"one": base.Recipe(), "two": base.Recipe()}, argument)
    assert str(error.value) == sentence


def test_a_field_may_be_the_same_at_a_budget():
    at = {"model.widths": ((64, 64), base.SAME, (4,)), "train.epochs": (base.SAME, 3, 2)}
    recipes = {"one": base.Recipe(changes={"seed": 7}, at=at)}
    configs = [base.from_recipes(recipes, budget) for budget in base.BUDGETS]
    assert [config.model.widths for config in configs] == [(64, 64), (32,), (4,)]
    assert [config.train.epochs for config in configs] == [80, 3, 2]
    assert [config.seed for config in configs] == [7, 7, 7]


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("fig55.random", "study 'fig55' is unknown; did you mean 'fig5'?"),
        ("fig5.randm.short", "stage 'randm' of study 'fig5' is unknown; did you mean 'random'?"),
        ("fig5.random.tiny", "budget 'tiny' is unknown; it may be full, short, smoke."),
        ("fig5", "'fig5' is no stage of a study; name one as 'study.stage' or"),
        ("", "'' is no stage of a study"),
    ],
)
def test_unknown_stages_are_named(argument, sentence):
    with pytest.raises(InputError) as error:
        family("study").get_config(argument)
    assert str(error.value).startswith(sentence)


def test_a_stage_by_its_name():
    config = family("study").get_config("fig5.random.short")
    assert (config.train.epochs, config.labels.num_classes) == (28, 10)
    assert config.init.arms[1] == "pretrained"
    assert config.init.run == ""  # front door 1 asks for it
    assert family("study").get_config("fig5.random").train.epochs == 45


def _attribute_paths(tree):
    """Dotted chains of attributes that the code reads, `a.b.c` as ("a", "b", "c")."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            chain, value = [node.attr], node.value
            while isinstance(value, ast.Attribute):
                chain.append(value.attr)
                value = value.value
            if isinstance(value, ast.Name):
                chain.append(value.id)
            yield tuple(reversed(chain))


def test_every_field_is_read_somewhere():
    """A field of a group is read as `<something named group or settings>.field`.

    Fields of the model are the dataclass fields of the modules, read by `build`, and those of
    generated data are named by their generators.
    """
    chains = set()
    for path in (ROOT / "randlabels").rglob("*.py"):
        if path.name != "config_rules.py":  # which names all fields to check them
            chains |= set(_attribute_paths(ast.parse(path.read_text())))
    pairs = {chain[i : i + 2] for chain in chains for i in range(len(chain) - 1)}
    model_fields = {field for module in MODELS.values() for field in field_names(module)}
    drawn = {field for generator in GENERATORS.values() for field in generator.reads}
    # Local names under which the code holds a group.
    aliases = {
        "data": ("data", "data_config"),
        "labels": ("labels", "settings"),
        "optimizer": ("optimizer", "settings"),
        "train": ("train", "settings"),
    }
    unread = []
    for name in DEFAULTS:
        group, _, field = name.partition(".")
        if not field:
            read = ("config", group) in pairs
        elif name == "model.fields":  # by its key, where a model is made of a checked mapping
            read = 'settings["fields"]' in (ROOT / "randlabels/models/registry.py").read_text()
        elif group == "model" and field != "name":
            read = field in model_fields
        elif group == "data" and field in drawn:
            read = True
        else:
            read = any((alias, field) in pairs for alias in aliases.get(group, (group,)))
        if not read:
            unread.append(name)
    assert unread == []


def set_field(config, name, value):
    """Set a field whatever its type, as a config file could."""
    *groups, field = name.split(".")
    node = config
    for group in groups:
        node = node[group]
    with node.ignore_type():
        node[field] = value
    return config


WRONG_TYPES = {
    int: ("3", 1.5, True, None, (1,)),
    float: ("0.1", None, (0.1,), float("nan"), float("inf")),  # ConfigDict makes True 1.0
    str: (3, None, ("a",)),
    tuple: (3, "relu", None),
    bool: (1, "True", None),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_wrong_types_are_refused(name):
    """Every field, every wrong type: one sentence with its name."""
    for value in WRONG_TYPES[type(DEFAULTS[name])]:
        with pytest.raises(InputError, match=rf"^config\.{name} must be (of type|finite)"):
            check(set_field(base.get_config(), name, value))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("seed", (-1, 2**31)),
        ("data.seed", (-1, 2**31)),
        ("labels.seed", (-1, 2**31)),
        ("data.upstream_size", (-1,)),
        ("data.downstream_size", (-1,)),
        ("data.test_size", (-1, 0)),
        ("data.image_size", (-1, 4097)),
        ("data.diagonal", ((-1.0,), ("a",), (True,), (float("nan"),))),
        ("labels.num_classes", (-1, 0, 1)),
        ("labels.noise", (-0.1, 1.1)),
        ("model.init_scale", (0.0, -1.0, 1e4)),
        ("model.filters", (0, -5)),
        ("model.kernel_size", (0, -3)),
        ("model.widths", ((0,), (3, -1), (2.5,), ("3",))),
        ("model.width", (0.0, -1.0)),
        ("model.last_width", (0.0, -1.0)),
        ("model.depth", (4, -2)),
        ("optimizer.learning_rate", (-0.1, 1e4)),
        ("optimizer.momentum", (-0.1, 1.0)),
        ("optimizer.weight_decay", (-0.1, 1e4)),
        ("optimizer.decay_at", ((1.1,), (-0.5,), ("half",))),
        ("optimizer.decay_factor", (0.0, 1.5)),
        ("train.epochs", (0, -1)),
        ("train.batch_size", (0, 1201)),
        ("train.checkpoint_epochs", ((-1,), (81,), (0.5,))),
        ("train.eval_epochs", ((-1,), (81,))),
        ("train.resume_seconds", (-1.0,)),
        ("population.seeds", (0, -1)),
        ("init.step", (-2,)),
        ("init.arms", ((), ("scratch", "scratch"), ("pretraind",), (3,))),
        ("init.layers", ((), (3,))),
        (
            "optimizer.name",
            ("sdg", "lbfgs", "rprop", "scale_by_learning_rate", "constant_schedule"),
        ),
        *((name, ("zzz",)) for name in CHOICES),
    ],
)
def test_values_out_of_range_are_refused(name, values):
    for value in values:
        with pytest.raises(InputError, match=name.rpartition(".")[2]) as error:
            check(set_field(base.get_config(), name, value))
        assert "\n" not in str(error.value)


def test_every_number_has_a_range():
    """A field added without one would accept anything."""
    for name, field in base.FIELDS.items():
        default = field.default
        if isinstance(default, int | float) and not isinstance(default, bool):
            assert field.low is not None, name
        if isinstance(default, tuple) and default and not isinstance(default[0], str):
            assert field.low is not None, name
            assert field.element is not None, name


def refusal(changes):
    """The sentence about a config with these fields."""
    config = base.get_config()
    for name, value in changes.items():
        set_field(config, name, value)
    with pytest.raises(InputError) as error:
        check(config)
    return str(error.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"optimizer.learning_rat": 0.1},
            "config.optimizer.learning_rat is unknown; did you mean 'optimizer.learning_rate'?",
        ),
        ({"model.widts": (3,)}, "config.model.widts is unknown; did you mean 'model.widths'?"),
        ({"sead": 1}, "config.sead is unknown; did you mean 'seed'?"),
        ({"labels.kind": "rndom"}, "config.labels.kind is 'rndom'; did you mean 'random'?"),
        (
            {"model.name": "simplecnn"},
            "config.model.name is 'simplecnn'; did you mean 'simple_cnn'?",
        ),
        ({"optimizer.name": "adamm"}, "config.optimizer.name is 'adamm'; did you mean 'adam'?"),
        ({"init.arms": ("covarianc",)}, "init.arms names 'covarianc'; did you mean 'covariance'?"),
    ],
)
def test_the_nearest_name_is_suggested(changes, sentence):
    assert sentence in refusal(changes)


def test_a_missing_field_is_named():
    config = base.get_config()
    del config.train.epochs
    with pytest.raises(InputError, match=r"config\.train\.epochs is missing"):
        check(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.data_dir": "/data"}, "data.data_dir is '/data', but data set dead_leaves does not"),
        ({"data.diagonal": (2.0,)}, "data.diagonal .* data set dead_leaves does not read it"),
        ({"labels.noise": 0.5}, "labels.noise is 0.5, but label kind random does not read it"),
        ({"model.name": "mlp", "model.filters": 3}, "model.filters .* model mlp does not read it"),
        ({"model.depth": 16}, "model.depth .* model simple_cnn does not read it"),
        (
            {"optimizer.name": "adam", "optimizer.momentum": 0.5},
            "optimizer.momentum is 0.5, but optimizer adam does not read it",
        ),
        ({"init.run": "runs/a"}, "init.run is 'runs/a', but arm scratch does not read it"),
        ({"init.layers": ("conv1",)}, "init.layers .* arm scratch does not read it"),
        (
            {"init.run": "a", "init.arms": ("pretrained",), "init.covariance": "network"},
            "init.covariance is 'network'",
        ),
    ],
)
def test_a_value_that_nothing_reads_is_refused(changes, message):
    config = base.get_config()
    config.update_from_flattened_dict(changes)
    with pytest.raises(InputError, match=message):
        check(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data.upstream_size": 63},
            "batch_size is 64, but the upstream task has only 63 examples",
        ),
        (
            {"train.task": "downstream", "data.downstream_size": 10},
            "the downstream task has only 10 examples",
        ),
        ({"train.epochs": 5, "train.eval_epochs": (6,)}, "names epoch 6, but training ends after"),
        ({"data.name": "gaussian", "data.image_size": 0}, "set config.model.name to 'mlp'"),
        ({"init.arms": ("pretrained",)}, "give its workdir as config.init.run"),
        (
            {
                "model.name": "wide_resnet",
                "model.depth": 29,
                "model.filters": 16,
            },
            "depth must be 6 n \\+ 4",
        ),
    ],
)
def test_fields_that_do_not_fit_together_are_refused(changes, message):
    config = base.get_config()
    config.update_from_flattened_dict(changes)
    with pytest.raises(InputError, match=message):
        check(config)


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ((3,), "must look like"),
        ((("optimizer.learning_rate", 0.1),), "must look like"),
        (("optimizer.learning_rate", (0.1,)), "must look like"),
        ((("optimizer.learning_rat", (0.1,)),), "did you mean 'optimizer.learning_rate'"),
        ((("model.filters", (3, 4)),), "cannot sweep 'model.filters'"),
        ((("optimizer.learning_rate", ()),), "one or more different"),
        ((("optimizer.learning_rate", (0.1, 0.1)),), "one or more different"),
        ((("labels.seed", (1,)), ("labels.seed", (2,))), "must name 'labels.seed' once"),
        ((("labels.seed", (1.5,)),), "labels.seed must be of type int"),
        ((("labels.seed", ([1],)),), "labels.seed must be of type int"),
        ((("optimizer.learning_rate", (0.1, -1.0)),), "learning_rate must be from"),
        ((("labels.noise", (0.1, 0.2)),), "label kind random does not read"),
    ],
)
def test_wrong_sweeps_are_refused(sweep, message):
    config = base.get_config()
    config.population.sweep = sweep
    with pytest.raises(InputError, match=message):
        check(config)


def test_a_checked_config_is_a_frozen_copy():
    config = base.get_config()
    config.init.run = "runs/a"
    config.init.arms = ("scratch, pretrained",)  # as --config.init.arms=scratch,pretrained comes
    checked = check(config)
    assert checked.init.arms == ("scratch", "pretrained")
    with pytest.raises(AttributeError):
        checked.optimizer.lr = 1.0
    config.seed = 5
    assert checked.seed == 0


def test_whole_numbers_serve_as_floats():
    config = base.get_config()
    set_field(config, "optimizer.learning_rate", 1)
    rate = check(config).optimizer.learning_rate
    assert (rate, type(rate)) == (1.0, float)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop", "lion", "lamb", "adagrad"])
def test_optimizers_of_optax_are_accepted(name):
    config = base.get_config()
    config.optimizer.name = name
    assert check(config).optimizer.name == name
    assert "learning_rate" in optimizer_parameters(name)


def test_config_knows_no_reader_of_it():
    """Models, data and training hand it their rules, through `randlabels.training.check`."""
    code = (
        "import randlabels.config_rules, sys; above = [n for n in sys.modules if n.startswith("
        "('randlabels.models', 'randlabels.data', 'randlabels.training', 'randlabels.transfer'))];"
        "print(above)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_differences_list_both_sides():
    assert differences({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 5, "d": 4}) == [
        "config.b: 5 there, 2 here",
        "config.c: '(absent)' there, 3 here",
        "config.d: 4 there, '(absent)' here",
    ]


def test_flatten():
    nested = ConfigDict({"a": 1, "b": {"c": (1, 2), "d": {"e": "x"}}})
    assert flatten(nested) == {"a": 1, "b.c": (1, 2), "b.d.e": "x"}


def test_every_size_has_an_upper_end():
    open_ended = [
        name for name, field in base.FIELDS.items() if field.low is not None and field.high > 1e300
    ]
    assert open_ended == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"data.downstream_size": 10**20}, "downstream_size must be from 0 to 268435456, not 1000"),
        (
            {"data.upstream_size": 10**400},
            "data.upstream_size must be from 0 to 268435456, not 1000",
        ),
        ({"train.epochs": 10**12}, "train.epochs must be from 1 to 1000000, not 1000000000000."),
        ({"train.epochs": 10**5000}, "not a number of thousands of digits."),
        ({"model.filters": 10**9}, "model.filters must be from 1 to 1000000"),
        ({"labels.num_classes": 10**8}, "labels.num_classes must be from 2 to 1000000"),
        ({"population.seeds": 10**6}, "population.seeds must be from 1 to 100000"),
        ({"model.widths": (4,) * 300}, "model.widths must have at most 200 values, not 300."),
        ({"init.run": "x" * 5000}, "init.run must have at most 4096 characters, not 5000."),
        ({"data.name": "gaussian", "data.diagonal": (1e308,)}, "from 0.0 to 1000000000000.0"),
        (
            {"train.epochs": 10**6, "train.batch_size": 1, "data.upstream_size": 10**5},
            "which makes 100000000000 updates; a run counts at most 2147483647",
        ),
        (
            {"population.sweep": (("labels.seed", tuple(range(50000))),)},
            "make 200000 networks; a run holds at most 100000.",
        ),
        ({"optimizer.name": "noisy_sgd"}, "or keeps a random key; choose another"),
    ],
)
def test_what_is_too_much_is_refused(changes, sentence):
    said = refusal(changes)
    assert sentence in said
    assert len(said) < 300
