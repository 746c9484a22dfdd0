"""Things of the user's own, named by where Python finds them: my_package.my_module:Net."""

import difflib
import importlib
import re
from typing import Any

from randlabels.errors import InputError, in_one_line


def is_import_path(name: str) -> bool:
    """Whether a name looks like my_package.my_module:Net (cifar10:3.0.2 does not)."""
    return re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", name) is not None


def load(field: str, name: str) -> Any:
    """What a field names by an import path.

    Args:
        field: "model.name", for the sentences.
        name: for which `is_import_path` holds.

    Raises:
        InputError: if there is no such module or attribute, or importing the module fails.
    """
    given = f"config.{field} is {name!r}"
    path, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(path)
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{path}.".startswith(f"{missing}."):
            raise InputError(
                f"{given}, but Python finds no module {missing!r}; run where it can be imported, "
                f"or put its folder on PYTHONPATH."
            ) from error
        why = in_one_line(error)
        raise InputError(f"{given}, but importing {path!r} fails: {why}") from error
    if not hasattr(module, attribute):
        close = difflib.get_close_matches(attribute, vars(module), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise InputError(f"{given}, but {path!r} has no {attribute!r}{hint}")
    return getattr(module, attribute)
