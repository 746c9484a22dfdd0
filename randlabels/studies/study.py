"""What a study is: stages that are trained, claims made before any result, figures.

A study decides one item of the paper. Its module in this package declares it as data; the same
generic code trains the stages, judges the claims and draws the page.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.analysis.records import Alignment
from randlabels.runs import Run


@dataclasses.dataclass(frozen=True)
class Stage:
    """One run of a study.

    Attributes:
        name: of its folder below the study's workdir.
        config: module in configs/ whose get_config(budget) describes it.
        reads: the earlier stage whose run its arms start from ("" for none).
        analyze: layers whose alignment is analysed after training (() for none).
        changes: {"group.field": value} that this stage changes in the config, at every budget.
        optional: left out, with all that reads it, where its data set is not prepared.
    """

    name: str
    config: str
    reads: str = ""
    analyze: tuple[str, ...] = ()
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    optional: bool = False


@dataclasses.dataclass(frozen=True)
class Claim:
    """A statement that numbers decide, declared before there are any.

    Attributes:
        name: short, unique within the study.
        statement: what is claimed.
        place: where the paper claims it.
        measure: the name of a measure of the study: one value for each seed.
        threshold: the claim is that the mean of the measure is above it.
        unit: of the measure and the threshold, for the reader.
        seeds_needed: with fewer values the outcome is undecided.
    """

    name: str
    statement: str
    place: str
    measure: str
    threshold: float
    unit: str
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
class Study:
    """One item of the paper.

    Attributes:
        name: of the study, as given to --study.
        title: for the page.
        paper_item: what it reproduces.
        stages: in order of training.
        claims: what is decided.
        measures: {name: values over seeds} from the results.
        figures: {file name without suffix: (figure, caption)} from the results.
        summary: rows of the page's table of numbers, from the results.
    """

    name: str
    title: str
    paper_item: str
    stages: tuple[Stage, ...]
    claims: tuple[Claim, ...]
    measures: Callable[[Results], dict[str, np.ndarray]]
    figures: Callable[[Results], dict[str, tuple[Figure, str]]]
    summary: Callable[[Results], list[dict[str, Any]]]
