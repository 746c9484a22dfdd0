"""Figure 6: layers initialised from data alone, one after the other, for several curves f.

The paper sets the first 1, 2, 3, ... layers to weights whose covariance is aligned with that of
their inputs, with hand-chosen f, and finds that more layers make training faster. Here every choice
is tried: f, the scale of the weights, eigenvectors of the centred or uncentred moment, two
architectures, and small initial weights as in `table1`. The curve of the claims is the closed form
of linear networks with its peak at the root mean square of sigma; it was chosen before these runs.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import by_layers
from randlabels.runs import Run
from randlabels.studies import gains
from randlabels.studies.conv_net import SMALL, TASKS, downstream
from randlabels.studies.gains import first_layers
from randlabels.studies.study import Claim, Results, Stage, Study

CURVES = {
    "closed_form:0.5": "f_t, peak at .5",
    "closed_form:1": "f_t, peak at 1",
    "closed_form:2": "f_t, peak at 2",
    "whitening:0.01": "whitening",
    "power:0": "isotropic",
    "power:0.5": "root of sigma",
}
CLAIMED = "closed_form:1"
DEPTHS = (1, 2, 3, 4)
VGG_DEPTHS = (1, 4, 8, 13)
VGG_CURVES = ("closed_form:1", "whitening:0.01", "power:0.5")
PLACE = "Section 2.5, Figure 6"
LEVEL = 0.4  # train accuracy of real labels; chance is .1

VARIANTS = {
    "real": "conv_net, real labels",
    "random": "conv_net, random labels",
    "small_real": "small initial weights, real",
    "small_random": "small initial weights, random",
    "uncentred": "uncentred moment",
    "weight_norm": "He's weight norm",
    "vgg16": "vgg16, real labels",
}


def _changes(depths: tuple[int, ...], curves: tuple[str, ...], **more: Any) -> dict[str, Any]:
    layers = tuple((f"first:{depth}",) for depth in depths)
    return {
        "init.arms": ("scratch", "aligned"),
        "population.sweep": (("init.layers", layers), ("init.curve", curves)),
        **{name.replace("__", "."): value for name, value in more.items()},
    }


# Seeds of their own: that this setting is a good one was seen on the seeds of `table1`.
_SMALL = SMALL | {"seed": 5000}

STAGES = (
    downstream("real", "real", _changes(DEPTHS, tuple(CURVES))),
    downstream("random", "random", _changes(DEPTHS, VGG_CURVES)),
    downstream("small_real", "real", _changes(DEPTHS, tuple(CURVES)) | _SMALL),
    downstream("small_random", "random", _changes(DEPTHS, VGG_CURVES) | _SMALL),
    downstream("uncentred", "real", _changes(DEPTHS, tuple(CURVES), init__centered=False)),
    downstream("weight_norm", "real", _changes(DEPTHS, tuple(CURVES), init__match="weight_norm")),
    Stage(
        "vgg16",
        "vgg16",
        changes=_changes(VGG_DEPTHS, VGG_CURVES)
        | {"train.task": "downstream", "labels.kind": "real", "optimizer.learning_rate": 0.01},
        at={
            "full": {"labels.num_classes": 10, "train.epochs": 12},
            "short": {
                "data.upstream_size": 0,
                "data.downstream_size": 1_000,
                "data.test_size": 500,
                "labels.num_classes": 10,
                "train.epochs": 16,
                "train.batch_size": 64,
                "train.eval_epochs": tuple(range(0, 17, 2)),
                "init.images": 400,
            },
            "smoke": {
                "data.upstream_size": 0,
                "data.test_size": 16,
                "model.width": 0.03,
                "init.images": 16,
            },
        },
    ),
)


def start(curve: str, depth: int) -> dict[str, Any]:
    """Networks whose first layers are set with a curve."""
    return {"arm": "aligned", "curve": curve, "layers": first_layers(depth)}


def _claims() -> tuple[Claim, ...]:
    found: list[Claim] = []
    for task, labels in TASKS.items():
        found += gains.faster_claims(
            {
                f"{task}_{depth}": f"Networks with {depth} layer{'s' * (depth > 1)} set from data "
                "alone"
                for depth in DEPTHS
            },
            labels,
            PLACE,
        )
        for depth in DEPTHS[1:]:
            found.append(
                Claim(
                    f"{task}_{depth}_over_{depth - 1}",
                    f"With {labels}, setting {depth} layers from data alone is faster than setting "
                    f"{depth - 1}.",
                    PLACE,
                    f"{task}_{depth}_over_{depth - 1}",
                    0.0,
                    "mean train accuracy over all steps, difference",
                )
            )
    return tuple(found)


def measure(results: Results) -> dict[str, np.ndarray]:
    """Gains of the claimed curve over scratch, and of each further layer."""
    found = {}
    for task in TASKS:
        run = results.runs[task]
        for depth in DEPTHS:
            found[f"{task}_{depth}"] = gains.gain(run, start(CLAIMED, depth))
            if depth > 1:
                found[f"{task}_{depth}_over_{depth - 1}"] = gains.gain(
                    run, start(CLAIMED, depth), start(CLAIMED, depth - 1)
                )
    return found


def tried(run: Run) -> tuple[list[str], list[int]]:
    """The curves and numbers of layers that a run has, in the order of its table."""
    rows = [row for row in run.networks if row.arm == "aligned"]
    curves = list(dict.fromkeys(row.curve for row in rows if row.curve))
    depths = dict.fromkeys(int(row.layers[0].removeprefix("first:")) for row in rows if row.layers)
    return curves, list(depths)


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """Gain against the number of layers, for each setting and curve."""
    panels, numbers = {}, {}
    for stage, title in VARIANTS.items():
        run = results.runs[stage]
        curves, depths = tried(run)
        numbers[title] = depths
        panels[title] = {
            CURVES[curve]: gains.by_number(run, [start(curve, depth) for depth in depths])
            for curve in curves
        }
    caption = (
        "Gain in training speed against the number of layers that are set from data alone, for "
        "each curve f. Outputs have the variance that fresh weights give, but for the panel with "
        "He's weight norm; eigenvectors are those of the covariance, but for the uncentred panel. "
        "Lines are means over seeds, bands go from the lowest to the highest seed."
    )
    return {"fig6": (by_layers.plot(panels, numbers), caption)}


def summary(results: Results) -> list[dict[str, Any]]:
    """One row for each setting and curve: the gain with each number of layers."""
    found = []
    for stage, title in VARIANTS.items():
        run = results.runs[stage]
        curves, depths = tried(run)
        for curve in curves:
            values = gains.by_number(run, [start(curve, depth) for depth in depths])
            cells = {
                f"{depth} layer{'s' * (depth > 1)}": f"{of.mean():+.3f} ± {of.std(ddof=1):.3f}"
                for depth, of in zip(depths, values, strict=True)
            }
            found.append({"setting": title, "f": CURVES[curve]} | cells)
    return found


STUDY = Study(
    name="fig6",
    title="Layers initialised from data alone",
    paper_item="Figure 6",
    stages=STAGES,
    claims=_claims(),
    measures=measure,
    figures=figures,
    summary=summary,
)
