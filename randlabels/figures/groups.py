"""Choosing among the records of alignment.json."""

from collections.abc import Sequence
from typing import Any

from randlabels.analysis.records import AlignmentRecord
from randlabels.figures.style import group_titles

Records = Sequence[AlignmentRecord]


def by_group(records: Records) -> dict[str, list[AlignmentRecord]]:
    """The records of each group of networks by its title, in the order of the file."""
    groups: list[dict[str, Any]] = []
    for record in records:
        if record.group not in groups:
            groups.append(record.group)
    titles = group_titles(groups)
    return {
        title: [record for record in records if record.group == group]
        for title, group in zip(titles, groups, strict=True)
    }


def pooled(records: Records) -> list[AlignmentRecord]:
    """The records of pooled networks, by epoch."""
    chosen = [record for record in records if record.network is None]
    return sorted(chosen, key=lambda record: record.step)


def single(records: Records) -> dict[int, list[AlignmentRecord]]:
    """The records of each single network, by epoch."""
    found: dict[int, list[AlignmentRecord]] = {}
    for record in sorted(records, key=lambda record: (record.networks, record.step)):
        if record.network is not None:
            found.setdefault(record.network, []).append(record)
    return found
