"""Bad configs and flags by the hundred: each is answered with one sentence, or taken.

    python -m benchmarks.fuzz --cases=2000 --seed=0 [--what=config,flags,plan]

`config` gives hostile values to fields of recipes and checks them, hundreds a second; `flags`
parses hostile command lines of the first front door; `plan` plans the memory of sizes from one end
of their ranges to the other, a few a second. A case fails if it raises anything but an
`InputError`, if the sentence has several lines or is very long, or if it takes more than SECONDS.
Each failure is printed as what reproduces it, and the exit code is 1. The same seed makes the same
cases.
"""

import argparse
import collections
import contextlib
import importlib
import io
import random
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any
from unittest import mock

import jax
from absl import flags

from randlabels import frontdoor
from randlabels.config_rules import flatten
from randlabels.configs import base
from randlabels.errors import InputError
from randlabels.fields import Field
from randlabels.training.check import check
from randlabels.training.devices import choose_layout
from randlabels.training.setup import measure, plan

SECONDS = 15.0  # that a case may take; describing a deep network takes 5
LONGEST = 1500  # characters of a sentence; some list all choices
FAMILIES = ("simple_cnn", "conv_net", "vgg16", "residual", "gaussian_mlp")
NUMBERS = (0, 1, -1, 2, 3, 7, 64, 2**31 - 1, 2**31, 2**32, 2**63, 10**20, 10**400, -(10**20))
FLOATS = (
    0.0,
    -0.0,
    1e-308,
    5e-324,
    0.5,
    1.0,
    1e38,
    1e308,
    float("inf"),
    float("-inf"),
    float("nan"),
)
TEXTS = (
    "", " ", "scratch", "pretrained", "aligned", "cifar10", "gaussian", "dead_leaves", "mlp", "sgd",
    "noisy_sgd", "all", "first:2", "first:-1", "last:0", "conv1", "closed_form:nan", "measured",
    "/etc/passwd", "http://x", "os:path", "os:system", "a.b:c", "x" * 300, "x" * 10**4, "\0", "\n",
    "é\u202e\ud800", "{}", "%s", "../..", "-1", "None", "configs.base:get_config",
)  # fmt: skip


