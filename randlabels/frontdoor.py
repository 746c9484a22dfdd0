"""What the front doors share: parsing of flags, and one sentence for bad input."""

import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from absl import app, flags, logging
from tqdm import tqdm

from randlabels.errors import InputError


class _TqdmStream:
    """Sends log lines through tqdm, which would otherwise be glued to its progress bar."""

    def write(self, text: str) -> None:
        """Print a line above the bar."""
        if text.strip():
            tqdm.write(text.rstrip("\n"), file=sys.stderr)

    def flush(self) -> None:
        """Flush what was written."""
        sys.stderr.flush()

    def close(self) -> None:
        """absl closes its stream at exit; standard error stays open."""


def run(main: Callable[[], None]) -> NoReturn:
    """Parse the flags and call main(); bad input prints one sentence and exits with 1."""

    def guarded(arguments: Sequence[str]) -> None:
        if len(arguments) > 1:
            _fail(f"unexpected argument {arguments[1]!r}; flags start with --.")
        if flags.FLAGS["verbosity"].using_default_value:
            logging.set_verbosity(logging.WARNING)  # Orbax logs 40 lines for each checkpoint
        handler = logging.get_absl_handler()
        handler.python_handler.stream = _TqdmStream()
        try:
            main()
        except InputError as error:
            _fail(str(error))

    app.run(guarded, flags_parser=_parse)


def _parse(arguments: Sequence[str]) -> list[str]:
    """Parse flags; an unknown or ill-typed one is one sentence, not a traceback."""
    try:
        return flags.FLAGS(arguments)
    except flags.Error as error:
        _fail(str(error))
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # from ml_collections
        message = str(error.args[0] if error.args else error).strip("'\"")
        _fail("config override: " + " ".join(message.split()))
    except FileNotFoundError as error:
        _fail(f"the config file {error.filename} does not exist.")


def _fail(sentence: str) -> NoReturn:
    print(f"randlabels: {sentence}", file=sys.stderr)
    sys.exit(1)
