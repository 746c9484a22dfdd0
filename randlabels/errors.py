"""The one exception for bad input: front doors print its sentence, anything else is a bug."""

import os
import sysconfig
import traceback
from pathlib import Path
from typing import Any

_NOT_THE_USERS = (
    f"{Path(__file__).parent}{os.sep}",
    *(f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "purelib", "platlib")),
    "<",  # importlib's own
)
_SHOWN = 80  # characters of a value in a sentence


class InputError(ValueError):
    """What the user gave cannot be used; the message says what is wrong and what to do.

    Attributes:
        of_all: whether all processes of a run raise it, where there are several.
    """

    of_all = False


class AllLostError(RuntimeError):
    """All networks of a run diverged or died; front doors print the sentence and exit with 3."""


def in_one_line(error: BaseException) -> str:
    """The type, message and place of an exception of the user's own code, for a sentence."""
    said = " ".join(f"{type(error).__name__}: {error}".split())
    frames = traceback.extract_tb(error.__traceback__)
    users = [frame for frame in frames if not frame.filename.startswith(_NOT_THE_USERS)]
    return f"{said} ({Path(users[-1].filename).name}, line {users[-1].lineno})" if users else said


def shown(value: Any) -> str:
    """A value as a sentence shows it, in one line and cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python prints no whole number of more than 4300 digits
        return "a number of thousands of digits"
    return cut(text)


def cut(text: str) -> str:
    """A text as a sentence shows it: its beginning, where it is long."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
