"""Studies: declared in `paper` (items of the paper) and in `questions` (what it leaves open).

A study is one module with a `STUDY`, found by its folder, or given by its import path
("my_package.my_study").
"""

import importlib
import pkgutil
import re
from typing import Any

from randlabels.config_rules import nearest
from randlabels.errors import InputError, in_one_line
from randlabels.studies import paper, questions
from randlabels.studies.declare import Study


def study_modules() -> dict[str, str]:
    """{name of a study: its module}, items of the paper first, each folder in natural order."""
    return {
        name: f"{folder.__name__}.{name}"
        for folder in (paper, questions)
        for name in sorted((m.name for m in pkgutil.iter_modules(folder.__path__)), key=_natural)
    }


def find_study(name: str) -> Study[Any]:
    """The study of a name, or in the module of an import path.

    Raises:
        InputError: if there is none.
    """
    modules = study_modules()
    path = modules.get(name, name)
    if name not in modules and "." not in name:
        raise InputError(f"study {name!r} is unknown; {nearest(name, tuple(modules))}")
    try:
        study = getattr(importlib.import_module(path), "STUDY", None)
    except Exception as error:  # whatever the module raises
        raise InputError(f"study {name!r} cannot be imported ({in_one_line(error)}).") from error
    if not isinstance(study, Study):
        raise InputError(f"study {name!r}: the module {path} has no STUDY.")
    return study


def all_studies() -> dict[str, Study[Any]]:
    """{name: study} of all studies of this package."""
    return {name: find_study(name) for name in study_modules()}


def _natural(name: str) -> list[tuple[str, int]]:
    return [(text, int(number or 0)) for text, number in re.findall(r"([^\d]+)(\d*)", name)]
