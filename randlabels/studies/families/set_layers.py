"""Studies in which some layers of a network are set, more and more of them (the paper's Figure 6).

Their networks are conv_net at two scales of its initial weights: fig6, table1 and `layers`.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure

from randlabels.configs.base import SAME, Columns
from randlabels.figures import by_layers
from randlabels.runs import Run
from randlabels.studies.declare import Claim, Results, Row, Stage, Tuning
from randlabels.studies.families import FINE_TUNING
from randlabels.studies.readouts.curves import Curves, Start, read_curves
from randlabels.studies.readouts.gains import faster_claim
from randlabels.studies.readouts.rates import AtRates, rate_rows, read_rates

TASKS = {
    "real": "real labels",
    "random": "random labels",
    "small_real": "real labels with small initial weights",
    "small_random": "random labels with small initial weights",
}

RATES = (0.001, 0.003, 0.01, 0.03)  # downstream, where each start has its own
LEVEL = 0.4  # train accuracy; chance is .1

TUNING = Tuning(
    seeds=(1000, 1001, 1002, 1003),
    note="The small scale of initial weights was chosen after one longer run of it had been seen, "
    "on these seeds; the learning rate at He's scale, on runs whose seeds are not known, all below "
    "20000.",
)

# Up and down: training moves kernels by more than their own norm; at He's scale by a third of it.
SMALL = {"model.init_scale": 0.8, "optimizer.learning_rate": 0.01}

_UPSTREAM_AT: Columns = {"train.eval_epochs": (tuple(range(0, 101, 10)), (0, 20, 40, 60, 80), SAME)}

_EVERY_THREE = tuple(range(0, 37, 3))
# Dead leaves, in smoke, have 5 classes.
_DOWNSTREAM_AT: dict[str, Columns] = {
    "real": {"labels.num_classes": (10, 10, SAME), "train.epochs": (12, 12, SAME)},
    "random": {
        "labels.num_classes": (10, 10, SAME),
        # Three times as long: random labels are learned more slowly.
        "train.epochs": (36, 36, SAME),
        "train.eval_epochs": (_EVERY_THREE, _EVERY_THREE, SAME),
    },
}


def downstream(name: str, kind: str, changes: Mapping[str, Any], reads: str = "") -> Stage:
    """Fine-tuning on labels of a kind, with these changes at every budget."""
    return Stage(
        name,
        "conv_net",
        reads=reads,
        changes={**FINE_TUNING, "labels.kind": kind, **changes},
        at=_DOWNSTREAM_AT[kind],
    )


def transfer_stages(changes: Mapping[str, Any]) -> Iterator[Stage]:
    """Pre-training and fine-tuning for every task.

    Args:
        changes: {"group.field": value} of fine-tuning.
    """
    for prefix, scale in {"": {}, "small_": SMALL}.items():
        upstream = f"{prefix}upstream"
        yield Stage(upstream, "conv_net", changes=scale, at=_UPSTREAM_AT)
        for kind in _DOWNSTREAM_AT:
            yield downstream(f"{prefix}{kind}", kind, {**changes, **scale}, reads=upstream)


@dataclasses.dataclass(frozen=True)
class SetLayers:
    """Networks of one run: those from scratch, and those some of whose layers are set.

    Attributes:
        scratch: their curves.
        ways: {way to set layers: {number of layers: curves}}, numbers in the same order for all.
    """

    scratch: Curves
    ways: Mapping[str, Mapping[int, Curves]]

    def start(self, way: str, number: int) -> Curves:
        """The networks with so many layers set in this way."""
        return self.ways[way][number]

    def gain(self, way: str, number: int) -> np.ndarray:
        """Their gain over scratch, [seed]."""
        return self.start(way, number).gain_over(self.scratch)

    def gains(self, way: str) -> np.ndarray:
        """Gains over scratch for each number of layers, [number of layers, seed]."""
        return np.stack([self.gain(way, number) for number in self.ways[way]])


@dataclasses.dataclass(frozen=True)
class Settings:
    """What all stages of a study left behind.

    Attributes:
        at_one_rate: {stage: its networks}, which all have the recipe's learning rate.
        at_rates: {task: some of its starts at several learning rates}, of a stage of their own.
    """

    at_one_rate: Mapping[str, SetLayers]
    at_rates: Mapping[str, AtRates]


def read_settings(
    results: Results,
    stages: Iterable[str],
    way: Literal["arm", "curve", "end"],
    starts: Mapping[str, Mapping[str, Any]] = {},
    best: Mapping[str, Mapping[str, float]] = {},
) -> Settings:
    """The curves of stages by the number of layers that are set, and by what else is compared.

    Args:
        results: of the study.
        stages: whose `init.layers` are swept over ("first:2",), ("last:3",), ...
        way: what is compared: arms, `init.curve`, or the end from which layers are counted.
        starts: {name: columns of the network table}, of stages `<task>_rates`.
        best: {task: {start: its best rate}}, chosen on tuning seeds.
    """
    return Settings(
        {stage: _read(results.runs[stage], way) for stage in stages},
        {
            task: read_rates(results.runs[f"{task}_rates"], starts, rates)
            for task, rates in best.items()
        },
    )


def _read(run: Run, way: str) -> SetLayers:
    columns = ("layers",) if way == "end" else ("layers", way)
    starts: dict[str, dict[int, Start]] = {}
    for row in run.networks:
        if row.layers:
            end, number = row.layers[0].split(":")
            compared = end if way == "end" else getattr(row, way)
            start = {column: getattr(row, column) for column in columns}
            starts.setdefault(compared, {})[int(number)] = start
    ways = {
        compared: {number: read_curves(run, start) for number, start in of.items()}
        for compared, of in starts.items()
    }
    return SetLayers(read_curves(run, "scratch"), ways)


def faster(
    task: str,
    name: str,
    words: str,
    start: tuple[str, int],
    place: str,
    titles: Mapping[str, str] = TASKS,
) -> Claim[Settings]:
    """The claim that networks learn a task faster with some layers set than from scratch.

    Args:
        task: the stage that has the networks, one of `titles`.
        name: of the claim, after that of the task.
        words: how the networks start, as the subject of a sentence.
        start: way to set layers, and their number.
        place: of the claim in the paper.
        titles: {task: what is learned}.
    """
    return faster_claim(
        f"{task}_{name}",
        words,
        titles[task],
        place,
        lambda found: found.at_one_rate[task].gain(*start),
    )


def ahead(
    task: str,
    name: str,
    words: str,
    start: tuple[str, int],
    other: tuple[str, int],
    place: str,
    titles: Mapping[str, str] = TASKS,
) -> Claim[Settings]:
    """The claim that networks learn a task faster than others with other layers set.

    Args as of `faster`, but
        words: what is claimed, after "With these labels, ".
        other: way to set layers, and their number, that is slower.
    """
    return Claim(
        name=f"{task}_{name}",
        statement=f"With {titles[task]}, {words}.",
        place=place,
        unit="mean train accuracy over all steps, difference",
        of=lambda found: (
            found.at_one_rate[task].start(*start).gain_over(found.at_one_rate[task].start(*other))
        ),
    )


def faster_at_best(task: str, name: str, words: str, start: str, place: str) -> Claim[Settings]:
    """The claim of `faster`, where the start and scratch have a learning rate of their own."""
    return faster_claim(
        f"{task}_{name}_best",
        f"Each at its best rate, {words}",
        TASKS[task],
        place,
        lambda found: found.at_rates[task].gain(start),
    )


def ahead_at_best(
    task: str, name: str, words: str, start: str, other: str, place: str
) -> Claim[Settings]:
    """The claim of `ahead`, where either start has a learning rate of its own."""

    def gain(found: Settings) -> np.ndarray:
        arms = found.at_rates[task].at_best
        return arms[start].gain_over(arms[other])

    return Claim(
        name=f"{task}_{name}_best",
        statement=f"Each at its best rate, with {TASKS[task]} {words}.",
        place=place,
        unit="mean train accuracy over all steps, difference",
        of=gain,
    )


def rates_table(found: Settings) -> list[Row]:
    """One row for each task, start and learning rate."""
    return [
        {"setting": TASKS[task], **row}
        for task, at in found.at_rates.items()
        for row in rate_rows(at, LEVEL)
    ]


def gain_lines(
    settings: Mapping[str, SetLayers],
    titles: Mapping[str, str],
    labels: Mapping[str, str],
    counted: str,
) -> Figure:
    """Gain over scratch against the number of layers, for each setting and way.

    Args:
        settings: a panel for each.
        titles: {setting: title of its panel}.
        labels: {way: label}.
        counted: what numbers of layers count.
    """
    panels = {
        titles[name]: {labels[way]: of.gains(way) for way in of.ways}
        for name, of in settings.items()
    }
    numbers = {titles[name]: list(next(iter(of.ways.values()))) for name, of in settings.items()}
    return by_layers.plot(panels, numbers, xlabel=counted)
