"""Documents whose numbers come from records: README.md, docs/results.md, docs/results/<study>.md.

Prose is written by hand. What stands between lines `<!-- begin: KIND -->` and `<!-- end -->` is
made from the records, and so is the text of a link to a record's field:

    [1.21 [1.13, 1.25]](fig5.json "claims.pretrained_real")
    [1.21](fig5.json "claims.pretrained_real.value .2f")

Kinds in docs/results/<study>.md: `run`, `claims`, `table NAME`, `picture NAME`; in README.md:
`paper`; in docs/results.md: `index`. What stands in code is left alone.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from randlabels import records
from randlabels.disk import told
from randlabels.errors import InputError, in_one_line
from randlabels.studies import study_modules
from randlabels.studies.inference import benjamini_hochberg
from randlabels.studies.record import RESULTS, ROOT, read_record
from randlabels.studies.verdicts import OUTCOMES

_PARTS = re.compile(
    r"(?P<code>^```.*?^```$|`[^`\n]+`)"
    r"|(?P<begin>^<!-- begin: (?P<kind>[^>\n]+) -->\n)(?P<body>.*?)(?P<end>^<!-- end -->$)"
    r"|\[(?:[^\[\]]|\[[^\[\]]*\])*\]"
    r'\((?P<target>(?:[\w/.-]*/)?(?P<study>\w+)\.json)\s+"(?P<field>[^"]+)"\)'
    r"|(?P<stray>^<!-- (?:begin:|end))",
    re.DOTALL | re.MULTILINE,
)
_FORM = re.compile(r"(?P<path>.+) (?P<form>[+,]*\.\d[efg%])")

# Items of the paper in its order; the quickstart shows several of them on generated images.
_PAPER_ORDER = ("fig", "table", "proposition", "appendix", "quickstart")

_MISSING = object()

Record = dict[str, Any]


def document_paths() -> list[Path]:
    """All documents of the checkout, whether they hold generated parts or not.

    Raises:
        InputError: outside a checkout.
    """
    if not RESULTS.is_dir():
        raise InputError(f"The documents are in {ROOT} in a checkout, and there are none.")
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def refresh_all(write: bool = True) -> list[Path]:
    """The documents whose generated parts are not those of the records; made anew if asked.

    Raises:
        InputError: if a record or a document cannot be read (nothing is written then) or written.
    """
    changed = {}
    for path in document_paths():
        try:
            text = path.read_text()
            new = refreshed(text, path.stem)
        except (KeyError, TypeError, AttributeError, IndexError, ValueError, OSError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{path.name}, or a record that it reads, is damaged ({in_one_line(error)}); "
                "restore it, or record the study again."
            ) from error
        if new != text:
            changed[path] = new
    with told(ROOT):
        for path, new in changed.items() if write else ():
            records.replace_text(path, new)
    return list(changed)


def changed_pictures() -> list[Path]:
    """The recorded pictures that are missing, or not those of their record, or of none.

    Raises:
        InputError: if a record does not say which pictures it has.
    """
    known: dict[Path, str] = {}
    for study in study_modules():
        record = read_record(study)
        digests = {} if record is None else record.get("picture_digests")
        if not isinstance(digests, dict):
            raise InputError(
                f"the record of {study} is damaged (it lists no pictures); record the study again."
            )
        known |= {RESULTS / file: digest for file, digest in digests.items()}
    changed = [
        path
        for path, digest in known.items()
        if not path.is_file() or records.file_digest(path) != digest
    ]
    return changed + sorted(set(RESULTS.glob("*.png")) - known.keys())


def refreshed(text: str, name: str, folder: Path = RESULTS) -> str:
    """A document with its generated parts made from the records.

    Args:
        text: of the document.
        name: of the study that it is about, or of the document.
        folder: of the records.

    Raises:
        InputError: if it names a kind, a table, a picture or a field that does not exist, or if a
            block is not ended.
    """

    def part(match: re.Match[str]) -> str:
        if match["code"]:
            return match[0]
        if match["stray"] or "<!-- begin:" in (match["body"] or ""):
            line = text.count("\n", 0, match.start()) + 1
            raise InputError(f"{name}.md, line {line}: a block begins and ends with a line each.")
        if match["begin"]:
            return f"{match['begin']}{_block(match['kind'], name, folder)}{match['end']}"
        record = read_record(match["study"], folder)
        if record is None:
            raise InputError(f"{name}.md links to {match['target']}, which is not recorded.")
        made = field_text(record, match["field"])
        return f'[{made}]({match["target"]} "{match["field"]}")'

    return _PARTS.sub(part, text)


def field_text(record: Record, field: str) -> str:
    """A field as text: "claims.x.value .2f", "tables.arms.0.seeds"; "claims.x" with its interval.

    Raises:
        InputError: if there is no such field, or if it is no number or text of that form.
    """
    match = _FORM.fullmatch(field)
    path, form = (match["path"], match["form"]) if match else (field, "")
    value = _value_at(record, path)
    if value is _MISSING:
        raise InputError(f"the record of {record['study']} has no field {path!r}.")
    if isinstance(value, dict) and "interval" in value and not form:
        return verdict_text(value)
    if value is None or isinstance(value, dict | list) or (form and isinstance(value, str)):
        raise InputError(f"{field!r} of the record of {record['study']} cannot be shown.")
    return format(value, form)


def _value_at(value: Any, path: str) -> Any:
    """What stands at a path of keys and positions; keys may hold dots. _MISSING if nothing does."""
    if not path:
        return value
    keys = dict(enumerate(value)) if isinstance(value, list) else value
    for key in keys if isinstance(keys, dict) else ():
        if path == str(key) or path.startswith(f"{key}."):
            found = _value_at(keys[key], path.removeprefix(str(key)).removeprefix("."))
            if found is not _MISSING:
                return found
    return _MISSING


def verdict_text(verdict: Record) -> str:
    """Mean and interval of a claim's values. JSON has no infinity: it is null in an interval."""
    if verdict["value"] is None and verdict["interval"] is None:
        return "no value"
    if verdict["interval"] is None:
        return _number(verdict["value"])
    value = "open" if verdict["value"] is None else _number(verdict["value"])
    low, high = verdict["interval"]
    low_text = "-∞" if low is None else _number(low)
    return f"{value} [{low_text}, {'∞' if high is None else _number(high)}]"


