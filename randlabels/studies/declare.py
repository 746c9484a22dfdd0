"""What a study is: stages that are trained, one reading of them, and what is concluded from it.

A study decides one item of the paper or one question. It reads what its stages left behind once;
claims, figures and tables all take that reading, so that they cannot disagree.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from matplotlib.figure import Figure

from randlabels.analysis.records import Alignment
from randlabels.configs.base import Columns
from randlabels.runs import Run

Reading = TypeVar("Reading")

Row = Mapping[str, Any]  # {column: cell} of a table; cells are text or numbers as they are shown
Drawings = Mapping[str, tuple[Figure, str]]  # {file name without suffix: (figure, caption)}
Tables = Mapping[str, Sequence[Row]]  # {name of a table: rows of the same columns}


@dataclasses.dataclass(frozen=True)
class Stage:
    """One run of a study.

    Attributes:
        name: of its folder below the study's workdir.
        recipe: in configs/, "simple_cnn" or "residual.wide_resnet".
        reads: the earlier stage whose run its arms start from ("" for none).
        analyze: layers whose alignment is analysed after training (() for none).
        changes: {"group.field": value} that this stage changes in the recipe, at every budget.
        at: {"group.field": its values at full, short and smoke} of others; SAME is the recipe's.
        optional: left out, with all that reads it, where its data set is not prepared.
    """

    name: str
    recipe: str
    reads: str = ""
    analyze: tuple[str, ...] = ()
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    at: Columns = dataclasses.field(default_factory=dict)
    optional: bool = False


@dataclasses.dataclass(frozen=True)
class Claim(Generic[Reading]):
    """A statement that numbers decide, declared before there are any.

    Attributes:
        name: short, unique within the study.
        statement: what is claimed.
        place: where the paper claims it.
        unit: of the values and the threshold, for the reader.
        of: the values, one for each seed, from the study's reading; NaN for a seed without one.
        threshold: the claim is that their mean is above it.
        seeds_needed: with fewer values the outcome is undecided.
    """

    name: str
    statement: str
    place: str
    unit: str
    of: Callable[[Reading], np.ndarray]
    threshold: float = 0.0
    seeds_needed: int = 3


@dataclasses.dataclass(frozen=True)
class Results:
    """What the stages of a study left behind: runs and alignment analyses by stage name.

    Optional stages whose data set is not prepared are missing.
    """

    workdir: Path
    runs: Mapping[str, Run]
    alignments: Mapping[str, Alignment]


@dataclasses.dataclass(frozen=True)
class Tuning:
    """On what the settings, levels and rates of a study were chosen.

    Attributes:
        seeds: `config.seed` of the networks that were looked at; () where nothing was chosen.
        note: what was chosen on them, and whether verdicts use other seeds.
    """

    seeds: tuple[int, ...] = ()
    note: str = "Nothing was chosen on results."


@dataclasses.dataclass(frozen=True)
class Study(Generic[Reading]):
    """One item of the paper, or one question.

    Attributes:
        name: as given to --study; the name of its module.
        title: for the page.
        paper_item: what it reproduces, or who asked.
        stages: in order of training.
        read: the reading, from what the stages left behind.
        claims: what is decided.
        figures: from the reading.
        tables: from the reading.
        headline: names of the claims that the README's table shows.
        tuning: on what its settings were chosen.
    """

    name: str
    title: str
    paper_item: str
    stages: tuple[Stage, ...]
    read: Callable[[Results], Reading]
    claims: tuple[Claim[Reading], ...]
    figures: Callable[[Reading], Drawings]
    tables: Callable[[Reading], Tables]
    headline: tuple[str, ...] = ()
    tuning: Tuning = Tuning()

    def __post_init__(self) -> None:
        """Refuse what could only fail after training.

        Raises:
            ValueError: if names are not unique, or name what is not there.
        """
        stages = [stage.name for stage in self.stages]
        claims = [claim.name for claim in self.claims]
        for names in (stages, claims):
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ValueError(f"study {self.name!r} has {twice[0]!r} twice.")
        for number, stage in enumerate(self.stages):
            if stage.reads and stage.reads not in stages[:number]:
                raise ValueError(f"stage {stage.name!r} reads {stage.reads!r}, no earlier stage.")
        for name in self.headline:
            if name not in claims:
                raise ValueError(f"study {self.name!r} has no claim {name!r} for its headline.")
