"""Which layers carry the gain: the first k or the last k layers taken over, for all k.

A reviewer asked for the last layers; the paper takes over the first. The head is never taken over.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from randlabels.figures import by_layers
from randlabels.studies import gains
from randlabels.studies.conv_net import TASKS, transfer_stages
from randlabels.studies.study import Claim, Results, Study

BODY = 5  # layers of conv_net below its head: 4 convolutions and a dense one
LEVEL = 0.4  # train accuracy; chance is .1
PLACE = "A reviewer's question about Section 2.4"

_SETS = tuple((f"first:{k}",) for k in range(1, BODY + 1)) + tuple(
    (f"last:{k}",) for k in range(1, BODY)
)
_CHANGES = {"init.arms": ("scratch", "pretrained"), "population.sweep": (("init.layers", _SETS),)}


def start(end: str, count: int) -> dict[str, Any]:
    """Networks that take over the first or last layers; all of them are written as the first."""
    end = "first" if count == BODY else end
    return {"arm": "pretrained", "layers": (f"{end}:{count}",)}


def _claims() -> tuple[Claim, ...]:
    found: list[Claim] = []
    for task, labels in TASKS.items():
        names = {f"{task}_first_{k}": f"Networks that take over the first {k} of {BODY} layers"
                 for k in range(1, BODY + 1)}  # fmt: skip
        names |= {f"{task}_last_{k}": f"Networks that take over the last {k} of {BODY} layers"
                  for k in range(1, BODY)}  # fmt: skip
        found += gains.faster_claims(names, labels, PLACE)
        found.append(
            Claim(
                f"{task}_first_not_last",
                f"With {labels}, the first 2 layers carry more of the gain than the last 2.",
                PLACE,
                f"{task}_first_not_last",
                0.0,
                "mean train accuracy over all steps, difference",
            )
        )
    return tuple(found)


def measure(results: Results) -> dict[str, np.ndarray]:
    """Gains of each set of layers, and the difference of the ends."""
    found = {}
    for task in TASKS:
        run = results.runs[task]
        for k in range(1, BODY + 1):
            found[f"{task}_first_{k}"] = gains.gain(run, start("first", k))
            if k < BODY:
                found[f"{task}_last_{k}"] = gains.gain(run, start("last", k))
        found[f"{task}_first_not_last"] = gains.gain(run, start("first", 2), start("last", 2))
    return found


def figures(results: Results) -> dict[str, tuple[Figure, str]]:
    """Gain against the number of layers taken over, from either end."""
    counts = list(range(1, BODY + 1))
    panels = {
        title: {
            f"the {end} k layers": gains.by_number(
                results.runs[task], [start(end, k) for k in counts]
            )
            for end in ("first", "last")
        }
        for task, title in TASKS.items()
    }
    caption = (
        "Gain in training speed when the first or the last k layers are taken over from networks "
        "that learned random labels, rescaled to their norm at initialisation. With k = "
        f"{BODY} the two are the same. Lines are means over seeds, bands lowest to highest."
    )
    numbers = dict.fromkeys(panels, counts)
    return {"layers": (by_layers.plot(panels, numbers, xlabel="layers taken over, k"), caption)}


def summary(results: Results) -> list[dict[str, Any]]:
    """One row for each task and set of layers."""
    found = []
    for task, title in TASKS.items():
        starts: dict[str, Any] = {"scratch": "scratch"}
        starts |= {f"first {k}": start("first", k) for k in range(1, BODY + 1)}
        starts |= {f"last {k}": start("last", k) for k in range(1, BODY)}
        for row in gains.rows(results.runs[task], starts, LEVEL):
            found.append({"downstream": title} | row)
    return found


STUDY = Study(
    name="layers",
    title="Which layers carry the gain of pre-training on random labels",
    paper_item="A reviewer's question about Figure 5",
    stages=transfer_stages(_CHANGES),
    claims=_claims(),
    measures=measure,
    figures=figures,
    summary=summary,
)
