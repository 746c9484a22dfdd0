"""Progress bars, and lines beside them: widgets in a notebook that can show such, else text."""

import importlib.util
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

SECONDS_IN_LOG = 10.0  # between two states of a bar in a log, which needs no animation


def bar(iterable: Iterable[Any] | None = None, **options: Any) -> tqdm:
    """A bar of tqdm, with its options.

    With disable=None it is shown only to somebody who watches: at a terminal, or as a widget.
    """
    if shows_widgets():
        from tqdm.notebook import tqdm as widget  # without ipywidgets its use would warn and fail

        watched = {"disable": bool(options.get("disable"))}
        return widget(iterable, **options | watched)
    at_terminal = sys.stderr.isatty()
    return tqdm(iterable, **{"mininterval": 0.1 if at_terminal else SECONDS_IN_LOG} | options)


def say(line: str) -> None:
    """Print a line on standard error, above the bars that are there."""
    tqdm.write(line, file=sys.stderr)


def shows_widgets() -> bool:
    """Whether this is the kernel of a notebook, and ipywidgets are installed."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    in_kernel = "IPKernelApp" in getattr(shell, "config", ())
    return in_kernel and importlib.util.find_spec("ipywidgets") is not None
