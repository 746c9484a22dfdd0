"""What the studies of open questions share: one thing is changed at a time, in simple_cnn.

Each setting has two runs: random labels upstream, then real labels downstream from scratch, from
the pre-trained first layer and from its covariance. One table shows misalignment, f and the gain.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from randlabels.analysis.advantage import Advantage, learned_advantage
from randlabels.analysis.records import AlignmentRecord
from randlabels.configs.base import SAME, Columns
from randlabels.figures import gain_bars, map_panels
from randlabels.studies.declare import Claim, Drawings, Results, Stage, Study, Tables, Tuning
from randlabels.studies.readouts.alignment import LAYER, read_maps
from randlabels.studies.readouts.cells import last_accuracies, mean_std
from randlabels.studies.readouts.curves import Curves, arm_curves, read_curves
from randlabels.studies.readouts.gains import FASTER, bars, faster_claim
from randlabels.studies.readouts.learned import advantage_rows, specific_claim

ARMS = {"pretrained": "pre-trained", "covariance": "covariance"}
PLACE = "Not in the paper"

QUESTIONS = "simple_cnn.questions"
# The usual recipe ends before some settings have learned their random labels; this one does not.
FEW_IMAGES = "simple_cnn.few_images"
NOTHING_CHOSEN = Tuning()
FEW_IMAGES_ADDED = Tuning(
    seeds=(0, 1, 2, 3, 1000, 1001, 1002, 1003),
    note="Settings with few images were added once networks of these seeds had been seen not to "
    "learn their random labels in the usual recipe.",
)

_FEW_EVALUATED = (0, 400, 800, 1_200, 1_600)
# {recipe: what pre-training changes}
UPSTREAM_AT: dict[str, Columns] = {
    QUESTIONS: {
        "train.checkpoint_epochs": ((0, 20, 80, 200), (0, 50), (0, 2)),
        "train.eval_epochs": (tuple(range(0, 201, 20)), (0, 25, 50), SAME),
    },
    FEW_IMAGES: {
        "train.checkpoint_epochs": ((0, 1_600), (0, 1_600), (0, 2)),
        "train.eval_epochs": (_FEW_EVALUATED, _FEW_EVALUATED, SAME),
    },
}

# What fine-tuning changes: fresh weights and filters are independent of the upstream networks.
FINE_TUNING = {
    "seed": 1000,
    "train.task": "downstream",
    "labels.kind": "real",
    "optimizer.learning_rate": 0.01,
}
# {recipe: its epochs at full, short and smoke}; longer for networks that are slow.
DOWNSTREAM_EPOCHS = {QUESTIONS: (45, 8, 2), FEW_IMAGES: (45, 40, 2)}


@dataclasses.dataclass(frozen=True)
class Setting:
    """One thing that is changed.

    Attributes:
        name: of the setting's stages and claims.
        label: for people.
        changes: {"group.field": value} in both runs.
        upstream: changes in pre-training alone.
        classes: real ones; None for CIFAR-10, which smoke replaces by dead leaves.
        recipe: in configs/, of both runs.
        optional: left out where its data set is not prepared.
    """

    name: str
    label: str
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    upstream: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    classes: int | None = None
    recipe: str = QUESTIONS
    optional: bool = False


CIFAR10 = Setting("cifar10", "CIFAR-10")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the two runs of a setting left behind.

    Attributes:
        label: of the setting.
        advantage: of the data's eigenvectors over controls, in what the first layer learned.
        pooled: the alignment of all networks then.
        f_before: eigenvalue maps of single networks at initialisation, [network, d].
        f_after: likewise once random labels were learned.
        upstream: curves of learning random labels.
        real: {arm: curves of learning real labels}.
    """

    label: str
    advantage: Advantage
    pooled: AlignmentRecord
    f_before: np.ndarray
    f_after: np.ndarray
    upstream: Curves
    real: Mapping[str, Curves]

    def gain(self, arm: str) -> np.ndarray:
        """Mean train accuracy on real labels above scratch, [seed]."""
        return self.real[arm].gain_over(self.real["scratch"])


Outcomes = Mapping[str, Outcome]  # by setting; without those whose data set is not prepared


def question(
    name: str, title: str, asked: str, settings: Sequence[Setting], primary: Sequence[str],
    tuning: Tuning = NOTHING_CHOSEN,
) -> Study[Outcomes]:  # fmt: skip
    """The study of a question.

    Args:
        name: of the study.
        title: for the page.
        asked: who asked what.
        settings: what is compared; each is compared with scratch in the same setting.
        primary: the settings whose gain answers it.
        tuning: on what settings were chosen.
    """
    return Study(
        name=name,
        title=title,
        paper_item=asked,
        stages=tuple(stage for setting in settings for stage in _stages(setting)),
        read=partial(_read, settings=settings),
        claims=tuple(claim for setting in settings for claim in _claims(setting)),
        figures=_figures,
        tables=_tables,
        primary={f"pretrained_{name}": FASTER for name in primary},
        tuning=tuning,
    )


