"""Documents whose numbers come from records: README.md, docs/results.md, docs/results/<study>.md.

Prose is written by hand. What stands between `<!-- begin: KIND -->` and `<!-- end -->` is made from
the records, and so is the text of a link to a record's field:

    [1.21 [1.13, 1.25]](fig5.json "claims.pretrained_real")
    [1.21](fig5.json "claims.pretrained_real.value .2f")

Kinds in docs/results/<study>.md: `run`, `claims`, `table NAME`, `picture NAME`; in README.md:
`paper`; in docs/results.md: `index`.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from randlabels import records
from randlabels.errors import InputError
from randlabels.studies import study_modules
from randlabels.studies.record import RESULTS, ROOT, read_record

_BLOCK = re.compile(r"(<!-- begin: ([^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_LINK = re.compile(r'\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(((?:[\w/.-]*/)?(\w+)\.json) "([^"]+)"\)')

# Items of the paper in its order; the quickstart shows several of them on generated images.
_PAPER_ORDER = ("fig", "table", "proposition", "appendix", "quickstart")

Record = dict[str, Any]


def document_paths() -> list[Path]:
    """All documents of the checkout that hold generated parts."""
    return [ROOT / "README.md", ROOT / "docs" / "results.md", *sorted(RESULTS.glob("*.md"))]


def refresh_all(write: bool = True) -> list[Path]:
    """The documents whose generated parts are not those of the records; made anew if asked."""
    changed = []
    for path in document_paths():
        text = path.read_text()
        new = refreshed(text, path.stem)
        if new != text:
            changed.append(path)
            if write:
                records.replace_text(path, new)
    return changed


def refreshed(text: str, name: str, folder: Path = RESULTS) -> str:
    """A document with its generated parts made from the records.

    Args:
        text: of the document.
        name: of the study that it is about, or of the document.
        folder: of the records.

    Raises:
        InputError: if it names a kind, a table, a picture or a field that does not exist.
    """

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}{_block(match[2], name, folder)}{match[3]}"

    def link(match: re.Match[str]) -> str:
        record = read_record(match[3], folder)
        if record is None:
            raise InputError(f"{name}.md links to {match[2]}, which is not recorded.")
        return f'[{field_text(record, match[4])}]({match[2]} "{match[4]}")'

    return _LINK.sub(link, _BLOCK.sub(block, text))


def field_text(record: Record, path: str) -> str:
    """A field as text: "claims.x.value .2f", "tables.arms.0.seeds"; "claims.x" with its interval.

    Raises:
        InputError: if there is no such field.
    """
    names, _, form = path.partition(" ")
    value: Any = record
    try:
        for name in names.split("."):
            value = value[int(name)] if isinstance(value, list) else value[name]
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise InputError(f"the record of {record['study']} has no field {names!r}.") from error
    if isinstance(value, dict) and "interval" in value:
        return verdict_text(value)
    return format(value, form)


def verdict_text(verdict: Record) -> str:
    """Mean and interval of a claim's values."""
    if verdict["value"] is None:
        return "no value"
    if verdict["interval"] is None:
        return f"{verdict['value']:.3g}"
    low, high = (f"{end:.3g}" if end is not None else "∞" for end in verdict["interval"])
    return f"{verdict['value']:.3g} [{low}, {high}]"


def _block(kind: str, name: str, folder: Path) -> str:
    what, _, argument = kind.partition(" ")
    if what in ("paper", "index"):
        lines = {"paper": _paper, "index": _index}[what](folder)
        return "".join(f"{line}\n" for line in lines)
    record = read_record(name, folder)
    if record is None:
        return "Not recorded yet.\n"
    makers: dict[str, Callable[[Record, str], Iterator[str]]] = {
        "run": _run,
        "claims": _claims,
        "table": _table,
        "picture": _picture,
    }
    if what not in makers:
        raise InputError(f"{name}.md has a block {kind!r}; it may be {', '.join(makers)}.")
    return "".join(f"{line}\n" for line in makers[what](record, argument))


