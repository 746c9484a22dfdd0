"""How fast it is, beside PyTorch, NumPy and scikit-learn: `python -m benchmarks.run --help`.

Every part runs in a process of its own, contestants in turn within it, so that ratios hold although
times of a shared machine do not. PyTorch and scikit-learn are measured where they are installed:
`pip install -e '.[benchmarks]'`.

    python -m benchmarks.run                            everything but the studies; half an hour
    python -m benchmarks.run --only=vgg16,eigen --devices=2 --json=speed.json
    python -m benchmarks.run --only=study --study=fig1 --budget=short --data_dir=datasets
"""

import argparse
import concurrent.futures
import json
import multiprocessing
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.speed import eigen, stream, study, training
from benchmarks.speed.cases import CASES
from benchmarks.speed.report import table

PARTS = (*CASES, "eigen", "start", "stream", "study")
Row = dict[str, Any]


def main() -> None:
    """Measure what is asked for, print each table as it is done, and write all rows as JSON."""
    asked = _arguments()
    rows: dict[str, list[Row]] = {}
    for part in asked.only:
        rows[part] = _apart(_work(part, asked))
        print(f"\n{part}\n{table(rows[part])}", flush=True)
    if asked.json:
        about = {"machine": platform.machine(), "python": platform.python_version()}
        asked.json.write_text(json.dumps({**about, "parts": rows}, indent=1) + "\n")


def _work(part: str, asked: argparse.Namespace) -> tuple[Callable[..., list[Row]], tuple[Any, ...]]:
    """A function and its arguments, both of which can be sent to a process."""
    if part in CASES:
        fields = dict(change.split("=", 1) for change in asked.set)
        return training.measure, (part, asked.populations, asked.devices, asked.repeats, fields)
    if part == "eigen":
        return eigen.measure, (asked.repeats,)
    if part == "start":
        return study.start, ()
    if part == "stream":
        return stream.measure, (asked.pictures, asked.data_dir)
    return study.measure, (asked.study, asked.budget, asked.data_dir)


def _apart(work: tuple[Callable[..., list[Row]], tuple[Any, ...]]) -> list[Row]:
    """Do the work in a fresh process: what it compiled, and its memory, are its own."""
    function, arguments = work
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        return pool.submit(function, *arguments).result()


def _parts(text: str) -> list[str]:
    parts = text.split(",")
    for part in parts:
        if part not in PARTS:
            raise argparse.ArgumentTypeError(f"{part!r} is none of {', '.join(PARTS)}")
    return parts


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parts = [part for part in PARTS if part != "study"]
    parser.add_argument("--only", type=_parts, default=parts, help=f"of {', '.join(PARTS)}")
    parser.add_argument("--populations", type=_numbers, default=(), help="networks, as in 1,8")
    parser.add_argument("--devices", type=int, default=1, help="virtual devices of a CPU")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--set", nargs="*", default=[], help="fields, as in model.conv=lax")
    parser.add_argument("--study", default="quickstart")
    parser.add_argument("--budget", default="short")
    parser.add_argument("--pictures", type=int, default=100_000, help="that stream reads")
    parser.add_argument("--data_dir", default="")
    parser.add_argument("--json", type=Path, help="file for all rows")
    return parser.parse_args()


if __name__ == "__main__":
    main()
