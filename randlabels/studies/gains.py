"""What studies of many ways to start share: gains over scratch, their rows and intervals.

The gain of a start is the mean over all steps of its train accuracy minus that of scratch, of the
same seed. Unlike steps to a level it exists for every curve.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from randlabels.runs import Run
from randlabels.studies import measures
from randlabels.studies.measures import Start
from randlabels.studies.study import Claim
from randlabels.studies.verdicts import bootstrap_mean

UNIT = "mean train accuracy over all steps, minus that of scratch"


def gain(run: Run, start: Start, baseline: Start = "scratch") -> np.ndarray:
    """Mean train accuracy over all steps of a start minus that of another, [seed]."""
    return measures.area_between(run, start, baseline)


def interval(values: np.ndarray) -> tuple[float, float]:
    """95% interval of the mean over seeds; NaN with fewer than 2."""
    return bootstrap_mean(values) if len(values) > 1 else (np.nan, np.nan)


def bars(run: Run, starts: Mapping[str, Start]) -> dict[str, tuple[np.ndarray, Any]]:
    """{label: (gains [seed], interval)} for figures.gain_bars."""
    found = {label: gain(run, start) for label, start in starts.items()}
    return {label: (values, interval(values)) for label, values in found.items()}


def rows(
    run: Run, starts: Mapping[str, Start], level: float, baseline: Start = "scratch"
) -> list[dict[str, Any]]:
    """One row of a table for each start: gain, steps to a train accuracy, accuracies at the end."""
    table = []
    for label, start in starts.items():
        values = gain(run, start, baseline)
        low, high = interval(values)
        steps, curves = measures.curve(run, start)
        tested = "test_accuracy" in run.metrics[-1]
        table.append(
            {
                "start": label,
                "gain over scratch": f"{values.mean():+.3f} [{low:+.3f}, {high:+.3f}]",
                f"steps to {level:.0%}": measures.mean_std(
                    measures.steps_to(steps, curves, level), 0
                ),
                "train accuracy at the end": measures.mean_std(curves[:, -1], 3),
                "test accuracy at the end": measures.mean_std(
                    measures.final(run, start, "test_accuracy"), 3
                )
                if tested
                else "",
            }
        )
    return table


def faster_claims(
    names: Mapping[str, str], task: str, place: str, seeds_needed: int = 3
) -> tuple[Claim, ...]:
    """Claims that starts learn faster than scratch; the measure has the name of the claim.

    Args:
        names: {name of the claim: how the networks start, in words}.
        task: what they learn, in words.
        place: of the claim in the paper.
        seeds_needed: for a verdict.
    """
    return tuple(
        Claim(name, f"{words} learn {task} faster than from scratch.", place, name, 0.0, UNIT,
              seeds_needed)
        for name, words in names.items()
    )  # fmt: skip


def first_layers(count: int) -> tuple[str, ...]:
    """How the network table writes init.layers of the first `count` layers."""
    return (f"first:{count}",)


def by_number(run: Run, starts: Sequence[Start]) -> np.ndarray:
    """Gains [start, seed], for figures.by_layers."""
    return np.stack([gain(run, start) for start in starts])
