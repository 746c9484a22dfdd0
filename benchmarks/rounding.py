"""What rounding does to a study's verdicts: `python -m benchmarks.rounding --help`.

Runs a study several times, each with another order of the examples within every batch. The batches
are the same, so that exact arithmetic would give the same networks; only sums over examples are
taken in another order, and training makes the difference in the last place grow. Then shows the
outcome and the range of the effect of each primary claim over all runs. Threads are set from
outside, as in

    taskset -c 0 python -m benchmarks.rounding --study=quickstart --workdir=runs/rounding --runs=10

A run that is complete is not repeated.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import numpy as np

from randlabels.data import splits
from randlabels.studies import find_study
from randlabels.studies.run import run_study
from randlabels.studies.verdicts import Verdict

Order = Callable[[int, int, int, int], np.ndarray]


def in_another_order(order: Order, run: int) -> Order:
    """The batches of `order`, [step, example], with the examples of each reordered.

    Args:
        order: `splits.epoch_order`.
        run: the seed of the reordering; 0 leaves the order as it is.
    """

    def reordered(seed: int, epoch: int, size: int, batch: int) -> np.ndarray:
        batches = order(seed, epoch, size, batch)
        if run == 0:
            return batches
        return np.random.default_rng((run, seed, epoch)).permuted(batches, axis=1)

    return reordered


def show(runs: Sequence[Sequence[Verdict]]) -> None:
    """One line for each primary claim: outcomes over runs, range of effects and of adjusted p."""
    for verdicts in zip(*runs, strict=True):
        if verdicts[0].outcome == "estimate":
            continue
        outcomes = Counter(verdict.outcome for verdict in verdicts)
        values = [verdict.value for verdict in verdicts if verdict.value is not None]
        adjusted = [verdict.p_adjusted for verdict in verdicts if verdict.p_adjusted is not None]
        ranges = (
            f"{name} {min(of):.4g} to {max(of):.4g}"
            for name, of in (("effect", values), ("adjusted p", adjusted))
            if of
        )
        counted = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
        print(f"{verdicts[0].name}: {counted}; {'; '.join(ranges)}")


def main() -> None:
    """Run and show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", default="quickstart")
    parser.add_argument("--budget", default="full", choices=["smoke", "short", "full"])
    parser.add_argument("--workdir", required=True, type=Path)
    parser.add_argument("--data_dir", default="")
    parser.add_argument("--runs", default=10, type=int, help="the first in the usual order")
    asked = parser.parse_args()
    study, order, found = find_study(asked.study), splits.epoch_order, []
    for run in range(asked.runs):
        with mock.patch.object(splits, "epoch_order", in_another_order(order, run)):
            workdir = asked.workdir / str(run)
            found.append(run_study(study, workdir, asked.budget, asked.data_dir).verdicts)
    show(found)


if __name__ == "__main__":
    main()