def _number(value: float) -> str:
    """Three digits, or all that stand before the point; rounding of zero is zero."""
    value = 0.0 if abs(value) < 1e-12 else value
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:#.3g}"


def _block(kind: str, name: str, folder: Path) -> str:
    what, _, argument = kind.partition(" ")
    if what in _OF_ALL:
        return _text(_OF_ALL[what](folder))
    if what not in _OF_ONE:
        known = ", ".join((*_OF_ALL, *_OF_ONE))
        raise InputError(f"{name}.md has a block {kind!r}; it may be {known}.")
    record = read_record(name, folder)
    if record is not None:
        return _text(_OF_ONE[what](record, argument))
    if name not in study_modules():
        raise InputError(f"{name}.md has a block {kind!r}, but there is no study {name!r}.")
    return "Not recorded yet.\n"


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _run(record: Record, _: str) -> Iterator[str]:
    stages = list(record["stages"].values())
    revisions = _each(stage["git_revision"] or "unknown" for stage in stages)
    versions = _each(f"{n} {v}" for stage in stages for n, v in stage["versions"].items())
    machines = _each(_machine(stage) for stage in stages)
    yield "```"
    yield record["command"]
    yield "```"
    yield ""
    yield (
        f"{sum(stage['networks'] for stage in stages)} networks in {len(stages)} runs, "
        f"{_lost_and_untrained(stages)}; "
        f"{record['training_seconds'] / 60:.0f} minutes of training on {machines}; revision "
        f"{revisions}, judged by {_judges(record)}; {versions}; "
        f"{record['finished'][:10]}."
    )
    if record["note"]:
        yield record["note"]
    seeds = ", ".join(_ranges(record["tuning"]["seeds"]))
    yield f"Tuning{f' (seeds {seeds})' if seeds else ''}: {record['tuning']['note']}"


