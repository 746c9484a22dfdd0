"""The commands in the docstrings of examples/, run as they stand in a copy of the checkout."""

import ast
import re
import shutil

import pytest
from carrying import ROOT, run

from randlabels import load_run
from randlabels.analysis.records import load_alignment

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

pytestmark = pytest.mark.slow


def commands(path):
    text = ast.get_docstring(ast.parse(path.read_text())).replace("\\\n", " ")
    return re.findall(r"^python -m .*$", text, re.MULTILINE)


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_the_commands_of_an_example(path, tmp_path):
    for name in ("randlabels", "configs", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name)
    found = commands(path)
    assert len(found) >= 2
    for command in found:
        run(command, tmp_path)
    folder = tmp_path / "runs" / path.stem
    assert load_run(folder).status["state"] == "done"
    assert len(load_alignment(folder).data) >= 2
