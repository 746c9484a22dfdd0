"""Parts of a population that are trained without each other, on machines that share nothing.

Networks are independent, so that a part of the network table is a run of its own: of the same
config, but for `population.shard`. `randlabels.training.merging` puts the parts together.
"""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from randlabels.errors import InputError, shown
from randlabels.networks import Network

_FORM = re.compile(r"([1-9]\d{0,5})/([1-9]\d{0,5})")
_FOLDER = re.compile(r"([1-9]\d{0,5})-of-([1-9]\d{0,5})")


@dataclasses.dataclass(frozen=True, order=True)
class Shard:
    """Part `number`, from 1, of `count`."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse(text: str) -> Shard:
    """The part that config.population.shard names.

    Raises:
        InputError: if it is not of the form 3/8.
    """
    found = _FORM.fullmatch(text)
    if not found or int(found[1]) > int(found[2]):
        raise InputError(
            f"config.population.shard (--shard) is {shown(text)}; give the number of the part and "
            "how many there are, such as 3/8."
        )
    return Shard(int(found[1]), int(found[2]))


def rows_of(rows: Sequence[Network], text: str) -> list[Network]:
    """The rows of a part, numbered from 0, of nearly as many as any other; all if it is "".

    Raises:
        InputError: if there are fewer networks than parts, or the text is of another form.
    """
    if not text:
        return list(rows)
    shard = parse(text)
    if len(rows) < shard.count:
        raise InputError(
            f"config.population.shard (--shard) is {text}, but there are only {len(rows)} "
            "networks; make fewer parts."
        )
    numbers = np.array_split(np.arange(len(rows)), shard.count)[shard.number - 1]
    return renumbered([rows[number] for number in numbers])


def renumbered(rows: Sequence[Network]) -> list[Network]:
    """The rows with their positions as numbers."""
    return [dataclasses.replace(row, network=number) for number, row in enumerate(rows)]


def part_of(config: ConfigDict, workdir: str | Path, text: str) -> tuple[ConfigDict, Path]:
    """The config and the workdir of a part of a run.

    Raises:
        InputError: if the text is not of the form 3/8.
    """
    shard = parse(text)
    of_part = config.copy_and_resolve_references()
    with of_part.unlocked():
        of_part.population.shard = text
    return of_part, folder_of_parts(workdir) / f"{shard.number}-of-{shard.count}"


def folder_of_parts(workdir: str | Path) -> Path:
    """Where the workdirs of the parts are: beside that of the whole run."""
    workdir = Path(workdir)
    return workdir.with_name(f"{workdir.name}.shards")


def parts_there(workdir: str | Path) -> dict[Shard, Path]:
    """{part: its workdir} of all that there are, in order."""
    folder, found = folder_of_parts(workdir), {}
    for path in folder.iterdir() if folder.is_dir() else ():
        name = _FOLDER.fullmatch(path.name)
        if name:
            found[Shard(int(name[1]), int(name[2]))] = path
    return dict(sorted(found.items()))
