"""`python -m benchmarks.soak --help`."""

import argparse
import os
import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from tqdm import tqdm

from benchmarks.soak.runs import train_references
from benchmarks.soak.trials import TRIALS, Trial


def main() -> None:
    """Train references, try as long as asked, print counts and each failure as its commands."""
    parser = argparse.ArgumentParser(description="A soak test of training and analysis.")
    parser.add_argument("--minutes", default=1.0, type=float)
    parser.add_argument("--what", default=",".join(TRIALS), help="kinds of trials, with commas")
    parser.add_argument("--seed", default=0, type=int, help="of all trials")
    parser.add_argument("--first", default=0, type=int, help="number of the first trial")
    parser.add_argument("--keep", default="", help="folder for workdirs of failures")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    _share_programs(folder)
    try:
        counts = _try(asked, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for (kind, wrong), count in sorted(counts.items()):
        print(f"{kind:8} {count:6} {wrong or 'as they must be'}")
    raise SystemExit(any(wrong for _, wrong in counts))


def _share_programs(folder: Path) -> None:
    """Children compile each program once. They read this when they start their backend."""
    import jax  # only configured here; starting a backend would make forks unsafe

    os.environ["JAX_PLATFORMS"] = "cpu"
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_compilation_cache_dir", str(folder / "programs"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _try(asked: argparse.Namespace, folder: Path) -> Counter[tuple[str, str]]:
    import randlabels.training.loop  # noqa: F401  (for all children)

    references = train_references(folder)
    kinds = asked.what.split(",")
    counts: Counter[tuple[str, str]] = Counter()
    end, number = time.monotonic() + 60 * asked.minutes, asked.first
    with tqdm(total=round(60 * asked.minutes), unit="s") as progress:
        while time.monotonic() < end:
            kind = kinds[number % len(kinds)]
            rng = random.Random(f"{asked.seed} {kind} {number}")
            trial = Trial(rng, references, folder / f"trial-{number}")
            wrong = TRIALS[kind](trial)
            counts[kind, wrong.split(":")[0]] += 1
            if wrong:
                lines = "\n  ".join([f"{kind}, trial {number}: {wrong}", *trial.story])
                tqdm.write(lines)
                if asked.keep and trial.workdir.exists():
                    kept = Path(asked.keep) / f"{trial.workdir.name}-seed-{asked.seed}"
                    shutil.copytree(trial.workdir, kept, dirs_exist_ok=True)
            shutil.rmtree(trial.workdir, ignore_errors=True)
            number += 1
            progress.n = min(progress.total, round(progress.total - end + time.monotonic()))
            progress.refresh()
    return counts


if __name__ == "__main__":
    main()
