"""Figure 20 (and 4, left): eigenvalue maps of mlps that learned random labels of Gaussian data.

The paper gives neither learning rate nor stopping time, and both shape the maps. So one rule, which
looks neither at the paper's numbers nor at f, sets them in every setting: a network stops once it
has learned 90% of its labels, and the rate is the one of a declared grid at which networks get
there soonest. Claims are about these networks. How far every rate is from the paper is shown beside
them, and the nearest of all rates and checkpoints, chosen by the paper's numbers, is called fitted.

The paper leaves two more things open, and the study runs both readings of each: whether the
diagonal holds variances or standard deviations, and whether the middle curve has layers 2048-256
(table of Figure 20) or 256-256 (caption of Figure 4).
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from randlabels.configs.base import SAME, Columns
from randlabels.figures import gaussian_maps
from randlabels.studies.declare import (
    Claim,
    Drawings,
    Primary,
    Results,
    Row,
    Stage,
    Study,
    Tables,
    Tuning,
)
from randlabels.studies.readouts.cells import interval, mean_std
from randlabels.studies.readouts.stopped_maps import StoppedMaps, fastest, read_stopped_maps

LAYER, NEXT_LAYER = "dense1", "dense2"
DIAGONAL_HOLDS = {"standard_deviations": "standard deviations", "variances": "variances"}

# Most labels are learned there, and accuracy still rises fast, so that the stop is well determined:
# of networks that have learned all of them nothing but f would tell one epoch from another.
ACCURACY = 0.9
# Around the default of configs/base.py, .01, in steps of 2. At .04 most units of the wide networks'
# second layer die (seen on tuning seeds), and at .005 the narrow ones are slower than at any other.
WIDE_RATES, NARROW_RATES = (0.005, 0.01, 0.02), (0.01, 0.02, 0.04)


def _until(last: int) -> Columns:
    """Training to one of these times, a factor of 2^(1/4) apart; kept and evaluated at each."""
    times = (round(8 * 2 ** (k / 4)) for k in range(21))  # 8, 10, 11, 13, 16, ... 256
    kept = (0, 4, *(epoch for epoch in times if epoch <= last))
    return {
        "train.epochs": (last, last, 24),
        "train.checkpoint_epochs": (kept, kept, (0, 6, 12, 24)),
        "train.eval_epochs": (kept, kept, (0, 6, 12, 24)),
    }


# What each setting changes at every budget, and at each. Ten dimensions are slow to memorise. On
# the right, f goes on towards the paper's long after the labels are learned, and epochs are short.
SETTINGS: dict[str, tuple[dict[str, Any], Columns]] = {
    "left": ({"data.diagonal": tuple(round(1 + 0.1 * i, 1) for i in range(10))}, _until(215)),
    "middle": ({}, _until(54)),
    "middle_256": ({"model.widths": (256, 256)}, _until(91)),
    "right": (
        {},
        {
            "data.upstream_size": (2_000, 2_000, SAME),
            "model.widths": ((256, 256), (256, 256), SAME),
            **_until(256),
        },
    ),
}
RATES = {
    "left": WIDE_RATES,
    "middle": WIDE_RATES,
    "middle_256": NARROW_RATES,
    "right": NARROW_RATES,
}
TITLES = {
    "left": "left: d = 10, 2048-256, 10,000 inputs",
    "middle": "middle: d = 30, 2048-256, 10,000 inputs",
    "middle_256": "middle: d = 30, 256-256, 10,000 inputs",
    "right": "right: d = 30, 256-256, 2,000 inputs",
}
# {stage: its setting}
SETTING_OF = {f"{setting}_{held}": setting for held in DIAGONAL_HOLDS for setting in SETTINGS}
# f read off the paper's figure: {entry of the diagonal: f}.
PAPER = {
    "left": {1.0: 0.381, 1.9: 0.316},
    "middle": {0.1: 0.184, 1.1: 0.207, 3.0: 0.163},
    "middle_256": {0.1: 0.184, 1.1: 0.207, 3.0: 0.163},
    "right": {0.1: 0.184, 3.0: 0.254},
}
# (name, setting, entry where f is claimed to be larger, entry where it is smaller, words)
SHAPES = (
    ("left_falls", "left", 1.0, 1.9, "falls over the whole spectrum"),
    ("middle_rises", "middle", 1.1, 0.1, "rises at first"),
    ("middle_falls", "middle", 1.1, 3.0, "falls in the end"),
    ("middle_256_rises", "middle_256", 1.1, 0.1, "rises at first"),
    ("middle_256_falls", "middle_256", 1.1, 3.0, "falls in the end"),
    ("right_rises", "right", 3.0, 0.1, "rises over the whole spectrum"),
)


@dataclasses.dataclass(frozen=True)
class Panel:
    """One setting under one reading of the diagonal: its networks by rate, and the paper's points.

    Attributes:
        rates: {learning rate: its networks}, ascending.
        paper: {entry of the diagonal: f}.
    """

    rates: Mapping[float, StoppedMaps]
    paper: Mapping[float, float]

    @functools.cached_property
    def rate(self) -> float | None:
        """The learning rate by the rule; None where none of the grid satisfies it."""
        return fastest(self.rates)

    def f_at(self, entry: float) -> np.ndarray:
        """f at an entry of the diagonal by the rule, [network]; NaN where no rate satisfies it."""
        return self._by_rule(lambda cell: cell.at(entry))

    def difference(self, high: float, low: float) -> np.ndarray:
        """f at one entry less that at another by the rule, [network]."""
        return self.f_at(high) - self.f_at(low)

    def learned_difference(self, high: float, low: float) -> np.ndarray:
        """The same less that at initialisation, where f is flat but for the luck of the draw."""
        start = self._by_rule(lambda cell: (cell.kept_at(high) - cell.kept_at(low))[:, 0])
        return self.difference(high, low) - start

    def distance(self) -> np.ndarray:
        """Distance to the paper's points by the rule, [network], NaN likewise."""
        return self._by_rule(lambda cell: cell.distance(self.paper))

    def _by_rule(self, of: Callable[[StoppedMaps], np.ndarray]) -> np.ndarray:
        if self.rate is None:
            return np.full(len(next(iter(self.rates.values())).train), np.nan)
        return of(self.rates[self.rate])

    @functools.cached_property
    def fitted(self) -> tuple[float, int]:
        """(rate, checkpoint) of the smallest mean distance, whatever the train accuracy there."""
        means = {
            (rate, k): mean
            for rate, cell in self.rates.items()
            for k, mean in enumerate(cell.distances(self.paper).mean(axis=0))
            if np.isfinite(mean)
        }
        return min(means, key=lambda cell: means[cell])