def _run(record: Record, _: str) -> Iterator[str]:
    stages = record["stages"].values()
    revisions = ", ".join(sorted({stage["git_revision"] or "unknown" for stage in stages}))
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    hardware = record["hardware"]
    yield "```"
    yield record["command"]
    yield "```"
    yield ""
    yield (
        f"{sum(stage['networks'] for stage in stages)} networks in {len(stages)} runs, "
        f"{sum(stage['diverged'] for stage in stages)} diverged; "
        f"{record['training_seconds'] / 60:.0f} minutes of training on "
        f"{len(hardware['devices'])} × {hardware['devices'][0]}, {hardware['cpus']} cores; "
        f"revision {revisions}; {versions}; {record['finished'][:10]}."
    )
    if record["note"]:
        yield record["note"]
    seeds = ", ".join(map(str, record["tuning"]["seeds"]))
    yield f"Tuning: {record['tuning']['note']}" + (f" (seeds {seeds})" if seeds else "")


def _claims(record: Record, _: str) -> Iterator[str]:
    yield "| claim | place | measured | unit | seeds | p | outcome |"
    yield "|---|---|---|---|---|---|---|"
    for verdict in record["claims"].values():
        p = "" if verdict["p"] is None else f"{verdict['p']:.2g}"
        measured = f"{verdict_text(verdict)}, claimed above {verdict['threshold']:g}"
        yield _row(verdict["statement"], verdict["place"], measured, verdict["unit"],
                   verdict["seeds"], p, verdict["outcome"])  # fmt: skip


def _table(record: Record, name: str) -> Iterator[str]:
    if name not in record["tables"]:
        known = ", ".join(record["tables"])
        raise InputError(f"{record['study']}.md shows table {name!r}; the record has {known}.")
    rows = record["tables"][name]
    columns = list(rows[0]) if rows else []
    yield _row(*columns)
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield _row(*row.values())


def _picture(record: Record, name: str) -> Iterator[str]:
    file = f"{record['study']}-{name}.png"
    if file not in record["pictures"]:
        known = ", ".join(record["pictures"])
        raise InputError(f"{record['study']}.md shows picture {name!r}; the record has {known}.")
    yield f"![{record['pictures'][file]}]({file})"
    yield ""
    yield f"*{record['pictures'][file]}*"


def _paper(folder: Path) -> Iterator[str]:
    """The README's table: the headline claims of each item of the paper, in its order."""
    yield "| claim | place | measured [95% interval] | seeds | size | outcome |"
    yield "|---|---|---|---|---|---|"
    for name in _in_paper_order("paper"):
        link = f"[{name}](docs/results/{name}.md)"
        record = read_record(name, folder)
        if record is None:
            yield _row(link, "", "not recorded yet", "", "", "")
            continue
        for claim in record["headline"]:
            v = record["claims"][claim]
            measured = f"{verdict_text(v)} (claimed above {v['threshold']:g}: {v['unit']})"
            size = "full" if record["budget"] == "full" else f"{record['budget']}"
            yield _row(
                f"{v['statement']} {link}", v["place"], measured, v["seeds"], size, v["outcome"]
            )


def _index(folder: Path) -> Iterator[str]:
    """One line a study."""
    yield "| study | about | size | claims: supported, contradicted, undecided |"
    yield "|---|---|---|---|"
    for name in (*_in_paper_order("paper"), *_in_paper_order("questions")):
        record, link = read_record(name, folder), f"[{name}](results/{name}.md)"
        if record is None:
            yield _row(link, "", "not recorded yet", "")
            continue
        outcomes = [verdict["outcome"] for verdict in record["claims"].values()]
        counts = (outcomes.count(o) for o in ("supported", "contradicted", "undecided"))
        about = f"{record['title']} ({record['paper_item']})"
        yield _row(link, about, record["budget"], ", ".join(map(str, counts)))


def _in_paper_order(folder: str) -> list[str]:
    """The studies of a folder; of the paper's items in the paper's order."""
    names = [name for name, module in study_modules().items() if f".{folder}." in module]

    def place(name: str) -> int:
        return next((i for i, item in enumerate(_PAPER_ORDER) if name.startswith(item)), 0)

    return sorted(names, key=place) if folder == "paper" else names


def _row(*cells: Any) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
