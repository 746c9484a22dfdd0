"""The best learning rate of each arm, on tuning seeds: `python -m benchmarks.best_rates --help`.

Trains the stages of a study at short with the seeds as they are written, which are the tuning
seeds, and few networks an arm; then shows, for every stage that sweeps the learning rate, the rate
of the highest mean train accuracy for each way to start. What it shows is
declared in the study. A stage that is complete is not trained again. `--rates` searches a wider
grid than the study's, so that a best rate at its edge is seen.

    python -m benchmarks.best_rates --study=fig1 --workdir=runs/tuning/fig1 --data_dir=datasets
"""

import argparse
from pathlib import Path

import ml_collections

from randlabels.studies import find_study
from randlabels.studies.readouts.rates import best_rates
from randlabels.studies.resolve import stage_configs
from randlabels.training.loop import train

RATE = "optimizer.learning_rate"


def _widen(config: ml_collections.ConfigDict, rates: list[float]) -> None:
    """Sweep these rates where the stage sweeps rates."""
    sweep = config.population.sweep
    config.population.sweep = tuple(
        (field, tuple(rates) if field == RATE and rates else values) for field, values in sweep
    )


def main() -> None:
    """Train and show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", required=True)
    parser.add_argument("--workdir", required=True, type=Path)
    parser.add_argument("--data_dir", default="")
    parser.add_argument("--networks", default=2, type=int, help="of each arm and rate")
    parser.add_argument("--rates", nargs="*", default=[], type=float, help="instead of its own")
    asked = parser.parse_args()
    study = find_study(asked.study)
    configs = stage_configs(study, asked.workdir, "short", asked.data_dir, seeds="tuning")
    rated = {stage for stage, config in configs.items() if RATE in dict(config.population.sweep)}
    read = {stage.reads for stage in study.stages if stage.name in rated}
    for stage, config in configs.items():
        if stage not in rated | read:
            continue
        config.population.seeds = asked.networks
        _widen(config, asked.rates)
        run = train(config, asked.workdir / stage)
        if stage in rated:
            for start, rate in best_rates(run).items():
                print(f"{stage}, {start}: {rate:g}")


if __name__ == "__main__":
    main()