def _stages(setting: Setting) -> tuple[Stage, Stage]:
    up, down = f"{setting.name}_upstream", f"{setting.name}_real"
    return (
        Stage(
            up,
            setting.recipe,
            analyze=(LAYER,),
            changes={**setting.changes, **setting.upstream},
            at=UPSTREAM_AT[setting.recipe],
            optional=setting.optional,
        ),
        downstream(
            down,
            up,
            {"init.arms": ("scratch", *ARMS), "init.layers": (LAYER,), **setting.changes},
            setting,
        ),
    )


def downstream(
    name: str, reads: str, changes: Mapping[str, Any], setting: Setting = CIFAR10
) -> Stage:
    """Fine-tuning on real labels, with these changes at every budget; see Stage and Setting."""
    classes = setting.classes or SAME
    return Stage(
        name,
        setting.recipe,
        reads=reads,
        changes={**FINE_TUNING, **changes},
        at={
            "labels.num_classes": (classes, classes, setting.classes or 5),  # dead leaves
            "train.epochs": DOWNSTREAM_EPOCHS[setting.recipe],
        },
        optional=setting.optional,
    )


def _read(results: Results, settings: Sequence[Setting]) -> Outcomes:
    return {
        setting.name: _outcome(results, setting)
        for setting in settings
        if f"{setting.name}_real" in results.runs
    }


def _outcome(results: Results, setting: Setting) -> Outcome:
    run = results.runs[f"{setting.name}_upstream"]
    alignment = results.alignments[f"{setting.name}_upstream"]
    first, last = run.steps[0], run.steps[-1]
    return Outcome(
        label=setting.label,
        advantage=learned_advantage(run, last),
        pooled=alignment.pooled(LAYER, last),
        f_before=read_maps(alignment, first),
        f_after=read_maps(alignment, last),
        upstream=read_curves(run, "scratch"),
        real=arm_curves(results.runs[f"{setting.name}_real"], ("scratch", *ARMS)),
    )


def _claims(setting: Setting) -> Iterator[Claim[Outcomes]]:
    """Of a setting whose data set is not prepared there are no values."""
    name, missing = setting.name, np.array([])

    def gain(arm: str) -> Callable[[Outcomes], np.ndarray]:
        return lambda found: found[name].gain(arm) if name in found else missing

    def advantage(found: Outcomes) -> Advantage | None:
        return found[name].advantage if name in found else None

    yield specific_claim(f"aligned_{name}", f"the first layer ({setting.label})", PLACE, advantage)
    for arm, layer in {"pretrained": "pre-trained", "covariance": "redrawn"}.items():
        words = f"{setting.label}: networks with a {layer} first layer"
        yield faster_claim(f"{arm}_{name}", words, "real labels", PLACE, gain(arm))


def _figures(found: Outcomes) -> Drawings:
    """Gains and eigenvalue maps of all settings."""
    panels = {
        title: bars({of.label: of.gain(arm) for of in found.values()})
        for arm, title in ARMS.items()
    }
    maps = {of.label: (of.pooled.eigenvalues, of.f_before, of.f_after) for of in found.values()}
    return {
        "gains": (
            gain_bars.plot(panels),
            "Gain in training speed on real labels over scratch in the same setting. Large points "
            "are means, lines 95% intervals, small points seeds.",
        ),
        "maps": (
            map_panels.plot(maps),
            "Eigenvalue map f of the first layer in each setting, before and after random labels "
            "were learned. Lines are all networks pooled, bands single networks.",
        ),
    }


def _tables(found: Outcomes) -> Tables:
    """One row for each setting: alignment, f, gains, accuracies; advantage over each control."""
    return {
        "advantage": advantage_rows({of.label: of.advantage for of in found.values()}),
        "settings": [
            {"setting": of.label}
            | alignment_cells(of.pooled)
            | _map_cells(of)
            | {"upstream accuracy": last_accuracies(of.upstream)["train accuracy at the end"]}
            | {f"gain, {title}": mean_std(of.gain(arm), 3) for arm, title in ARMS.items()}
            | {
                f"test accuracy, {title}": last_accuracies(of.real[arm])["test accuracy at the end"]
                for arm, title in {"scratch": "scratch", "pretrained": "pre-trained"}.items()
            }
            for of in found.values()
        ],
    }


def alignment_cells(record: AlignmentRecord) -> dict[str, str]:
    """Misalignments of all networks pooled, or that their covariance cannot be inverted."""
    data, floor, random = record.misalignment_data, record.floor, record.misalignment_random
    if data is None or floor is None or random is None:
        return {"M(data)": "singular", "floor": "", "M(random bases)": ""}
    return {
        "M(data)": f"{data:.2f}",
        "floor": f"{np.mean(floor):.2f}",
        "M(random bases)": f"{np.mean(random):.1f}",
    }


def _map_cells(of: Outcome) -> dict[str, str]:
    """f of all networks pooled, at three eigenvalues."""
    f = np.sqrt(np.square(of.f_after).mean(axis=0))
    return {
        "f at the smallest": f"{f[-1]:.3f}",
        "at its peak": f"{f.max():.3f} (at {of.pooled.eigenvalues[f.argmax()]:.2g})",
        "at the largest": f"{f[0]:.3f}",
    }
