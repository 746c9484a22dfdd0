"""What the front doors share: parsing of flags, and one sentence for bad input."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from absl import app, flags, logging
from ml_collections import config_flags
from tqdm import tqdm

from randlabels import interrupts
from randlabels.errors import AllLostError, InputError

ALL_LOST = 3  # exit code where nothing was wrong with the input, and yet no network is left


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
    """Parse the flags and call main().

    Bad input prints one sentence and exits with 1; so does a run of which all networks are lost,
    with ALL_LOST.
    """

    def guarded(arguments: Sequence[str]) -> None:
        if len(arguments) > 1:
            _fail(f"unexpected argument {arguments[1]!r}; flags start with --.")
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)  # Orbax logs 40 lines for each checkpoint
        handler = logging.get_absl_handler()
        handler.python_handler.stream = _TqdmStream()
        try:
            main()
        except InputError as error:  # a write to a dead disk may hang for ever: nobody waits for it
            interrupts.leave(f"randlabels: {error}", 1)
        except AllLostError as error:
            _fail(str(error), ALL_LOST)
        except interrupts.Interrupted as interrupted:
            interrupts.leave(f"randlabels: {interrupted}", interrupted.code)

    interrupts.install()
    app.run(guarded, flags_parser=_parse)


def _parse(arguments: Sequence[str]) -> list[str]:
    """Parse flags; an unknown or ill-typed one is one sentence, not a traceback."""
    if "config" in flags.FLAGS:
        arguments = _with_paths(arguments)
    try:
        rest = flags.FLAGS(arguments)
        if "config" in flags.FLAGS:
            _ = flags.FLAGS.config.keys  # a missing file is noticed at the first use only
    except OSError:
        _fail(f"no file {config_flags.get_config_filename(flags.FLAGS['config'])} for --config.")
    except Exception as error:  # whatever a config file raises, and what ml_collections makes of it
        _fail(_unknown_field(arguments) or _last_line(error))
    return rest


def _with_paths(arguments: Sequence[str]) -> list[str]:
    """The arguments with --config=NAME, of a config that comes with the package, made a path."""
    found = list(arguments)
    for place, argument in enumerate(found[1:], start=1):
        flag, equals, value = argument.partition("=")
        if flag not in ("--config", "-config"):
            continue
        if equals:
            found[place] = f"{flag}={_path(value)}"
        elif place + 1 < len(found):
            found[place + 1] = _path(found[place + 1])
    return found


def _path(value: str) -> str:
    """The file, with its argument, that a value of --config names."""
    from randlabels import configs
    from randlabels.config import nearest

    name, colon, argument = value.partition(":")
    if not name or "/" in name or name.endswith(".py") or Path(name).is_file():
        return value
    (folder,) = configs.__path__
    shipped = tuple(sorted(path.stem for path in Path(folder).glob("[a-z]*.py")))
    if name not in shipped:
        _fail(f"--config={name} is neither a file nor a name; {nearest(name, shipped)}")
    return f"{Path(folder) / name}.py{colon}{argument}"


def _unknown_field(arguments: Sequence[str]) -> str | None:
    """The sentence about the first --config.<field> that no config has."""
    from randlabels.config import flatten, nearest
    from randlabels.configs import base

    known = tuple(flatten(base.get_config()))
    for argument in arguments[1:]:
        flag = argument.lstrip("-").partition("=")[0].partition("[")[0]
        name = flag.removeprefix("config.")
        if name not in (flag, *known):
            return f"{flag} is unknown; {nearest(name, known)}"
    return None


def _last_line(error: Exception) -> str:
    """What an exception says; ml_collections puts whole tracebacks into its messages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if isinstance(error, flags.Error):
        return lines[-1].removeprefix("randlabels.errors.InputError: ")
    return f"the config cannot be loaded: {type(error).__name__}: {lines[-1] if lines else ''}"


def _fail(sentence: str, code: int = 1) -> NoReturn:
    print(f"randlabels: {sentence}", file=sys.stderr)
    sys.exit(code)
