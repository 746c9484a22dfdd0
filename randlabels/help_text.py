"""What --help and `randlabels list` print; nothing that is slow to import is imported for it."""

import ast
import importlib.metadata
import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

from absl import flags

_WIDTH = 96
_ROOT = Path(__file__).parents[1]
_RESULTS = _ROOT / "docs" / "results"
_STUDIES = Path(__file__).parent / "studies"
_FOLDERS = ("paper", "questions")


def version() -> str:
    """The version, on one line."""
    return f"randlabels {importlib.metadata.version('randlabels')}"


def help_of(module: Any) -> str:
    """The help of a front door: what it says of itself, its flags, and what those may name.

    Args:
        module: the front door's, whose docstring is shown.
    """
    values = flags.FLAGS
    names = {flag.name for flag in values.get_key_flags_for_module(sys.argv[0])}
    names |= {"config"} & set(values)
    parts = [(module.__doc__ or "").strip(), "Flags:\n" + _flag_lines(values, names)]
    if "config" in values:
        parts.append("Fields of a config, --config.GROUP.FIELD=VALUE:\n" + config_fields())
    if "study" in values:
        parts.append("Studies, for --study:\n" + studies())
    return "\n\n".join(parts)


def _flag_lines(values: flags.FlagValues, names: set[str]) -> str:
    lines = []
    for name in sorted(names):
        flag = values[name]
        shown = "" if flag.default in (None, "", [], False) else f" (default {flag.default})"
        choices = getattr(flag.parser, "enum_values", None)
        allowed = f" One of {', '.join(choices)}." if choices else ""
        said = re.sub(r"^<[^>]*>: ", "", " ".join((flag.help or "").split()))
        text = f"{said}{allowed}{shown}"
        lines.append(_entry(f"--{name}", text, 16))
    return "\n".join(lines)


def _entry(name: str, text: str, indent: int) -> str:
    """A name and its text beside it, or below where the name is long."""
    pad = " " * (indent + 3)
    body = textwrap.fill(text, _WIDTH, initial_indent=pad, subsequent_indent=pad)
    if len(name) > indent:
        return f"  {name}\n{body}" if text else f"  {name}"
    return f"  {name:<{indent}} {body.lstrip()}"


def config_fields() -> str:
    """One line for each field of a config: its default, and the comment beside it."""
    from randlabels.configs import base

    comments = _comments(Path(base.__file__).read_text())
    lines, group = [], ""
    for name, field in base.FIELDS.items():
        if name.partition(".")[0] != group and "." in name:
            group = name.partition(".")[0]
            lines.append("")
        comment = comments.get(name, "")
        comment += "." if comment and comment[-1] not in ".:;" else ""
        said = f"{comment} {_allowed(field)}".strip()
        lines.append(_entry(f"{name} = {field.default!r}", said, 38))
    return "\n".join(lines).lstrip("\n")


def _allowed(field: Any) -> str:
    """What a field may be."""
    if field.choices:
        return f"One of {', '.join(field.choices)}."
    if field.low is None:
        return ""
    return f"From {_plain(field.low)} to {_plain(field.high)}."


def _plain(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


def _comments(source: str) -> dict[str, str]:
    """{field: the comment above it or behind it} of the entries of FIELDS."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in source.splitlines():
        text = line.strip()
        entry = re.match(r'"([\w.]+)": Field\(', text)
        if text.startswith("#"):
            above = [] if text.startswith("# ---") else [*above, text.lstrip("# ")]
        elif entry:
            behind = re.search(r"\)?,\s*# (.*)$", text)
            found[entry[1]] = " ".join([*above, *([behind[1]] if behind else [])])
            above = []
        elif text and not text.startswith((")", "(", '"')):
            above = []
    return found


def studies() -> str:
    """One entry for each study: what it is about, how many claims it decides, what it cost."""
    entries = []
    for folder in _FOLDERS:
        for path in sorted((_STUDIES / folder).glob("[a-z]*.py"), key=_natural):
            entries.append(_entry(path.stem, _about(path), 16))
    return "\n".join(entries)


def _natural(path: Path) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.stem)]


def _about(path: Path) -> str:
    """The first sentence of a study's module, and what its record says, if it is at hand."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    first = " ".join(text.partition("\n\n")[0].split())
    record = _RESULTS / f"{path.stem}.json"
    try:
        found = json.loads(record.read_text())
        claims, minutes = len(found["primary"]), found["training_seconds"] / 60
        cost = f"{minutes:.0f} minutes of training at {found['budget']} when it was recorded"
        return f"{first} Decides {claims} claim{'s' * (claims != 1)}; {cost}."
    except (OSError, ValueError, KeyError, TypeError):
        return first


def overview() -> str:
    """What `randlabels list` prints: studies, configs, models, data sets and arms."""
    from randlabels.data.generators import GENERATORS
    from randlabels.data.official import OFFICIAL
    from randlabels.models import MODELS
    from randlabels.named_config import shipped
    from randlabels.transfer.registry import ARMS

    lists = {
        "Configs (--config)": ", ".join(shipped()),
        "Models (config.model.name)": ", ".join(MODELS),
        "Data (config.data.name)": f"{', '.join(GENERATORS)}; prepared by name: "
        f"{', '.join(OFFICIAL)}; your own",
        "Arms (config.init.arms)": ", ".join(f"{name} ({arm.label})" for name, arm in ARMS.items()),
    }
    parts = [f"Studies (--study)\n{studies()}"]
    parts += [
        f"{title}\n{textwrap.fill(text, _WIDTH, initial_indent='  ', subsequent_indent='  ')}"
        for title, text in lists.items()
    ]
    return "\n\n".join(parts)
