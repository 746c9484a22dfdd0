"""Do the tests notice errors? Errors planted by cosmic-ray, one at a time, and the tests of each.

pip install -e ".[test,mutation]"
python -m pytest --cov=randlabels --cov-context=test --cov-report= --junitxml=junit.xml
python -m benchmarks.mutants --count=200 --seed=0

Every error is planted in a copy of the checkout, where the tests then run that execute its
statement, those named like its module and the quickest first, up to the first that fails or the
--seconds that they took when nothing was planted. An error in a line that no test executes counts
as not found. Results are appended to --output, a line each, and a second call goes on where the
first was stopped; what was not found is printed with its diff.
"""

import argparse
import ast
import difflib
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from xml.etree import ElementTree

from tqdm import tqdm

ROOT = Path(__file__).parents[1]
PLACES = ("training", "transfer", "eigen", "data", "analysis", "studies")
ELSEWHERE = ("page.py", "documents.py", "recipe_text.py", "paper", "questions")  # no measures
OPERATORS = {
    *("AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr"),
    *("ReplaceOrWithAnd", "ReplaceBreakWithContinue", "ReplaceContinueWithBreak"),
    *("ExceptionReplacer", "NumberReplacer", "RemoveDecorator", "ZeroIterationForLoop"),
    *(f"ReplaceBinaryOperator_{pair}" for pair in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul")),
    *(f"ReplaceBinaryOperator_{pair}" for pair in ("FloorDiv_Mul", "Mod_Mul", "Pow_Mul")),
    *(f"ReplaceBinaryOperator_{pair}" for pair in ("BitOr_BitAnd", "BitAnd_BitOr")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Lt_Gt", "Gt_Lt", "LtE_GtE", "GtE_LtE")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Eq_NotEq", "NotEq_Eq", "Is_IsNot")),
    *(f"ReplaceUnaryOperator_{name}" for name in ("Delete_USub", "Delete_Invert", "Delete_Not")),
}
TESTS = "not slow"
# What one error leaves as it was need not be compiled again for the next.
CONFTEST = """
import jax

def pytest_configure():
    jax.config.update("jax_compilation_cache_dir", "compiled")
"""
LIMIT = 900.0  # seconds for the tests of one error; what they have not found by then, they have not
HANG = 120  # seconds for one test, which then fails


def main() -> None:
    """Plant as many errors as asked and print how many the tests found."""
    parser = argparse.ArgumentParser(description="Planted errors, and whether tests find them.")
    parser.add_argument("--count", default=200, type=int)
    parser.add_argument("--seed", default=0, type=int, help="of the sample")
    parser.add_argument("--processes", default=2, type=int)
    parser.add_argument("--coverage", default=".coverage", help="made by pytest --cov")
    parser.add_argument("--times", default="junit.xml", help="made by pytest --junitxml")
    parser.add_argument("--seconds", default=200.0, type=float, help="of tests for one error")
    parser.add_argument("--output", default="runs/mutants.jsonl")
    asked = parser.parse_args()
    output = Path(asked.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    known = [json.loads(line) for line in output.open()] if output.exists() else []
    sample = sampled(asked.count, asked.seed)
    waiting = [m for m in sample if m not in [result["mutant"] for result in known]]
    tests = TestsOfLines(asked.coverage, asked.times, asked.seconds)
    with output.open("a") as file, tqdm(total=len(sample), initial=len(known)) as progress:
        for result in _results(waiting, tests, asked.processes):
            file.write(json.dumps(result) + "\n")
            file.flush()
            known.append(result)
            progress.update()
    _print(known)


def sampled(count: int, seed: int) -> list[list[Any]]:
    """Errors [file, operator, its occurrence in the file], each at a place of its own."""
    at: dict[tuple[str, int, int], list[list[Any]]] = {}
    for place in PLACES:
        for path in sorted((ROOT / "randlabels" / place).rglob("*.py")):
            if not set(path.relative_to(ROOT / "randlabels" / place).parts) & {*ELSEWHERE}:
                for position, mutant in _mutants_of(path):
                    at.setdefault((str(path), *position), []).append(mutant)
    rng = random.Random(seed)
    return [rng.choice(at[place]) for place in rng.sample(sorted(at), min(count, len(at)))]


def _mutants_of(path: Path) -> Iterator[tuple[tuple[int, int], list[Any]]]:
    """(line, column) and error, of all that can be planted in a file and would be run."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator

    source = path.read_text()
    nodes, types = list(ast_nodes(get_ast(source))), _annotations(source)
    for name in sorted(OPERATORS):
        occurrence = 0
        operator = get_operator(f"core/{name}")()
        for node in nodes:
            for start, _ in operator.mutation_positions(node):
                if not any(first <= start <= last for first, last in types):
                    yield start, [str(path.relative_to(ROOT)), name, occurrence]
                occurrence += 1


def _annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where types stand: nothing runs them."""
    nodes = [
        annotation
        for node in ast.walk(ast.parse(source))
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if annotation is not None
    ]
    return [((n.lineno, n.col_offset), (n.end_lineno or 0, n.end_col_offset or 0)) for n in nodes]


class TestsOfLines:
    """Which tests execute a statement, by a coverage file with contexts."""

    def __init__(self, path: str, times: str, seconds: float) -> None:
        """Read the files; `seconds` is how long the tests of one statement may take.

        Raises:
            SystemExit: if one is missing.
        """
        from coverage import CoverageData

        for name in (path, times):
            if not Path(name).is_file():
                raise SystemExit(f"there is no {name}; see --help for the command that makes it.")
        self._data = CoverageData(path)
        self._data.read()
        self._seconds, self._times = seconds, Counter[str]()
        for test in ElementTree.parse(times).iter("testcase"):
            place = test.attrib["classname"].replace(".", "/")
            self._times[f"{place}.py::{test.attrib['name']}"] = float(test.attrib["time"])

    def __call__(self, path: str, line: int) -> list[str]:
        """Test functions and their parameters, in the order in which they are to run."""
        (name,) = [f for f in self._data.measured_files() if f.endswith(path)] or [""]
        by_line = self._data.contexts_by_lineno(name) if name else {}
        of_statement = self._tests(by_line, _statement(ROOT / path, line))
        # What an import runs, as a constant or a decorator, is seen by whatever runs the module.
        found = of_statement or self._tests(by_line, range(max(by_line, default=0) + 1))
        likely = f"test_{Path(path).stem}.py"
        ordered = sorted(found, key=lambda test: (likely not in test, self._times[test], test))
        until = itertools.accumulate(self._times[test] for test in ordered)
        return [
            t for t, s in zip(ordered, until, strict=True) if t == ordered[0] or s < self._seconds
        ]

    def _tests(self, by_line: dict[int, list[str]], lines: range) -> set[str]:
        """Tests that execute one of the lines, or that share a file with one whose fixtures do."""
        contexts = {context for number in lines for context in by_line.get(number, [])}
        parts = [context.rpartition("|") for context in contexts if context]  # "" is of imports
        files = {test.partition("::")[0] for test, _, phase in parts if phase == "setup"}
        sharing = {test for test in self._times if test.partition("::")[0] in files}
        return {test for test, _, _ in parts} | sharing


def _statement(path: Path, line: int) -> range:
    """The lines of the innermost statement around a line; of a compound one, without its body."""
    found = range(line, line + 1)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0):
            body = getattr(node, "body", None)
            end = body[0].lineno - 1 if body else node.end_lineno
            found = range(node.lineno, max(end or 0, node.lineno) + 1)
    return found