Panels = Mapping[str, Panel]  # {stage: panel}


def _read(results: Results) -> Panels:
    """The panels of the stages that were run."""
    return {
        stage: Panel(
            read_stopped_maps(run, results.alignments[stage], LAYER, NEXT_LAYER, ACCURACY),
            PAPER[SETTING_OF[stage]],
        )
        for stage, run in results.runs.items()
    }


def _shape_claim(
    name: str, setting: str, high: float, low: float, words: str, held: str
) -> Claim[Panels]:
    stage = f"{setting}_{held}"

    return Claim(
        name=f"{name}_{held}",
        statement=f"With the diagonal read as {DIAGONAL_HOLDS[held]}, f {words} "
        f"({TITLES[setting]}): it is larger at {high} than at {low} when networks have learned "
        f"{ACCURACY:.0%} of their labels, at the learning rate that gets them there soonest.",
        place="Figure 20",
        unit=f"f({high}) minus f({low})",
        of=lambda found: found[stage].difference(high, low),
    )


def _learned_claim(
    name: str, setting: str, high: float, low: float, words: str, held: str
) -> Claim[Panels]:
    stage = f"{setting}_{held}"
    return Claim(
        name=f"{name}_{held}_learned",
        statement=f"With the diagonal read as {DIAGONAL_HOLDS[held]}, training by the same rule is "
        f"why f {words} ({TITLES[setting]}): f({high}) minus f({low}) is larger than at "
        "initialisation.",
        place="Figure 20",
        unit=f"f({high}) minus f({low}), less the same at initialisation",
        of=lambda found: found[stage].learned_difference(high, low),
    )


