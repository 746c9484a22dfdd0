"""The recipe of every stage of a study as text: what differs from base, and from what."""

import itertools
import textwrap
from typing import Any

from randlabels.config_rules import flatten
from randlabels.configs import base
from randlabels.studies.declare import Stage, Study
from randlabels.studies.resolve import changed, resolve

WIDTH = 100
_INDENT = 14
_NO_BREAK = "\xa0"


def recipe_text(study: Study[Any], budget: str) -> str:
    """What each stage of a study comes to at a budget.

    Raises:
        InputError: if the budget is unknown.
    """
    head = (
        f"{study.name} at {budget}: what differs from configs/base.py, whose values stand in "
        "square brackets. Those with * are set by the stage, the others by its recipe; what a "
        "stage sets stands here even where it is base's value. Seeds are those of verdicts."
    )
    stages = (_stage_text(stage, budget) for stage in study.stages)
    return "\n\n".join([textwrap.fill(head, WIDTH), *stages])


def _stage_text(stage: Stage, budget: str) -> str:
    fields, defaults = flatten(resolve(stage, budget)), flatten(base.get_config())
    of_stage = changed(stage, budget)
    # What a stage sets is shown even where it comes back to base: its recipe says something else.
    shown = {n: v for n, v in fields.items() if v != defaults[n] or n in of_stage}
    groups: dict[str, list[str]] = {"": []}  # fields of no group come first
    for name, value in shown.items():
        group, _, field = name.rpartition(".")
        mark = "*" if name in of_stage else ""
        entry = f"{field}{mark} = {_value(value)} [{_value(defaults[name])}]"
        groups.setdefault(group, []).append(entry)
    reads = f", reads {stage.reads}" if stage.reads else ""
    same = len(fields) - len(shown)
    head = f"{stage.name}: recipe {stage.recipe}{reads}; {same} fields as in base"
    return "\n".join([head, *(_group_text(*group) for group in groups.items() if group[1])])


def _group_text(group: str, entries: list[str]) -> str:
    """One group: its name, then its entries, as many on a line as fit."""
    # Only what is longer than a line is broken within.
    whole = [e.replace(" ", _NO_BREAK) if len(e) < WIDTH - _INDENT else e for e in entries]
    filled = textwrap.fill(
        "; ".join(whole),
        WIDTH,
        initial_indent=f"  {group}".ljust(_INDENT),
        subsequent_indent=" " * _INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return filled.replace(_NO_BREAK, " ")


def _value(value: Any) -> str:
    """A value as Python writes it, evenly spaced numbers in short."""
    if isinstance(value, tuple) and len(value) > 4 and all(type(v) in (int, float) for v in value):
        steps = {round(b - a, 9) for a, b in itertools.pairwise(value)}
        if len(steps) == 1:
            return f"({value[0]}, {value[1]}, ..., {value[-1]})"
    return repr(value)