def _ranges(numbers: Sequence[int]) -> Iterator[str]:
    """Runs of numbers, ascending: "0 to 11", "13"."""
    pairs = enumerate(sorted(set(numbers)))
    for _, members in itertools.groupby(pairs, lambda pair: pair[1] - pair[0]):
        found = [number for _, number in members]
        yield str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def _judges(record: Record) -> str:
    """The revision that judged, and the one by whose rules the values were judged again, if any."""
    first = record["judged_by"]["git_revision"] or "unknown"
    again = record.get("judged_again_by")
    return first if again is None else f"{first} and again by {again or 'unknown'}"


def _lost_and_untrained(stages: Sequence[Record]) -> str:
    """How many networks of the stages are in which state; older records know of one alone."""
    found = {s: sum(one.get(s, 0) for one in stages) for s in ("diverged", "dead", "untrained")}
    return ", ".join(f"{n} {state}" for state, n in found.items() if n or state == "diverged")


def _machine(stage: Record) -> str:
    """The devices and cores that a stage was trained on."""
    device = " ".join(dict.fromkeys(stage["devices"][0].split()))  # once, not "cpu cpu"
    return f"{len(stage['devices'])} × {device} of {stage['cpus']} cores"


def _each(texts: Iterable[str]) -> str:
    """Different texts, each once."""
    return ", ".join(dict.fromkeys(texts))