def _nearer_claim(name: str, nearer: str, farther: str, statement: str) -> Claim[Panels]:
    return Claim(
        name=name,
        statement=f"By the same rule, {statement}.",
        place="Figure 20",
        unit="difference of distances to the paper's points (relative, root mean square)",
        of=lambda found: found[farther].distance() - found[nearer].distance(),
    )


_CLAIMS = (
    *(
        of(*shape, held)
        for of in (_shape_claim, _learned_claim)
        for held in DIAGONAL_HOLDS
        for shape in SHAPES
    ),
    *(
        _nearer_claim(
            f"{setting}_reading",
            f"{setting}_standard_deviations",
            f"{setting}_variances",
            f"f is nearer to the paper's points with the diagonal read as standard deviations than "
            f"with variances ({TITLES[setting]})",
        )
        for setting in SETTINGS
        if setting != "middle_256"
    ),
    _nearer_claim(
        "middle_width",
        "middle_standard_deviations",
        "middle_256_standard_deviations",
        "f is nearer to the paper's points of the middle curve with layers 2048-256 than with "
        "256-256, the diagonal read as standard deviations",
    ),
)


def _figures(found: Panels) -> Drawings:
    """f beside the values read off the paper, and the distance of every rate and checkpoint."""
    maps, distances = {}, {}
    for stage, panel in found.items():
        title = "\n".join(_where(stage).values())
        maps[title] = _map_panel(panel)
        distances[title] = _distance_panel(panel)
    order = "Upper row: the diagonal holds standard deviations; lower row: variances."
    of_maps = (
        "Eigenvalue map f of the first layer against the entries of the diagonal: mean and range "
        f"over networks. By the rule: the rate at which networks learn {ACCURACY:.0%} of their "
        "labels soonest, and where they do. Fitted: the rate and epoch of all that is nearest to "
        f"the crosses, which are values read off the paper's Figure 20. {order}"
    )
    of_distances = (
        "Distance to the values read off the paper's Figure 20 (relative, root mean square) at "
        f"every rate and checkpoint: mean and range over networks. Dots: where {ACCURACY:.0%} of "
        "the labels are learned, mean over networks; open where some never get there. Circle: by "
        f"the rule. Star: the nearest of all, fitted. {order}"
    )
    columns = len(SETTINGS)
    return {
        "fig20": (gaussian_maps.plot(maps, columns), of_maps),
        "fig20_distances": (gaussian_maps.plot_distances(distances, columns), of_distances),
    }


def _map_panel(panel: Panel) -> gaussian_maps.MapPanel:
    rate, k = panel.fitted
    first = next(iter(panel.rates.values()))
    lines = {"at initialisation": first.maps[:, 0], "fitted": panel.rates[rate].maps[:, k]}
    if panel.rate is not None:
        lines["by the rule"] = panel.rates[panel.rate].stopped
    return gaussian_maps.MapPanel(first.entries, lines, panel.paper)


def _distance_panel(panel: Panel) -> gaussian_maps.DistancePanel:
    rate, k = panel.fitted
    distances = {rate: cell.distances(panel.paper) for rate, cell in panel.rates.items()}
    return gaussian_maps.DistancePanel(
        epochs=next(iter(panel.rates.values())).epochs,
        lines={f"{rate:g}": values for rate, values in distances.items()},
        stops={
            f"{rate:g}": (cell.stops, cell.distance(panel.paper))
            for rate, cell in panel.rates.items()
        },
        rule=None if panel.rate is None else f"{panel.rate:g}",
        fitted=(f"{rate:g}", k),
    )