def hostile(rng: random.Random, depth: int = 0) -> Any:
    """One value of any type."""
    kind = rng.randrange(8 if depth < 2 else 5)
    if kind == 0:
        return rng.choice(NUMBERS)
    if kind == 1:
        return rng.choice(FLOATS)
    if kind == 2:
        return rng.choice(TEXTS)
    if kind == 3:
        return rng.choice((True, False, None, b"x", 1j))
    if kind == 4:
        return rng.randrange(-10, 10**6)
    items = [hostile(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 7 and rng.random() < 0.3:
        return {f"k{place}": item for place, item in enumerate(items)}
    return tuple(items) * (rng.choice((1, 1, 1, 3000)) if depth == 0 else 1)


def like(rng: random.Random, default: Any) -> Any:
    """A value of the type of a default, at and beyond the ends of what may be."""
    if isinstance(default, bool):
        return rng.random() < 0.5
    if isinstance(default, int):
        return rng.choice(NUMBERS)
    if isinstance(default, float):
        return rng.choice((*FLOATS, *NUMBERS))
    if isinstance(default, str):
        return rng.choice(TEXTS)
    return tuple(rng.choice((*NUMBERS, *FLOATS, *TEXTS)) for _ in range(rng.randrange(5)))


def sweep(rng: random.Random) -> Any:
    """A sweep that is nearly right."""
    names = ("optimizer.learning_rate", "labels.seed", "init.layers", "init.curve", "model.filters")
    entries = []
    for _ in range(rng.randrange(1, 4)):
        name = rng.choice((*names, hostile(rng)))
        values = [like(rng, rng.choice((1, 1.0, "", ()))) for _ in range(rng.randrange(4))]
        entries.append(rng.choice(((name, tuple(values)), (name, values), (name,), name)))
    return tuple(entries)


def config_case(rng: random.Random) -> tuple[str, Callable[[], Any]]:
    """Hostile values in up to three fields of a recipe."""
    family = importlib.import_module(f"randlabels.configs.{rng.choice(FAMILIES)}")
    config = family.get_config(rng.choice(base.BUDGETS))
    fields = flatten(config)
    changes: dict[str, Any] = {}
    for name in rng.sample(sorted(fields), rng.randrange(1, 4)):
        value = like(rng, fields[name]) if rng.random() < 0.7 else hostile(rng)
        changes[name] = sweep(rng) if name == "population.sweep" else value
    with config.unlocked(), config.ignore_type():
        for name, value in changes.items():
            if isinstance(fields[name], float) and isinstance(value, int):
                value = float(max(min(value, 10**300), -(10**300)))  # ConfigDict casts it
            config.update_from_flattened_dict({name: value})
    shown = {k: v if len(str(v)[:200]) < 200 else "(long)" for k, v in _short(changes).items()}
    return f"{family.__name__} {shown}", lambda: check(config)


def _short(changes: dict[str, Any]) -> dict[str, Any]:
    big = {k for k, v in changes.items() if isinstance(v, int) and abs(v) > 10**100}
    return {k: "10**400" if k in big else repr(v)[:150] for k, v in changes.items()}


def flags_case(rng: random.Random) -> tuple[str, Callable[[], Any]]:
    """A command line with up to four hostile flags."""
    names = [*sorted(base.FIELDS), "model", "", "model.widths[0]", "model.widths[9]", "modle.name"]
    argv = ["main"]
    for _ in range(rng.randrange(1, 5)):
        name, value = rng.choice(names), like(rng, rng.choice((1, 1.0, "", ())))
        text = "9" * 400 if isinstance(value, int) and value > 10**100 else str(value)
        text = rng.choice((text, repr(text), text.strip("()"), f"({text}", f"{text},"))
        flag = rng.choice(("--config.", "--config.", "-config.", "--noconfig.", "--")) + name
        argv += rng.choice(([f"{flag}={text}"], [flag, text], [flag]))
    argv.insert(rng.choice((1, 1, 1, len(argv))), rng.choice(CONFIGS))
    argv += rng.choice(((), ("--workdir=",), ("--workdir=x",), ("--flagfile=/nonexistent",)))
    return " ".join(repr(a[:150]) for a in argv), lambda: parse(argv)


def plan_case(rng: random.Random) -> tuple[str, Callable[[], Any]]:
    """Sizes up to their upper ends, of which the memory is planned."""
    family = importlib.import_module(f"randlabels.configs.{rng.choice(FAMILIES)}")
    config = family.get_config(rng.choice(base.BUDGETS))
    config.data.name = "gaussian" if config.data.name == "gaussian" else "pink_noise"
    config.data.image_size = config.data.image_size or 32
    config.data.test_size = config.data.test_size or 10
    sizes = [n for n, f in base.FIELDS.items() if f.low is not None and n not in _NOT_SIZES]
    changes = {name: _size(rng, base.FIELDS[name]) for name in rng.sample(sizes, 3)}
    config.update_from_flattened_dict(changes)

    def case() -> None:
        checked = check(config)
        networks = 4 * checked.population.seeds
        batch = checked.train.batch_size
        layout = choose_layout("auto", networks, batch, tuple(jax.local_devices()))
        turn = rng.choice(("map", "vmap"))
        plan(checked, networks, layout, turn, measure(checked))

    return f"{family.__name__} {_short(changes)}", case


_NOT_SIZES = ("init.step", "optimizer.momentum", "model.dropout", "labels.noise")


def _size(rng: random.Random, field: Field) -> Any:
    """A value in the range of a field, small or large."""

    def one() -> Any:
        whole = isinstance(field.default, int) or field.element is int
        low, high = max(field.low or 0, 1e-3), field.high
        value = low * (high / low) ** rng.choice((0.0, 0.0, rng.random(), rng.random(), 1.0))
        return int(max(field.low or 0, value)) if whole else float(value)

    if isinstance(field.default, tuple):
        return tuple(one() for _ in range(rng.choice((1, 2, 8))))
    return one()


CONFIGS = (
    "--config=base", "--config=base", "--config=base", "--config", "--config=", "--config=base:x",
    "--config=/etc/passwd", "--config=/", "--config=/dev/null", "--config=study:fig5",
    "--config=vgg16:short", "--config=no_such", "--config=" + "x" * 300, "--config=a\0b",
)  # fmt: skip


def parse(argv: list[str]) -> None:
    """Parse a command line as `randlabels.main` does, with flags of its own.

    Raises:
        InputError: with the sentence that was printed.
    """
    fresh = flags.FlagValues()
    errors = io.StringIO()
    with mock.patch.object(flags, "FLAGS", fresh), contextlib.redirect_stderr(errors):
        try:
            with mock.patch.object(sys, "argv", argv):
                frontdoor.define_config(fresh)
                flags.DEFINE_string("workdir", None, "", flag_values=fresh)
                frontdoor.must_be_given("workdir", fresh)
                frontdoor.parse(argv)
        except SystemExit:
            raise InputError(errors.getvalue().rstrip("\n")) from None


CASES = {"config": config_case, "flags": flags_case, "plan": plan_case}


def verdict(case: Callable[[], Any]) -> str:
    """ "taken", "refused", or what was wrong with the answer to a case."""
    began = time.monotonic()
    try:
        case()
        found = "taken"
    except InputError as error:
        sentence, found = str(error), "refused"
        if not sentence or "\n" in sentence or len(sentence) > LONGEST or "Traceback" in sentence:
            found = f"not one sentence: {sentence[:300]!r}"
    except Exception as error:  # what this looks for
        found = "".join(traceback.format_exception(error)[-3:])
    took = time.monotonic() - began
    return found if took < SECONDS else f"{found} after {took:.0f} s"


def fuzz(what: str, cases: int, seed: int) -> tuple[collections.Counter[str], list[str]]:
    """Counts of the verdicts of one kind of cases, and a text for each failure."""
    counts: collections.Counter[str] = collections.Counter()
    failures = []
    for number in range(cases):
        name, case = CASES[what](random.Random(f"{what} {seed} {number}"))
        found = verdict(case)
        counts[found if found in ("taken", "refused") else "failed"] += 1
        if found not in ("taken", "refused"):
            failures.append(f"{what} case {number} of seed {seed}: {name}\n    {found}")
    return counts, failures


def main() -> int:
    """Fuzz as the arguments say; 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--what", default=",".join(CASES))
    arguments = parser.parse_args()
    failed = 0
    for what in arguments.what.split(","):
        began = time.monotonic()
        counts, failures = fuzz(what, arguments.cases, arguments.seed)
        print("\n".join(failures))
        print(f"{what}: {dict(counts)} in {time.monotonic() - began:.0f} s")
        failed += len(failures)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
