"""The phase diagram: where does pre-training on random labels help, and what goes with it?

Number of random classes x initial scale x learning rates up and down x length of pre-training, each
with and without rescaling. The paper shows one point where transfer is positive and one where it is
negative. For each cell: growth of the kernels, active share of the units at the switch, scale of
the logits at the switch; their rank correlations with the gain say what negative transfer goes
with, though not what causes it.
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from randlabels.analysis.activity import activity_of_run
from randlabels.analysis.layer_inputs import read_variables
from randlabels.analysis.outputs import logit_scale
from randlabels.figures import phase_maps
from randlabels.models.naming import HEAD, get_layer, layer_paths
from randlabels.runs import Run, load_run
from randlabels.studies import measures
from randlabels.studies.study import Claim, Results, Stage, Study

CLASSES = (5, 50)
SCALES = {"lecun": 1.0, "he": 2**0.5}
RATES_DOWN = (0.003, 0.01)
ARMS = {"pretrained": "rescaled", "pretrained_unscaled": "not rescaled"}
PLACE = "Section 3, Figure 1; the diagram is not in the paper"

# What is compared with the gain: {column: words}.
EXPLANATIONS = {
    "kernel growth": "kernel norms have grown more in pre-training",
    "inactive share": "a larger share of units is inactive at the switch",
    "logit scale": "logits are larger at the switch",
}


_FULL_IMAGES = {"data.upstream_size": 10_000, "data.downstream_size": 10_000}
_SHORT_IMAGES = {
    "data.upstream_size": 1_000,
    "data.downstream_size": 1_000,
    "data.test_size": 500,
}


def _rates(*rates: float) -> tuple[str, tuple[float, ...]]:
    return "optimizer.learning_rate", rates


# What pre-training changes at each budget: it keeps checkpoints of three lengths.
_UPSTREAM_AT: dict[str, dict[str, Any]] = {
    "full": {
        **_FULL_IMAGES,
        "train.checkpoint_epochs": (0, 10, 30, 100),
        "train.eval_epochs": tuple(range(0, 101, 10)),
        "population.seeds": 3,
        "population.sweep": (_rates(0.003, 0.01, 0.03),),
    },
    "short": {
        **_SHORT_IMAGES,
        "train.checkpoint_epochs": (0, 10, 30, 80),
        "train.eval_epochs": (0, 20, 40, 60, 80),
        "population.seeds": 3,
        "population.sweep": (_rates(0.003, 0.015),),
    },
    "smoke": {
        "train.epochs": 3,
        "train.checkpoint_epochs": (0, 1, 2, 3),
        "population.sweep": (_rates(0.003, 0.015),),
    },
}

# What fine-tuning changes at each budget. It has as many seeds as there are upstream networks:
# network k starts from network k, whatever its learning rate was, at each of the kept steps.
_DOWNSTREAM_AT: dict[str, dict[str, Any]] = {
    "full": {
        **_FULL_IMAGES,
        "labels.num_classes": 10,
        "train.epochs": 12,
        "population.seeds": 9,
        "population.sweep": (("init.step", (390, 1170, 3900)), _rates(*RATES_DOWN)),
    },
    "short": {
        **_SHORT_IMAGES,
        "labels.num_classes": 10,
        "train.epochs": 10,
        "population.seeds": 6,
        "population.sweep": (("init.step", (150, 450, 1200)), _rates(*RATES_DOWN)),
    },
    "smoke": {
        "population.seeds": 4,
        "population.sweep": (("init.step", (2, 4, 6)), _rates(*RATES_DOWN)),
    },
}
_FINE_TUNING = {
    "seed": 1000,  # fresh weights are independent of the upstream networks
    "train.task": "downstream",
    "labels.kind": "real",
    "init.arms": ("scratch", *ARMS),
}


def _stages() -> tuple[Stage, ...]:
    found: list[Stage] = []
    for classes in CLASSES:
        for name, scale in SCALES.items():
            up, down = f"up_{classes}_{name}", f"real_{classes}_{name}"
            changes = {"model.init_scale": scale}
            upstream = changes | {"labels.num_classes": classes}
            found.append(Stage(up, "conv_net", changes=upstream, at=_UPSTREAM_AT))
            found.append(
                Stage(
                    down,
                    "conv_net",
                    reads=up,
                    changes=_FINE_TUNING | changes,
                    at=_DOWNSTREAM_AT,
                )
            )
    return tuple(found)


@functools.cache
def cells(workdir: Path, classes: int, scale: str) -> list[dict[str, Any]]:
    """One row for each network that was taken over: its cell, its gain and what goes with it."""
    up, down = load_run(workdir / f"up_{classes}_{scale}"), load_run(
        workdir / f"real_{classes}_{scale}"
    )  # fmt: skip
    activity = activity_of_run(down, 0)
    inactive = {layer: 1 - found.share.mean(-1) for layer, found in activity.items()}
    scales = logit_scale(down, 0)
    growth = {step: kernel_growth(up, step) for step in up.steps}
    rows = []
    for row in down.networks:
        if row.arm == "scratch":
            continue
        baseline = next(
            r.network
            for r in down.networks
            if r.arm == "scratch" and (r.seed, r.learning_rate) == (row.seed, row.learning_rate)
        )
        k = row.network
        source, step = row.taken_over
        rows.append(
            {
                "classes": classes,
                "scale": scale,
                "rate up": up.networks[source].learning_rate,
                "rate down": row.learning_rate,
                "epochs": step // up.steps_per_epoch,
                "arm": row.arm,
                "seed": up.networks[source].seed,
                "gain": _gain(down, k, baseline),
                "kernel growth": float(growth[step][source]),
                "inactive share": float(np.mean([share[k] for share in inactive.values()])),
                "inactive by layer": {layer: float(s[k]) for layer, s in inactive.items()},
                "logit scale": float(scales[k] / scales[baseline]),
            }
        )
    return rows


def kernel_growth(run: Run, step: int) -> np.ndarray:
    """Norm over norm at the start, geometric mean over the layers below the head, [network]."""
    start, now = (read_variables(run, s)["params"] for s in (0, step))
    logs = []
    for path in layer_paths(now):
        if path != HEAD:
            kernels = [get_layer(tree, path)["kernel"].astype(np.float64) for tree in (now, start)]
            norms = [np.sqrt(np.square(k).reshape(len(k), -1).sum(1)) for k in kernels]
            logs.append(np.log(norms[0] / norms[1]))
    return np.exp(np.mean(logs, axis=0))


def _gain(run: Run, network: int, baseline: int) -> float:
    steps, values = measures.all_curves(run)
    difference = values[network] - values[baseline]
    return float(np.trapezoid(difference, steps) / (steps[-1] - steps[0]))


def _all_cells(results: Results) -> list[dict[str, Any]]:
    return [row for n in CLASSES for scale in SCALES for row in cells(results.workdir, n, scale)]


def _mean_by_seed(rows: list[dict[str, Any]]) -> np.ndarray:
    seeds = sorted({row["seed"] for row in rows})
    return np.array([np.mean([r["gain"] for r in rows if r["seed"] == s]) for s in seeds])


def measure(results: Results) -> dict[str, np.ndarray]:
    """One value for each upstream seed, all cells of which it has part."""
    rows = _all_cells(results)
    rescaled = [row for row in rows if row["arm"] == "pretrained"]
    lengths = sorted({row["epochs"] for row in rows})
    found = {
        "helps": _mean_by_seed(rescaled),
        "rescaling": _mean_by_seed(rescaled)
        - _mean_by_seed([row for row in rows if row["arm"] == "pretrained_unscaled"]),
        "few_classes": _mean_by_seed([r for r in rescaled if r["classes"] == CLASSES[0]])
        - _mean_by_seed([r for r in rescaled if r["classes"] == CLASSES[-1]]),
        "short": _mean_by_seed([r for r in rescaled if r["epochs"] == lengths[0]])
        - _mean_by_seed([r for r in rescaled if r["epochs"] == lengths[-1]]),
    }
    seeds = sorted({row["seed"] for row in rows})
    for column in EXPLANATIONS:
        found[column.replace(" ", "_")] = np.array(
            [_correlation([r for r in rescaled if r["seed"] == s], column) for s in seeds]
        )
    return found


def _correlation(rows: list[dict[str, Any]], column: str) -> float:
    """Minus the rank correlation with the gain: above 0 where more of it goes with less gain."""
    return -float(stats.spearmanr([r["gain"] for r in rows], [r[column] for r in rows]).statistic)


_DIFFERENCE = "mean train accuracy over all steps and cells, difference"
CLAIMS = (
    Claim("helps", "Over all cells, pre-training with rescaling is faster than scratch.", PLACE,
          "helps", 0.0, "mean gain over scratch"),
    Claim("rescaling", "Rescaling to the initial norms helps.", PLACE, "rescaling", 0.0,
          _DIFFERENCE),
    Claim("few_classes", f"Pre-training gains more with {CLASSES[0]} random classes than with "
          f"{CLASSES[-1]}.", PLACE, "few_classes", 0.0, _DIFFERENCE),
    Claim("short", "The shortest pre-training gains more than the longest.", PLACE, "short", 0.0,
          _DIFFERENCE),
    *(
        Claim(column.replace(" ", "_"), f"Networks gain less where {words}.", PLACE,
              column.replace(" ", "_"), 0.0, "minus the rank correlation with the gain over cells")
        for column, words in EXPLANATIONS.items()
    ),
)  # fmt: skip


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """Maps of the gain: length against learning rate up, for all other settings."""
    rows = _all_cells(results)
    rates = sorted({row["rate up"] for row in rows})
    lengths = sorted({row["epochs"] for row in rows})
    panels = {}
    for arm, words in ARMS.items():
        for down in RATES_DOWN:
            for classes in CLASSES:
                for scale in SCALES:
                    chosen = {"arm": arm, "rate down": down, "classes": classes, "scale": scale}
                    panels[f"{words}, down {down:g}", f"{classes} classes, {scale}"] = np.array(
                        [
                            [_mean(rows, chosen | {"rate up": up, "epochs": n}) for n in lengths]
                            for up in rates
                        ]
                    )
    figure = phase_maps.plot(
        panels,
        ("rate up", [f"{rate:g}" for rate in rates]),
        ("epochs of pre-training", [str(n) for n in lengths]),
        "gain over scratch",
    )
    caption = (
        "Gain over scratch in mean train accuracy on real labels, after pre-training on random "
        "labels: mean over seeds for each cell. Blue is positive, red negative transfer."
    )
    return {"phase": (figure, caption)}


def _mean(rows: list[dict[str, Any]], chosen: dict[str, Any], column: str = "gain") -> float:
    values = [r[column] for r in rows if all(r[k] == v for k, v in chosen.items())]
    return float(np.mean(values)) if values else np.nan


def summary(results: Results) -> list[dict[str, Any]]:
    """One row for each cell: gain with and without rescaling, and what goes with it."""
    rows = _all_cells(results)
    keys = ("classes", "scale", "rate up", "rate down", "epochs")
    found = []
    for cell in dict.fromkeys(tuple(row[key] for key in keys) for row in rows):
        chosen = dict(zip(keys, cell, strict=True))
        table: dict[str, Any] = dict(chosen)
        for arm, words in ARMS.items():
            of_arm = chosen | {"arm": arm}
            table[f"gain, {words}"] = f"{_mean(rows, of_arm):+.3f}"
            table[f"logit scale, {words}"] = f"{_mean(rows, of_arm, 'logit scale'):.2f}"
        rescaled = [
            r for r in rows if r["arm"] == "pretrained" and all(r[k] == chosen[k] for k in keys)
        ]
        table["kernel growth"] = f"{np.mean([r['kernel growth'] for r in rescaled]):.2f}"
        for layer in rescaled[0]["inactive by layer"]:
            active = 1 - np.mean([r["inactive by layer"][layer] for r in rescaled])
            table[f"active, {layer}"] = f"{active:.2f}"
        found.append(table)
    return found


STUDY = Study(
    name="phase",
    title="Where pre-training on random labels helps",
    paper_item="Figure 1, as a phase diagram",
    stages=_stages(),
    claims=CLAIMS,
    measures=measure,
    figures=figures,
    summary=summary,
)
