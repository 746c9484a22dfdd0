"""Coverage of the intervals, and how often a study decides what is not so, by simulation.

    python -m benchmarks.coverage [--repetitions=20000]

Coverage should be .95, false verdicts of a study at most .05. Of values that are not normal the
mean's interval is not exact, which the table shows rather than hides; `percentiles` is a bootstrap
interval of the mean, for comparison.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np

from randlabels.studies.declare import Claim, Primary
from randlabels.studies.inference import (
    Interval,
    fieller_interval,
    median_interval,
    t_interval,
)
from randlabels.studies.verdicts import judge

SEEDS = (3, 4, 6, 8, 16)
BOUND = 1.0  # at which values are censored

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]

# {name: (draw, mean, median)}; ties: normal values rounded to halves of their deviation.
VALUES: dict[str, tuple[Draw, float, float]] = {
    "normal": (lambda rng, shape: rng.normal(0, 1, shape), 0.0, 0.0),
    "lognormal": (lambda rng, shape: rng.lognormal(0, 1, shape), float(np.exp(0.5)), 1.0),
    "ties": (lambda rng, shape: np.round(2 * rng.normal(0, 1, shape)) / 2, 0.0, 0.0),
}


def percentiles(values: np.ndarray) -> Interval:
    """The plain bootstrap interval of the mean."""
    index = np.random.default_rng(0).integers(0, len(values), (1000, len(values)))
    low, high = np.quantile(values[index].mean(1), [0.025, 0.975])
    return float(low), float(high)


def share_covered(intervals: Iterator[Interval | None], truth: float) -> float:
    """Share of intervals that hold the truth; one that does not exist holds nothing."""
    return float(
        np.mean([found is not None and found[0] <= truth <= found[1] for found in intervals])
    )


def coverages(seeds: int, repetitions: int) -> Iterator[tuple[str, str, float]]:
    """(interval, values, coverage) with so many seeds."""
    rng = np.random.default_rng(seeds)
    for name, (draw, mean, median) in VALUES.items():
        drawn = draw(rng, (repetitions, seeds))
        yield "mean, t", name, share_covered(map(t_interval, drawn), mean)
        yield "mean, percentiles", name, share_covered(map(percentiles, drawn[:2000]), mean)
        yield "median", name, share_covered((median_interval(v, v) for v in drawn), median)
        bounds = ((np.minimum(v, BOUND), np.where(v > BOUND, np.inf, v)) for v in drawn)
        yield "median, censored", name, share_covered((median_interval(*b) for b in bounds), median)
    ratios = np.log(VALUES["lognormal"][0](rng, (repetitions, seeds)))
    yield "geometric mean, t of logs", "lognormal", share_covered(map(t_interval, ratios), 0.0)
    whole = rng.normal(2.0, 1.0, (repetitions, seeds))
    part = 0.5 * whole + rng.normal(0.0, 0.5, whole.shape)
    yield "share, Fieller", "normal", share_covered(map(fieller_interval, part, whole), 0.5)


def _claim(name: str, mean: float) -> Claim[dict[str, np.ndarray]]:
    return Claim(name, "", "", "", of=lambda found: found[name], threshold=mean)


def false_verdicts(seeds: int, repetitions: int, draw: Draw, mean: float) -> float:
    """Share of studies of four primary claims, none of which holds, that decide any of them."""
    names = ("a", "b", "c", "d")
    claims = [_claim(name, mean) for name in names]
    primary = dict.fromkeys(names, Primary(0.1, "nothing"))
    rng = np.random.default_rng(seeds)
    false = 0
    for _ in range(repetitions):
        found = {name: draw(rng, (1, seeds))[0] for name in names}
        outcomes = {verdict.outcome for verdict in judge(claims, primary, found)}
        false += bool(outcomes & {"supported", "contradicted"})
    return false / repetitions


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=20_000)
    repetitions = parser.parse_args().repetitions
    print(f"{'interval':>26} {'values':>10}", *(f"n = {n:>2}" for n in SEEDS))
    columns = [{(i, v): c for i, v, c in coverages(n, repetitions)} for n in SEEDS]
    for key in columns[0]:
        print(f"{key[0]:>26} {key[1]:>10}", *(f"{column[key]:6.3f}" for column in columns))
    print("\nFalse verdicts of a study with four primary claims, none of which holds:")
    for name, (draw, mean, _) in VALUES.items():
        shares = (false_verdicts(n, repetitions // 5, draw, mean) for n in (6, 8, 16))
        print(
            f"{name:>26}", *(f"n = {n}: {s:.3f}" for n, s in zip((6, 8, 16), shares, strict=True))
        )


if __name__ == "__main__":
    main()
