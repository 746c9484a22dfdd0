"""Figure 20 (and 4, left): eigenvalue maps of mlps that learned random labels of Gaussian data.

The paper leaves two things open, and the study runs both readings of each: whether the diagonal
holds variances or standard deviations, and whether the middle curve has layers 2048-256 (table of
Figure 20) or 256-256 (caption of Figure 4).
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.analysis.records import Alignment
from randlabels.figures import gaussian_maps
from randlabels.studies.study import Claim, Results, Stage, Study

LAYER = "dense1"
READINGS = {"standard_deviations": "standard deviations", "variances": "variances"}


def _kept(*epochs: int) -> dict[str, Any]:
    """Training to the last of these epochs, with a checkpoint and an evaluation at each."""
    return {
        "train.epochs": epochs[-1],
        "train.checkpoint_epochs": epochs,
        "train.eval_epochs": epochs,
    }


# What each setting changes at full and at short; ten dimensions are slow to memorise.
_LARGE: dict[str, dict[str, Any]] = {
    "left": {"optimizer.learning_rate": 0.02, **_kept(0, 20, 60, 200)},
    "middle": _kept(0, 20, 40, 60),
    "middle_256": _kept(0, 20, 40, 60),
    "right": {
        "data.upstream_size": 2_000,
        "model.widths": (256, 256),
        "optimizer.learning_rate": 0.01,
        **_kept(0, 20, 60, 400),
    },
}
# What it changes at every budget.
SETTINGS: dict[str, dict[str, Any]] = {
    "left": {"data.diagonal": tuple(round(1 + 0.1 * i, 1) for i in range(10))},
    "middle": {},
    "middle_256": {"model.widths": (256, 256)},
    "right": {},
}
TITLES = {
    "left": "left: d = 10, 2048-256, 10,000 inputs",
    "middle": "middle: d = 30, 2048-256, 10,000 inputs",
    "middle_256": "middle: d = 30, 256-256, 10,000 inputs",
    "right": "right: d = 30, 256-256, 2,000 inputs",
}
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


def _stage(setting: str, reading: str) -> str:
    return f"{setting}_{reading}"


def _claim(name: str, setting: str, high: float, low: float, words: str, reading: str) -> Claim:
    return Claim(
        name=f"{name}_{reading}",
        statement=f"With the diagonal read as {READINGS[reading]}, f {words} "
        f"({TITLES[setting]}): it is larger at {high} than at {low}.",
        place="Figure 20",
        measure=f"{name}_{reading}",
        threshold=0.0,
        unit=f"f({high}) minus f({low})",
    )


def entry_map(alignment: Alignment, step: int) -> tuple[np.ndarray, np.ndarray]:
    """(entries of the diagonal's order [d], f [network, d]), both by ascending eigenvalue."""
    records = alignment.single(LAYER, step)
    return records[0].eigenvalues[::-1], np.array([record.tau for record in records])[:, ::-1]


def measure(results: Results) -> dict[str, np.ndarray]:
    """f at one entry of the diagonal minus f at another, [network]."""
    found = {}
    for reading in READINGS:
        for name, setting, high, low, _ in SHAPES:
            stage = _stage(setting, reading)
            run = results.runs[stage]
            diagonal = np.array(run.config["data"]["diagonal"])
            _, tau = entry_map(results.alignments[stage], run.steps[-1])
            # Sample eigenvalues come in the order of the diagonal's entries.
            at = {entry: int(np.argmin(abs(diagonal - entry))) for entry in (high, low)}
            found[f"{name}_{reading}"] = tau[:, at[high]] - tau[:, at[low]]
    return found


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """f of every setting and reading beside the values read off the paper."""
    panels = {}
    for reading, words in READINGS.items():
        for setting, title in TITLES.items():
            stage = _stage(setting, reading)
            run = results.runs[stage]
            curves = {}
            for step in run.steps:
                _, tau = entry_map(results.alignments[stage], step)
                curves[step // run.steps_per_epoch] = tau
            diagonal = np.array(run.config["data"]["diagonal"])
            panels[f"{title}\n{words}"] = (diagonal, curves, PAPER[setting])
    caption = (
        "Eigenvalue map f of the first layer against the entries of the diagonal, by epoch: mean "
        "and range over networks. Crosses: values read off the paper's Figure 20. Upper row: the "
        "diagonal holds standard deviations; lower row: variances."
    )
    return {"fig20": (gaussian_maps.plot(panels, columns=len(TITLES)), caption)}


def summary(results: Results) -> list[dict[str, Any]]:
    """f at the paper's entries, ours beside the paper's."""
    rows = []
    for reading, words in READINGS.items():
        for setting, points in PAPER.items():
            run = results.runs[_stage(setting, reading)]
            diagonal = np.array(run.config["data"]["diagonal"])
            _, tau = entry_map(results.alignments[_stage(setting, reading)], run.steps[-1])
            for entry, paper in points.items():
                ours = tau[:, int(np.argmin(abs(diagonal - entry)))]
                rows.append(
                    {
                        "setting": TITLES[setting],
                        "diagonal holds": words,
                        "entry": entry,
                        "f, paper": f"{paper:.3f}",
                        "f, ours": f"{ours.mean():.3f} ± {ours.std(ddof=1):.3f}",
                        "networks": len(ours),
                    }
                )
    return rows


STUDY = Study(
    name="fig20",
    title="Eigenvalue maps of networks trained on Gaussian inputs with random labels",
    paper_item="Figures 4 (left) and 20",
    stages=tuple(
        Stage(
            _stage(setting, reading),
            "gaussian_mlp.fig20",
            analyze=(LAYER,),
            changes=changes | {"data.diagonal_holds": reading},
            at={
                "full": _LARGE[setting],
                "short": _LARGE[setting],
                "smoke": {"train.checkpoint_epochs": (0, 1, 2)},
            },
        )
        for reading in READINGS
        for setting, changes in SETTINGS.items()
    ),
    claims=tuple(_claim(*shape, reading) for reading in READINGS for shape in SHAPES),
    measures=measure,
    figures=figures,
    summary=summary,
)