def _results(
    mutants: Sequence[list[Any]], tests: TestsOfLines, processes: int
) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(processes):
            trees.put(_copy(Path(folder) / str(number)))

        def result(mutant: list[Any]) -> dict[str, Any]:
            tree = trees.get()
            try:
                return tried(mutant, tree, tests)
            finally:
                trees.put(tree)

        with ThreadPoolExecutor(processes) as pool:
            for done in as_completed([pool.submit(result, mutant) for mutant in mutants]):
                yield done.result()


def _copy(folder: Path) -> Path:
    """A copy of what git tracks, as it is now."""
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    for name in filter(None, names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    (folder / "conftest.py").write_text(CONFTEST)
    return folder


def tried(mutant: list[Any], tree: Path, tests: TestsOfLines) -> dict[str, Any]:
    """Plant an error in a copy of the checkout, run the tests of its line, and take it out."""
    from cosmic_ray.mutating import use_mutation
    from cosmic_ray.plugins import get_operator

    path, name, occurrence = mutant
    with use_mutation(tree / path, get_operator(f"core/{name}")(), occurrence) as (old, new):
        line, diff = _difference(old, new)
        chosen, started = tests(path, line), time.monotonic()
        found = _fails(tree, chosen) if chosen else "not executed"
    seconds = round(time.monotonic() - started, 1)
    return {
        "mutant": mutant,
        "line": line,
        "diff": diff,
        "tests": len(chosen),
        "found": found,
        "seconds": seconds,
    }


def _difference(old: str, new: str) -> tuple[int, list[str]]:
    """The number of the first line that differs, and what stands there in both."""
    sides = old.splitlines(), new.splitlines()
    changes = difflib.SequenceMatcher(None, *sides, autojunk=False).get_opcodes()
    _, start, end, new_start, new_end = next(c for c in changes if c[0] != "equal")
    before, after = sides[0][start:end], sides[1][new_start:new_end]
    return start + 1, [" ".join(line.strip() for line in side) for side in (before, after)]


def _fails(tree: Path, tests: Sequence[str]) -> str:
    """The first test that fails, or "" if none does within LIMIT."""
    command = [sys.executable, "-m", "pytest", "-x", "-o", "addopts=", "-m", TESTS, "-q"]
    options = [f"--timeout={HANG}", "-p", "no:cacheprovider", "--tb=no"]
    arguments = tree / "tests-to-run"
    arguments.write_text("\n".join(tests))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tree), os.environ.get("PYTHONPATH", "")]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        ended = subprocess.run(
            [*command, *options, f"@{arguments.name}"],
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
    except subprocess.TimeoutExpired:
        shutil.rmtree(tree / "compiled", ignore_errors=True)  # one program may be half written
        return ""
    if ended.returncode == 0:
        return ""
    if "ERROR: not found" in ended.stderr + ended.stdout:
        raise RuntimeError(f"tests have changed since their coverage was taken: {ended.stderr}")
    failed = [line for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].split(" - ")[0] if failed else f"exit status {ended.returncode}"


def _print(results: Sequence[dict[str, Any]]) -> None:
    missed = [result for result in results if result["found"] in ("", "not executed")]
    for result in missed:
        path, name, _ = result["mutant"]
        print(f"{path}:{result['line']} {name} {result['found']}")
        print("  - {}\n  + {}".format(*result["diff"]))
    total, lost = _by_place(results), _by_place(missed)
    for name in sorted(total):
        print(f"{name:10} {total[name] - lost[name]:4} of {total[name]:4} found")
    print(f"{'all':10} {total.total() - lost.total():4} of {total.total():4} found")


def _by_place(results: Sequence[dict[str, Any]]) -> Counter[str]:
    return Counter(result["mutant"][0].split("/")[1] for result in results)


if __name__ == "__main__":
    main()
