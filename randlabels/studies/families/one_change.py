"""What the studies of open questions share: one thing is changed at a time, in simple_cnn.

Each setting has two runs: random labels upstream, then real labels downstream from scratch, from
the pre-trained first layer and from its covariance. One table shows misalignment, f and the gain.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.analysis.records import AlignmentRecord
from randlabels.figures import gain_bars, map_panels
from randlabels.studies import gains, measures
from randlabels.studies.network_groups import LAYER
from randlabels.studies.study import Claim, Results, Stage, Study

ARMS = {"pretrained": "pre-trained", "covariance": "covariance"}
PLACE = "Not in the paper"

QUESTIONS = "simple_cnn.questions"
# The usual recipe ends before some settings have learned their random labels; this one does not.
FEW_IMAGES = "simple_cnn.few_images"

_FEW_KEPT = {
    "train.checkpoint_epochs": (0, 1_600),
    "train.eval_epochs": (0, 400, 800, 1_200, 1_600),
}
# {recipe: what pre-training changes at each budget}
UPSTREAM_AT: dict[str, dict[str, dict[str, Any]]] = {
    QUESTIONS: {
        "full": {
            "train.checkpoint_epochs": (0, 20, 80, 200),
            "train.eval_epochs": tuple(range(0, 201, 20)),
        },
        "short": {"train.checkpoint_epochs": (0, 50), "train.eval_epochs": (0, 25, 50)},
        "smoke": {"train.checkpoint_epochs": (0, 2)},
    },
    FEW_IMAGES: {
        "full": _FEW_KEPT,
        "short": _FEW_KEPT,
        "smoke": {"train.checkpoint_epochs": (0, 2)},
    },
}

# What fine-tuning changes: fresh weights and filters are independent of the upstream networks.
FINE_TUNING = {
    "seed": 1000,
    "train.task": "downstream",
    "labels.kind": "real",
    "optimizer.learning_rate": 0.01,
}
# {recipe: its epochs at each budget}; longer for networks that are slow.
DOWNSTREAM_EPOCHS = {
    QUESTIONS: {"full": 45, "short": 8, "smoke": 2},
    FEW_IMAGES: {"full": 45, "short": 40, "smoke": 2},
}


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


def question(name: str, title: str, asked: str, settings: Sequence[Setting]) -> Study:
    """The study of a question.

    Args:
        name: of the study.
        title: for the page.
        asked: who asked what.
        settings: what is compared; each is compared with scratch in the same setting.
    """
    return Study(
        name=name,
        title=title,
        paper_item=asked,
        stages=tuple(stage for setting in settings for stage in _stages(setting)),
        claims=tuple(claim for setting in settings for claim in _claims(setting)),
        measures=lambda results: _measure(results, settings),
        figures=lambda results: _figures(results, settings),
        summary=lambda results: _summary(results, settings),
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


_CIFAR10 = Setting("cifar10", "CIFAR-10")


def downstream(
    name: str, reads: str, changes: Mapping[str, Any], setting: Setting = _CIFAR10
) -> Stage:
    """Fine-tuning on real labels, with these changes at every budget; see Stage and Setting."""
    at: dict[str, dict[str, Any]] = {
        budget: {"train.epochs": epochs}
        for budget, epochs in DOWNSTREAM_EPOCHS[setting.recipe].items()
    }
    if setting.classes is None:
        at["smoke"]["labels.num_classes"] = 5  # dead leaves
    else:
        changes = {"labels.num_classes": setting.classes, **changes}
    return Stage(
        name,
        setting.recipe,
        reads=reads,
        changes={**FINE_TUNING, **changes},
        at=at,
        optional=setting.optional,
    )


def _claims(setting: Setting) -> tuple[Claim, ...]:
    aligned = Claim(
        f"aligned_{setting.name}",
        f"{setting.label}: the first layer's weights are closer to the eigenvectors of the data "
        "than to any of 200 random orthonormal bases.",
        PLACE,
        f"aligned_{setting.name}",
        0.0,
        "smallest misalignment to a random basis minus misalignment to the data basis",
    )
    words = {
        f"{arm}_{setting.name}": f"{setting.label}: networks with a {label} first layer"
        for arm, label in {"pretrained": "pre-trained", "covariance": "redrawn"}.items()
    }
    return (aligned, *gains.faster_claims(words, "real labels", PLACE))


def _measure(results: Results, settings: Sequence[Setting]) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for setting in settings:
        names = [f"{what}_{setting.name}" for what in ("aligned", *ARMS)]
        if f"{setting.name}_real" not in results.runs:  # its data set is not prepared
            found |= {name: np.array([]) for name in names}
            continue
        upstream = results.runs[f"{setting.name}_upstream"]
        alignment = results.alignments[f"{setting.name}_upstream"]
        found[names[0]] = measures.misalignment_margin(alignment, LAYER, upstream.steps[-1])
        for arm in ARMS:
            found[f"{arm}_{setting.name}"] = gains.gain(results.runs[f"{setting.name}_real"], arm)
    return found


def _maps(results: Results, setting: Setting) -> map_panels.Maps:
    run = results.runs[f"{setting.name}_upstream"]
    alignment = results.alignments[f"{setting.name}_upstream"]
    start, end = (alignment.single(LAYER, step) for step in (run.steps[0], run.steps[-1]))
    taus = [np.array([record.tau for record in records]) for records in (start, end)]
    return end[0].eigenvalues, taus[0], taus[1]


def _figures(results: Results, settings: Sequence[Setting]) -> dict[str, tuple[Figure, str]]:
    done = [setting for setting in settings if f"{setting.name}_real" in results.runs]
    panels = {
        title: {
            setting.label: gains.bars(results.runs[f"{setting.name}_real"], {title: arm})[title]
            for setting in done
        }
        for arm, title in ARMS.items()
    }
    return {
        "gains": (
            gain_bars.plot(panels),
            "Gain in training speed on real labels over scratch in the same setting. Large points "
            "are means, lines 95% intervals, small points seeds.",
        ),
        "maps": (
            map_panels.plot({setting.label: _maps(results, setting) for setting in done}),
            "Eigenvalue map f of the first layer in each setting, before and after random labels "
            "were learned. Lines are all networks pooled, bands single networks.",
        ),
    }


def _summary(results: Results, settings: Sequence[Setting]) -> list[dict[str, Any]]:
    rows = []
    for setting in settings:
        if f"{setting.name}_real" not in results.runs:
            continue
        upstream, real = (results.runs[f"{setting.name}_{kind}"] for kind in ("upstream", "real"))
        alignment = results.alignments[f"{setting.name}_upstream"]
        values, _, end = _maps(results, setting)
        f = np.sqrt(np.square(end).mean(0))
        record = alignment.pooled(LAYER, upstream.steps[-1])
        rows.append(
            {"setting": setting.label}
            | _alignment_cells(record)
            | {
                "f at the smallest": f"{f[-1]:.3f}",
                "at its peak": f"{f.max():.3f} (at {values[f.argmax()]:.2g})",
                "at the largest": f"{f[0]:.3f}",
                "upstream accuracy": measures.mean_std(_last(upstream), 3),
                "gain, pre-trained": measures.mean_std(gains.gain(real, "pretrained"), 3),
                "gain, covariance": measures.mean_std(gains.gain(real, "covariance"), 3),
                "test accuracy, scratch": _test(real, "scratch"),
                "test accuracy, pre-trained": _test(real, "pretrained"),
            }
        )
    return rows


def _alignment_cells(record: AlignmentRecord) -> dict[str, str]:
    """Misalignments of all networks pooled."""
    if record.singular:
        return {"M(data)": "singular", "floor": "", "M(random bases)": ""}
    data, random, floor = record.misalignments
    return {
        "M(data)": f"{data:.2f}",
        "floor": f"{floor.mean():.2f}",
        "M(random bases)": f"{random.mean():.1f}",
    }


def _last(run: Any) -> np.ndarray:
    return measures.final(run, "scratch", "train_accuracy")


def _test(run: Any, arm: str) -> str:
    return measures.mean_std(measures.final(run, arm, "test_accuracy"), 3)