def _claims(record: Record, _: str) -> Iterator[str]:
    """The primary claims with their outcomes, then what is estimated, which has none."""
    yield (
        "| primary claim | place | measured | unit | smallest effect of interest | seeds | p | "
        "p of sign flips | p, adjusted | outcome |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for name in record["primary"]:
        v = record["claims"][name]
        told = v["interval"] is None or v["outcome"] in ("undecided", "not tested")
        outcome = f"{v['outcome']}: {v['reason']}" if told else v["outcome"]
        yield _row(f"{v['statement']} Against it: {v['against']}", v["place"], _measured(v),
                   v["unit"], f"{v['smallest']:g}", v["seeds"], _p(v["p"]), _p(v["p_sign_flip"]),
                   _p(v["p_adjusted"]), outcome)  # fmt: skip
    estimates = [v for name, v in record["claims"].items() if name not in record["primary"]]
    if estimates:
        yield ""
        yield "| estimate of | place | measured | unit | seeds | p, uncorrected |"
        yield "|---|---|---|---|---|---|"
    for v in estimates:
        yield _row(v["statement"], v["place"], _measured(v), v["unit"], v["seeds"], _p(v["p"]))


def _measured(verdict: Record) -> str:
    return f"{verdict_text(verdict)}, claimed above {verdict['threshold']:g}"


def _p(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _table(record: Record, name: str) -> Iterator[str]:
    if name not in record["tables"]:
        known = ", ".join(record["tables"])
        raise InputError(f"{record['study']}.md shows table {name!r}; the record has {known}.")
    rows = record["tables"][name]
    if not rows:
        yield "The table has no rows."
        return
    columns = list(dict.fromkeys(column for row in rows for column in row))
    yield _row(*columns)
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield _row(*(row.get(column) for column in columns))


def _picture(record: Record, name: str) -> Iterator[str]:
    file = f"{record['study']}-{name}.png"
    if file not in record["pictures"]:
        known = ", ".join(record["pictures"])
        raise InputError(f"{record['study']}.md shows picture {name!r}; the record has {known}.")
    yield f"![{record['pictures'][file]}]({file})"
    yield ""
    yield f"*{record['pictures'][file]}*"


def _paper(folder: Path) -> Iterator[str]:
    """The README's table: the primary claims of each item of the paper, in its order."""
    columns = ("claim", "place", "effect [95% interval]", "p, adjusted; sign flips", "values")
    yield _row(*columns, "size", "outcome")
    yield "|---|---|---|---|---|---|---|"
    q_of = q_values(folder)
    for name in _in_paper_order("paper"):
        link = f"[{name}](docs/results/{name}.md)"
        record = read_record(name, folder)
        if record is None:
            yield _row(link, "", "not recorded yet", "", "", "", "")
            continue
        for claim in record["primary"]:
            v, q = record["claims"][claim], q_of.get(f"{name}.{claim}")
            effect = f"{verdict_text(v)} (claimed above {v['threshold']:g}: {v['unit']})"
            yield _row(f"{v['statement']} {link}", v["place"], effect,
                       f"{_p(v['p_adjusted'])}, q {_p(q)}; {_p(v['p_sign_flip'])}", v["seeds"],
                       record["budget"],
                       outcome_over_all(record, claim, q_of))  # fmt: skip


def q_values(folder: Path) -> dict[str, float]:
    """{"study.claim": q} of all recorded primary claims, by Benjamini and Hochberg."""
    found = {}
    for name in study_modules():
        record = read_record(name, folder)
        for claim in record["primary"] if record else ():
            p = record["claims"][claim]["p"] if record else None
            if p is not None:
                found[f"{name}.{claim}"] = p
    return benjamini_hochberg(found)


def outcome_over_all(record: Record, claim: str, q_of: Mapping[str, float]) -> str:
    """The outcome in a study, withdrawn where it does not hold over all studies (q above .05)."""
    verdict = record["claims"][claim]
    premise, outcome = verdict["premise"], str(verdict["outcome"])
    if premise and outcome_over_all(record, premise, q_of) != "supported":
        return "not tested"
    decided = outcome in ("supported", "contradicted")
    doubtful = q_of.get(f"{record['study']}.{claim}", 0.0) > 0.05
    return "undecided over all studies" if decided and doubtful else outcome


def _index(folder: Path) -> Iterator[str]:
    """One line a study."""
    yield f"| study | about | size | primary claims: {', '.join(OUTCOMES)} | estimates |"
    yield "|---|---|---|---|---|"
    for name in (*_in_paper_order("paper"), *_in_paper_order("questions")):
        record, link = read_record(name, folder), f"[{name}](results/{name}.md)"
        if record is None:
            yield _row(link, "", "not recorded yet", "", "")
            continue
        outcomes = [record["claims"][claim]["outcome"] for claim in record["primary"]]
        counts = ", ".join(str(outcomes.count(outcome)) for outcome in OUTCOMES)
        about = f"{record['title']} ({record['paper_item']})"
        estimates = len(record["claims"]) - len(outcomes)
        yield _row(link, about, record["budget"], counts, estimates)


def _in_paper_order(folder: str) -> list[str]:
    """The studies of a folder; of the paper's items in the paper's order."""
    names = [name for name, module in study_modules().items() if f".{folder}." in module]

    def place(name: str) -> int:
        return next((i for i, item in enumerate(_PAPER_ORDER) if name.startswith(item)), 0)

    return sorted(names, key=place) if folder == "paper" else names


def _row(*cells: Any) -> str:
    texts = ("" if cell is None else str(cell).replace("|", "\\|") for cell in cells)
    return "| " + " | ".join(texts) + " |"


# Kinds of blocks: made from all records, and from the one of the document's study.
_OF_ALL: Mapping[str, Callable[[Path], Iterator[str]]] = {"paper": _paper, "index": _index}
_OF_ONE: Mapping[str, Callable[[Record, str], Iterator[str]]] = {
    "run": _run,
    "claims": _claims,
    "table": _table,
    "picture": _picture,
}
