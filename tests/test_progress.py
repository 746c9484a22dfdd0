"""Progress bars and the line about the machine: said once, and widgets only where they can be."""

import importlib.util
import sys
import types
import warnings

import pytest
from tqdm import tqdm

from randlabels import backend, progress


@pytest.fixture
def kernel(monkeypatch):
    """As in the kernel of a notebook; a function: whether ipywidgets are installed."""
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)

    def installed(widgets):
        find = importlib.util.find_spec

        def found(name, *rest):
            return widgets or None if name == "ipywidgets" else find(name, *rest)

        monkeypatch.setattr(importlib.util, "find_spec", found)

    return installed


def test_outside_of_notebooks_bars_are_text(capsys):
    assert not progress.shows_widgets()
    with progress.bar(total=2, desc="outside") as bar:
        bar.update(2)
    assert "outside: 100%" in capsys.readouterr().err
    assert list(progress.bar([1, 2], disable=None)) == [1, 2]
    assert capsys.readouterr().err == ""  # nobody watches


def test_a_notebook_without_widgets_has_text_and_no_warning(kernel, capsys):
    kernel(widgets=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(progress.bar([1, 2], desc="text")) == [1, 2]
    assert "text: 100%" in capsys.readouterr().err


def test_a_notebook_with_widgets_shows_one_even_where_a_terminal_alone_would(kernel, monkeypatch):
    kernel(widgets=True)
    asked = []

    class Widget(tqdm):
        def __init__(self, iterable=None, **options):
            asked.append(options)
            super().__init__(iterable, **options)

    monkeypatch.setitem(sys.modules, "tqdm.notebook", types.SimpleNamespace(tqdm=Widget))
    assert list(progress.bar([1, 2], desc="reading", disable=None)) == [1, 2]
    assert asked == [{"desc": "reading", "disable": False}]


def test_the_machine_is_named_once_but_in_every_plan(monkeypatch, capsys):
    monkeypatch.setattr(backend, "_machine_named", [])
    backend.say_machine("Analysis of base")
    backend.say_machine("Analysis of base")
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"Analysis of base, on {backend.machine()}."
    backend.say_machine("fine", "4 networks")
    assert capsys.readouterr().err == f"fine, on {backend.machine()}: 4 networks.\n"


def test_a_plan_names_it_too(monkeypatch, capsys):
    monkeypatch.setattr(backend, "_machine_named", [])
    backend.say_machine("fine", "4 networks")
    backend.say_machine("Analysis of fine")
    assert capsys.readouterr().err.count(" x ") == 1
