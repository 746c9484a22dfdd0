"""The promise of `randlabels.eigen`: arrays in, arrays out, and nothing of the rest behind it."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from randlabels import eigen

ALLOWED = {"jax", "numpy", "scipy", "sklearn"}
MODULES = sorted(Path(eigen.__file__).parent.glob("*.py"))


def imported(path):
    """The modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_mathematics_imports_nothing_of_the_package_but_itself(path):
    for name in imported(path):
        package = name.partition(".")[0]
        own = name == "randlabels.eigen" or name.startswith("randlabels.eigen.")
        assert own or package in ALLOWED or package in sys.stdlib_module_names, name


def test_mathematics_is_importable_without_the_rest():
    script = (
        "import sys, randlabels.eigen\n"
        "print(*[name for name in sys.modules if name.split('.')[0] in"
        " ('randlabels', 'configs', 'flax', 'orbax', 'optax', 'ml_collections')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    found = set(done.stdout.split())
    assert "randlabels.eigen.alignment" in found
    outside = {name for name in found if not name.startswith("randlabels.eigen")}
    assert outside == {"randlabels"}


def test_every_name_of_the_package_is_there():
    assert all(callable(getattr(eigen, name)) for name in eigen.__all__)
    assert eigen.misalignment(np.eye(2), np.diag([1.0, 2.0])).dtype == np.float64
