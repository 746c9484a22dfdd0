"""Gains over scratch, as they are claimed and drawn in studies of many ways to start.

The gain of a start is the mean over all steps of its train accuracy minus that of scratch, of the
same seed (`Curves.gain_over`).
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np

from randlabels.studies.declare import Claim, Primary
from randlabels.studies.readouts.cells import interval
from randlabels.studies.readouts.curves import known

Reading = TypeVar("Reading")

# Of a gain in mean train accuracy: nobody would start networks in another way for less.
FASTER = Primary(0.01, "networks that learn no faster than from scratch, or slower")
SLOWER = Primary(0.01, "networks that learn as fast as from scratch, or faster")
AHEAD = Primary(0.01, "networks that learn no faster than those with which they are compared")


def faster_claim(
    name: str, words: str, labels: str, place: str, of: Callable[[Reading], np.ndarray]
) -> Claim[Reading]:
    """The claim that networks learn faster than from scratch.

    Args:
        name: of the claim.
        words: how the networks start, as the subject of a sentence.
        labels: what they learn.
        place: of the claim in the paper.
        of: their gains over scratch, [seed].
    """
    return Claim(
        name=name,
        statement=f"{words} learn {labels} faster than from scratch.",
        place=place,
        unit="mean train accuracy over all steps, minus that of scratch",
        of=of,
    )


def bars(
    gains: Mapping[str, np.ndarray],
) -> dict[str, tuple[np.ndarray, tuple[float, float]]]:
    """{label: (gains [seed], 95% interval of their mean)}, for figures, of seeds that have one."""
    return {label: (known(values), interval(values)) for label, values in gains.items()}
