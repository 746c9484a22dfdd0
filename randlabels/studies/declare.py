"""What a study is: stages that are trained, one reading of them, and what is concluded from it.

A study decides one item of the paper or one question. It reads what its stages left behind once;
claims, figures and tables all take that reading, so that they cannot disagree.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from matplotlib.figure import Figure

from randlabels.analysis.records import Alignment
from randlabels.configs.base import Columns
from randlabels.networks import Network
from randlabels.runs import Run

Reading = TypeVar("Reading")

Row = Mapping[str, Any]  # {column: cell} of a table; cells are text or numbers as they are shown
Drawings = Mapping[str, tuple[Figure, str]]  # {file name without suffix: (figure, caption)}
Tables = Mapping[str, Sequence[Row]]  # {name of a table: rows of the same columns}

MOST_PRIMARY = 4  # claims of a study that are decided: with more, none has the power to be


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
    """A statement with the number that it is about, declared before there is any.

    Attributes:
        name: short, unique within the study.
        statement: what is claimed.
        place: where the paper claims it.
        unit: of the values and the threshold, for the reader.
        of: the values, one for each seed, from the study's reading; NaN for a seed without one.
            Where some are censored, bounds [seed, 2], equal for the others.
        threshold: the claim is that their mean is above it.
        scale: whether the values are differences, or ratios: positive, averaged as logs.
        comparisons: of how many the values are the worst; all have to lie above the threshold for
            the claim to hold, so that only what speaks against it is corrected for the choice.
    """

    name: str
    statement: str
    place: str
    unit: str
    of: Callable[[Reading], np.ndarray]
    threshold: float = 0.0
    scale: Literal["difference", "ratio"] = "difference"
    comparisons: int = 1


@dataclasses.dataclass(frozen=True)
class Primary:
    """What makes a claim one that is decided, and not only estimated.

    Attributes:
        smallest: effect of interest: values that lie nearer to the threshold count as none. In the
            claim's unit; of ratios a factor above 1.
        against: what would contradict the claim, for the reader.
        premise: another primary claim, declared before, without which this one cannot be tested.
    """

    smallest: float
    against: str
    premise: str = ""


@dataclasses.dataclass(frozen=True)
class Results:
    """What the stages of a study left behind: runs and alignment analyses by stage name.

    Optional stages whose data set is not prepared are missing.
    """

    workdir: Path
    runs: Mapping[str, Run]
    alignments: Mapping[str, Alignment]

    @property
    def networks(self) -> tuple[Network, ...]:
        """Of all runs."""
        return tuple(row for run in self.runs.values() for row in run.networks)


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
        claims: what is decided or estimated.
        primary: one to four of the claims, by name, that are fair readings of what the paper says;
            these are decided, and the README's table shows them.
        figures: from the reading.
        tables: from the reading.
        tuning: on what its settings were chosen.
    """

    name: str
    title: str
    paper_item: str
    stages: tuple[Stage, ...]
    read: Callable[[Results], Reading]
    claims: tuple[Claim[Reading], ...]
    primary: Mapping[str, Primary]
    figures: Callable[[Reading], Drawings]
    tables: Callable[[Reading], Tables]
    tuning: Tuning = Tuning()

    def __post_init__(self) -> None:
        """Refuse what could only fail after training.

        Raises:
            ValueError: if names are not unique, or name what is not there.
        """
        stages = [stage.name for stage in self.stages]
        claims = [claim.name for claim in self.claims]
        for claim in self.claims:
            if claim.scale == "ratio" and claim.threshold <= 0:
                raise ValueError(f"claim {claim.name!r} is about ratios; its threshold is above 0.")
        for names in (stages, claims):
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ValueError(f"study {self.name!r} has {twice[0]!r} twice.")
        for number, stage in enumerate(self.stages):
            if stage.reads and stage.reads not in stages[:number]:
                raise ValueError(f"stage {stage.name!r} reads {stage.reads!r}, no earlier stage.")
        if not 1 <= len(self.primary) <= MOST_PRIMARY:
            raise ValueError(
                f"study {self.name!r} has {len(self.primary)} primary claims; it may have 1 to "
                f"{MOST_PRIMARY}."
            )
        for number, (name, rule) in enumerate(self.primary.items()):
            if name not in claims:
                raise ValueError(f"study {self.name!r} has no claim {name!r} to be primary.")
            ratio = self.claims[claims.index(name)].scale == "ratio"
            if rule.smallest <= (1 if ratio else 0):
                raise ValueError(
                    f"the smallest effect of interest of {name!r} is {rule.smallest:g}; give one "
                    "above 0, of ratios above 1."
                )
            if rule.premise and rule.premise not in list(self.primary)[:number]:
                raise ValueError(
                    f"{rule.premise!r}, the premise of {name!r}, is no earlier primary claim."
                )