def _tables(found: Panels) -> Tables:
    """f at the paper's entries, then every rate by its stop, then the nearest of all."""
    return {
        "maps": [row for stage, panel in found.items() for row in _map_rows(stage, panel)],
        "rates": [
            _rate_row(stage, panel, rate) for stage, panel in found.items() for rate in panel.rates
        ],
        "fitted": [_fitted_row(stage, panel) for stage, panel in found.items()],
    }


def _where(stage: str) -> dict[str, str]:
    """The setting and the reading of the diagonal of a stage, in words."""
    held = stage.removeprefix(f"{SETTING_OF[stage]}_")
    return {"setting": TITLES[SETTING_OF[stage]], "diagonal holds": DIAGONAL_HOLDS[held]}


def _map_rows(stage: str, panel: Panel) -> list[Row]:
    rate, k = panel.fitted
    return [
        _where(stage)
        | {
            "entry": entry,
            "f, paper": f"{paper:.3f}",
            "f, by the rule": mean_std(panel.f_at(entry), 3),
            "f, fitted": mean_std(panel.rates[rate].kept_at(entry)[:, k], 3),
        }
        for entry, paper in panel.paper.items()
    ]


def _rate_row(stage: str, panel: Panel, rate: float) -> Row:
    cell = panel.rates[rate]
    return _where(stage) | {
        "learning rate": f"{rate:g}",
        "chosen": "by the rule" if rate == panel.rate else "",
        "networks": len(cell.train),
        "diverged or dead": cell.lost,
        f"reach {ACCURACY:.0%}": int(cell.reached.sum()),
        f"epochs to {ACCURACY:.0%}": mean_std(cell.epochs_to_level, 1),
        "stopped at epoch": mean_std(cell.stops, 0),
        "dead units of the second layer at the end": f"{cell.dead.mean():.0%}",
        "distance to the paper at the stop": _distance(cell.distance(panel.paper)),
    }


def _fitted_row(stage: str, panel: Panel) -> Row:
    rate, k = panel.fitted
    cell = panel.rates[rate]
    return _where(stage) | {
        "distance to the paper, by the rule": _distance(panel.distance()),
        "distance to the paper, fitted": _distance(cell.distances(panel.paper)[:, k]),
        "learning rate, fitted": f"{rate:g}",
        "epoch, fitted": int(cell.epochs[k]),
        "train accuracy there": mean_std(cell.train[:, k], 3),
    }


def _distance(values: np.ndarray) -> str:
    """Mean and interval over the networks that have one."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return "none"
    low, high = interval(finite)
    return f"{finite.mean():.1%} [{low:.1%}, {high:.1%}]"


STUDY = Study(
    name="fig20",
    title="Eigenvalue maps of networks trained on Gaussian inputs with random labels",
    paper_item="Figures 4 (left) and 20",
    stages=tuple(
        Stage(
            f"{setting}_{held}",
            "gaussian_mlp.fig20",
            analyze=(LAYER,),
            changes=changes
            | {
                "data.diagonal_holds": held,
                "population.sweep": (("optimizer.learning_rate", RATES[setting]),),
            },
            at=at,
        )
        for held in DIAGONAL_HOLDS
        for setting, (changes, at) in SETTINGS.items()
    ),
    read=_read,
    claims=_CLAIMS,
    figures=_figures,
    tables=_tables,
    primary={
        f"{name}_standard_deviations": Primary(0.005, "f that is flat, or has the other slope")
        for name, *_ in SHAPES
        if not name.startswith("middle_256")
    },
    tuning=Tuning(
        seeds=(0, 1),
        note="Numbers of epochs, and the rule for the rate, were chosen on train accuracies and "
        "dead units of one network of a setting and rate; how long the networks on the right go "
        "on after their stop, which only the fitted ones use, on distances of two. The grid "
        "contains rates of an earlier version, which were chosen for maps near the paper's.",
    ),
)
