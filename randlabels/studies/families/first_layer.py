"""Studies of first-layer transfer: what they read, claim, draw and list (the paper's Figure 5).

Stages are called `upstream`, `real` and `random`: pre-training on random labels, then fine-tuning
on real and on random labels, in some or all of four arms.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from randlabels.analysis.advantage import Advantage, learned_advantage
from randlabels.analysis.controlled import ControlledAlignment
from randlabels.analysis.learned import LearnedAlignment
from randlabels.analysis.records import Alignment
from randlabels.figures import controls_over_training, learned_controls, training_curves
from randlabels.figures.alignment_figures import alignment_figures
from randlabels.figures.training_curves import Level
from randlabels.runs import Run
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
from randlabels.studies.families import FINE_TUNING
from randlabels.studies.readouts.alignment import LAYER, closer_claim, read_misalignments
from randlabels.studies.readouts.cells import arm_rows
from randlabels.studies.readouts.curves import share_kept, train_lines
from randlabels.studies.readouts.learned import (
    LEARNED,
    SPECIFIC,
    WEIGHTS,
    advantage_rows,
    basis_rows,
    learned_over_training,
    learned_rows,
    read_learned,
    specific_claim,
)
from randlabels.studies.readouts.rates import (
    BEST,
    COMMON,
    SCRATCH,
    AtRates,
    rate_rows,
    read_rates,
)
from randlabels.studies.verdicts import estimate

# Of speed-ups: the noise of one seed is several times larger.
_PRIMARY = Primary(1.05, "steps that are no fewer than from scratch")

ARMS = ("scratch", "pretrained", "covariance", "pretrained_unscaled")
TASKS = {"real": "real labels", "random": "random labels"}
PLACE = "Section 2.4, Figure 5"

FIRST_LAYER = {
    **FINE_TUNING,
    "init.arms": ("scratch", "pretrained", "pretrained_unscaled", "covariance"),
    "init.layers": (LAYER,),
}

_STARTS = {
    "pretrained": "a first layer pre-trained on random labels",
    "covariance": "a first layer drawn from the covariance of pre-trained filters",
}


@dataclasses.dataclass(frozen=True)
class Transfer:
    """What a first-layer transfer left behind.

    Attributes:
        rates: {task: curves of fine-tuning, of all arms at all learning rates}.
        alignment: of the first layer while it learned random labels.
        learned: of what single networks had learned at the end.
        advantage: of the data's eigenvectors over controls then, networks pooled.
        trained: {epoch: of what all networks together had learned by then}.
        last_step: of pre-training.
        levels: {task: train accuracy whose time of arrival is compared}.
    """

    rates: Mapping[str, AtRates]
    alignment: Alignment
    learned: LearnedAlignment
    advantage: Advantage
    trained: Mapping[float, ControlledAlignment]
    last_step: int
    levels: Mapping[str, float]

    @property
    def margin(self) -> np.ndarray:
        """Misalignment to the nearest random basis minus that to the data, [network]."""
        return read_misalignments(self.alignment, self.last_step).margin

    def speed_up(self, task: str, arm: str, rates: str = BEST) -> np.ndarray:
        """Steps from scratch over steps of an arm to the task's level, bounds [seed, 2].

        Each has its best learning rate, or with COMMON both have the same.
        """
        arms = self.rates[task].of(rates)
        return arms[arm].speed_up(arms[SCRATCH], self.levels[task])


def first_layer_study(
    name: str, title: str, paper_item: str, levels: Mapping[str, float], stages: tuple[Stage, ...],
    primary: Sequence[str], tuning: Tuning, best: Mapping[str, Mapping[str, float]] | None = None,
) -> Study[Transfer]:  # fmt: skip
    """A study of first-layer transfer.

    Args:
        name: of the study.
        title: for the page.
        paper_item: what it reproduces.
        levels: for each task, the train accuracy whose time of arrival is compared.
        stages: called `upstream`, `real` and `random`.
        primary: names of the claims that are decided.
        tuning: on what settings and levels were chosen.
        best: {task: {arm: its best learning rate}} of fine-tuning that sweeps the rate; if None,
            all arms have one rate.
    """
    return Study(
        name=name,
        title=title,
        paper_item=paper_item,
        stages=stages,
        read=partial(_read, levels=levels, best=best),
        claims=_claims(levels, (BEST, COMMON) if best else ()),
        figures=_figures,
        tables=_tables,
        primary={name: SPECIFIC if name == "specific" else _PRIMARY for name in primary},
        tuning=tuning,
    )


def _read(
    results: Results,
    levels: Mapping[str, float],
    best: Mapping[str, Mapping[str, float]] | None,
) -> Transfer:
    upstream = results.runs["upstream"]
    return Transfer(
        rates={task: _at_rates(results.runs[task], (best or {}).get(task)) for task in TASKS},
        alignment=results.alignments["upstream"],
        learned=read_learned(upstream, upstream.steps[-1]),
        advantage=learned_advantage(upstream, upstream.steps[-1]),
        trained=learned_over_training(upstream),
        last_step=upstream.steps[-1],
        levels=levels,
    )


def _arms(run: Run) -> tuple[str, ...]:
    """The arms that a run has, in the order of the figures."""
    there = {row.arm for row in run.networks}
    return tuple(arm for arm in ARMS if arm in there)


def _at_rates(run: Run, best: Mapping[str, float] | None) -> AtRates:
    """All arms at all rates; without a sweep the one rate is the best of each."""
    arms = _arms(run)
    one = dict.fromkeys(arms, run.config["optimizer"]["learning_rate"])
    return read_rates(run, {arm: {"arm": arm} for arm in arms}, best or one)


def _claims(levels: Mapping[str, float], rates: Sequence[str]) -> tuple[Claim[Transfer], ...]:
    alignment: Claim[Transfer] = closer_claim(
        "alignment", "The first layer's", "Section 2.3, Figure 2", lambda found: found.margin
    )
    specific: Claim[Transfer] = specific_claim(
        "specific", "the first layer", "Section 2.3, Figure 2", lambda found: found.advantage
    )
    transfer = [
        _transfer_claim(arm, task, levels[task], at)
        for at in rates or ("",)
        for task in TASKS
        for arm in _STARTS
    ]
    return (alignment, specific, *transfer)


def _transfer_claim(arm: str, task: str, level: float, rates: str) -> Claim[Transfer]:
    """That an arm is sooner at the level; BEST, COMMON or, if there is one rate only, ""."""
    return Claim[Transfer](
        name=f"{arm}_{task}{'_common' * (rates == COMMON)}",
        statement=f"With {TASKS[task]} downstream, {_STARTS[arm]} reaches {level:.0%} train "
        f"accuracy in fewer steps than scratch{', ' * bool(rates)}{rates}.",
        place=PLACE,
        unit="steps from scratch over steps of the arm",
        of=lambda found: found.speed_up(task, arm, rates or BEST),
        threshold=1.0,
        scale="ratio",
    )


def _figures(found: Transfer) -> Drawings:
    """Transfer curves, misalignment, eigenvalue map, eigenvectors, controls."""
    panels, levels = {}, {}
    for task, label in TASKS.items():
        for rates in (COMMON, BEST) if found.rates[task].several else (BEST,):
            title = f"{label}, {rates}" if found.rates[task].several else label
            panels[title] = train_lines(found.rates[task].of(rates))
            levels[title] = _level(found, task, rates)
    return {
        "transfer": (
            training_curves.plot(panels, levels=levels),
            "Fine-tuning from a first layer pre-trained on random labels, drawn from its "
            "covariance, or from scratch. Lines are means over seeds, bands go from the "
            "lowest to the highest seed. Dots: steps to the dotted level, geometric means over "
            "seeds; numbers: how many times as many scratch takes, with 95% intervals.",
        ),
        **alignment_figures(found.alignment, LAYER),
        "learned": (
            controls_over_training.plot({"random labels": found.trained}),
            controls_over_training.CAPTION,
        ),
        "controls": (
            learned_controls.plot({LEARNED: found.learned.learned, WEIGHTS: found.learned.weights}),
            learned_controls.CAPTION,
        ),
    }


def _level(found: Transfer, task: str, rates: str) -> Level:
    """The level of a task, and how soon each arm is there."""
    arms = found.rates[task].of(rates)
    return Level(
        found.levels[task],
        {arm: of.steps_to(found.levels[task]) for arm, of in arms.items()},
        {
            arm: estimate(found.speed_up(task, arm, rates), "ratio")
            for arm in arms
            if arm != SCRATCH
        },
    )


def _tables(found: Transfer) -> Tables:
    """Every arm of both tasks, and what covariance keeps; alignment beside its controls."""
    return {
        **_arm_tables(found),
        "advantage": advantage_rows({"random labels": found.advantage}),
        "learned": learned_rows({"random labels": found.learned}),
        "bases": basis_rows(found.learned),
    }


def _arm_tables(found: Transfer) -> Tables:
    """A row for each arm of both tasks, at its best rate; and for each rate, if there are more."""
    rows: list[Row] = []
    of_rates: list[Row] = []
    for task, label in TASKS.items():
        at = found.rates[task]
        kept = {"covariance": _share_cell(at), "pretrained": "1"}
        for row in arm_rows(at.at_best, found.levels[task]):
            share = {"share of the pre-trained gain": kept.get(row["arm"], "")}
            rows.append({"downstream": label, **row, **share})
        if at.several:
            of_rates += [{"downstream": label, **row} for row in rate_rows(at, found.levels[task])]
    return {"arms": rows} | ({"rates": of_rates} if of_rates else {})


def _share_cell(at: AtRates) -> str:
    share, low, high = share_kept(at.gain("covariance"), at.gain("pretrained"))
    return f"{share:.2f} [{low:.2f}, {high:.2f}]" if np.isfinite(low) else "not determined"
