"""Times of several contestants in turn, so that what the machine does meanwhile meets all alike."""

import statistics
import time
from collections.abc import Callable, Mapping

Contestant = Callable[[], None]  # does its work once, to the end


def interleaved(contestants: Mapping[str, Contestant], repeats: int) -> dict[str, list[float]]:
    """Seconds of each repeat of each contestant: one after the other, again and again."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        run()  # warm
    for _ in range(repeats):
        for name, run in contestants.items():
            begun = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - begun)
    return taken


def median_ratio(above: list[float], below: list[float]) -> float:
    """Median over repeats of the ratio of what was measured next to each other."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))
