"""Choosing among the records of alignment.json."""

from collections.abc import Sequence
from typing import Any

from randlabels.figures.style import group_titles

Records = Sequence[dict[str, Any]]


def by_group(records: Records) -> dict[str, list[dict[str, Any]]]:
    """The records of each group of networks by its title, in the order of the file."""
    groups: list[dict[str, Any]] = []
    for record in records:
        if record["group"] not in groups:
            groups.append(record["group"])
    titles = group_titles(groups)
    return {
        title: [record for record in records if record["group"] == group]
        for title, group in zip(titles, groups, strict=True)
    }


def pooled(records: Records) -> list[dict[str, Any]]:
    """The records of pooled networks, by epoch."""
    chosen = [record for record in records if record["network"] is None]
    return sorted(chosen, key=lambda record: record["step"])


def single(records: Records) -> dict[int, list[dict[str, Any]]]:
    """The records of each single network, by epoch."""
    chosen = [record for record in records if record["network"] is not None]
    chosen.sort(key=lambda record: record["step"])
    return {
        network: [record for record in chosen if record["network"] == network]
        for network in sorted({record["network"] for record in chosen})
    }
