"""What the front doors share: parsing of flags, and one sentence for bad input."""

import contextlib
import errno
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from logging import Formatter
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags, logging
from ml_collections import config_flags

from randlabels import compiled, help_text, interrupts, progress, watched
from randlabels.backend import check_backend
from randlabels.errors import AllLostError, InputError, cut, shown

_KINDS = {int: "a whole number", float: "a number", bool: "true or false"}
ALL_LOST = 3  # exit code where nothing was wrong with the input, and yet no network is left
_NO_CONFIGS = (".json", ".md", ".txt", ".yaml", ".yml", ".toml")
_NO_MEMORY = "memory is used up; close other programs, or give less data."
_LONGEST = 400  # characters of what others' exceptions say


class _AboveBars:
    """Prints log lines above the progress bar, to which they would otherwise be glued."""

    def write(self, text: str) -> None:
        """Print a line above the bar."""
        if text.strip():
            progress.say(text.rstrip("\n"))

    def flush(self) -> None:
        """Flush what was written."""
        sys.stderr.flush()

    def close(self) -> None:
        """absl closes its stream at exit; standard error stays open."""


def define_config(flag_values: flags.FlagValues = flags.FLAGS) -> flags.FlagHolder[Any]:
    """The flag --config, whose definition alone reads the command line and its --flagfile."""
    _expanded(sys.argv)
    return config_flags.DEFINE_config_file(
        "config", None, "Configuration file.", flag_values=flag_values, lock_config=True
    )


def must_be_given(name: str, flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Refuse an empty value of a flag that names a folder: it would be the current one."""
    flags.register_validator(
        name,
        lambda value: value != "",
        message="must name a folder, such as runs/base.",
        flag_values=flag_values,
    )


def define_distributed() -> None:
    """The flag --distributed, of a front door that several processes may run together."""
    flags.DEFINE_string(
        "distributed",
        "",
        "Use the devices of several processes, in each of which the command is given: auto on a "
        "TPU slice or under SLURM, else ADDRESS:PORT,COUNT,INDEX (of process 0; how many; which).",
    )
    flags.DEFINE_integer("wait", 300, "Seconds in which the other processes have to come.", 1)


def run(main: Callable[[], None]) -> NoReturn:
    """Parse the flags and call main().

    Bad input prints one sentence and exits with 1; so does a run of which all networks are lost,
    with ALL_LOST.
    """

    def guarded(arguments: Sequence[str]) -> None:
        if len(arguments) > 1:
            _fail(f"unexpected argument {arguments[1]!r}; flags start with --.")
        handler = logging.get_absl_handler()
        handler.python_handler.stream = _AboveBars()
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)  # Orbax logs 40 lines for each checkpoint
            handler.setFormatter(Formatter("%(levelname)s: %(message)s"))
        try:
            with _joined(str(flags.FLAGS.distributed) if "distributed" in flags.FLAGS else ""):
                check_backend()
                with compiled.kept():
                    main()
            sys.stdout.flush()  # where it cannot be written is noticed here
        except InputError as error:  # a write to a dead disk may hang for ever: nobody waits for it
            interrupts.leave(f"randlabels: {error}", 1)
        except AllLostError as error:
            _fail(str(error), ALL_LOST)
        except MemoryError:
            interrupts.leave(f"randlabels: {_NO_MEMORY}", 1)
        except OSError as error:
            _refuse_unwritable(error)
            raise

    # What is closed (2>&-) is None, and would be asked whether it is a terminal.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    _answer_questions(sys.argv[1:])
    interrupts.install()
    try:
        app.run(guarded, flags_parser=parse)
    except BaseException as error:
        interrupts.leave_if_caused(error)
        raise


@contextlib.contextmanager
def _joined(where: str) -> Iterator[None]:
    """With the other processes of the run, if there are any; in a process that is watched."""
    if not where:
        yield
        return
    from randlabels import hosts

    hosts.check(where)
    if not watched.is_watched():
        watched.watch()
    watched.end_with_watcher()
    hosts.join(where, flags.FLAGS.wait)
    try:
        yield
    except Exception as error:
        if hosts.came_of_others(error):
            interrupts.leave(watched.GONE, watched.ALONE)
        if hosts.is_of_all(error):
            hosts.leave()
        raise
    except interrupts.Interrupted:  # all of them end after the same epoch
        hosts.leave()
        raise
    hosts.leave()


def _answer_questions(arguments: Sequence[str]) -> None:
    """End the process with 0 where help or the version is asked for, whatever else is given."""
    for argument in arguments:
        if argument in ("--help", "-h", "-help", "--helpshort"):
            print(help_text.help_of(sys.modules["__main__"]))
        elif argument in ("--version", "-version"):
            print(help_text.version())
        else:
            continue
        sys.stdout.flush()
        sys.exit(0)


def _refuse_unwritable(error: OSError) -> None:
    """End the process if standard output or error is what could not be written: it has no name."""
    if error.filename is not None:
        return
    if error.errno == errno.EPIPE:  # whoever read it has ended, as `head` does
        os._exit(1)
    if error.errno == errno.ENOSPC:
        interrupts.leave(f"randlabels: standard output cannot be written: {error.strerror}.", 1)


def parse(arguments: Sequence[str]) -> list[str]:
    """Parse flags; an unknown or ill-typed one is one sentence, not a traceback."""
    arguments = _expanded(arguments)
    if "config" in flags.FLAGS:
        arguments = _last_of_repeated(_with_paths(arguments))
    try:
        rest = flags.FLAGS(arguments)
        # The first use, at which a missing file is noticed.
        if "config" in flags.FLAGS and not hasattr(flags.FLAGS.config, "keys"):
            raise TypeError(f"get_config of {_config_file(arguments)} returns no ConfigDict")
    except OSError:
        _fail(f"there is no file {_config_file(arguments)} for --config.")
    except Exception as error:  # whatever a config file raises, and what ml_collections makes of it
        _fail(_unknown_field(arguments) or _last_line(error))
    except SystemExit as error:
        if error.code:  # --help, which absl ends so
            raise
        _fail(f"the config {_config_file(arguments)} ends Python; it shall define get_config().")
    return rest


def _expanded(arguments: Sequence[str]) -> list[str]:
    """The arguments with those of each --flagfile in its place."""
    try:
        return list(flags.FLAGS.read_flags_from_files(arguments, force_gnu=False))
    except (flags.Error, OSError, ValueError, RecursionError):
        names = [a.partition("flagfile=")[2] for a in arguments if "flagfile=" in a]
        _fail(
            f"--flagfile={cut(''.join(names[:1]))} is no text file of flags; give the path of one."
        )


def _last_of_repeated(arguments: Sequence[str]) -> list[str]:
    """The arguments without those that a later one of the same tuple field replaces.

    ml_collections joins the tuples of repeated flags, where every other flag takes the last.
    """
    from randlabels.configs import base

    tuples = {f"config.{n}" for n, f in base.FIELDS.items() if isinstance(f.default, tuple)}
    kept: list[list[str]] = []  # each flag with the value that follows it, if one does
    for argument in arguments[1:]:
        waits = kept and len(kept[-1]) == 1 and kept[-1][0].lstrip("-") in tuples
        if waits and kept[-1][0].startswith("-"):
            kept[-1].append(argument)
        else:
            kept.append([argument])
    names = [group[0].lstrip("-").partition("=")[0] for group in kept]
    last = {name: place for place, name in enumerate(names)}
    groups = [
        group
        for place, (name, group) in enumerate(zip(names, kept, strict=True))
        if name not in tuples or last[name] == place
    ]
    return [arguments[0], *(argument for group in groups for argument in group)]


def _with_paths(arguments: Sequence[str]) -> list[str]:
    """The arguments with --config=NAME, of a config that comes with the package, made a path."""
    found, given = list(arguments), 0
    for place, argument in enumerate(found[1:], start=1):
        flag, equals, value = argument.partition("=")
        if flag not in ("--config", "-config"):
            continue
        given += 1
        if given > 1:
            _fail("--config is given twice; give it once.")
        if equals:
            found[place] = f"{flag}={_path(value)}"
        elif place + 1 < len(found):
            found[place + 1] = _path(found[place + 1])
    return found


def _path(value: str) -> str:
    """The file, with its argument, that a value of --config names."""
    from randlabels.config_rules import nearest
    from randlabels.named_config import shipped

    name, colon, argument = value.partition(":")
    if name.endswith(_NO_CONFIGS) and _is_file(name):
        _fail(f"--config={cut(name)} is no config: give a Python file with get_config, or a name.")
    if not name or "/" in name or name.endswith(".py") or _is_file(name):
        return value
    files = shipped()
    if name not in files:
        _fail(f"--config={cut(name)} is neither a file nor a name; {nearest(name, tuple(files))}")
    return f"{files[name]}{colon}{argument}"


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # too long, or a zero byte
        return False


def _config_file(arguments: Sequence[str]) -> str:
    """The file that the last --config names, for a sentence."""
    pairs = zip(arguments[1:], (*arguments[2:], ""), strict=True)
    values = [
        value if equals else following
        for (flag, equals, value), following in ((a.partition("="), b) for a, b in pairs)
        if flag in ("--config", "-config")
    ]
    return shown(values[-1].partition(":")[0] if values else "")


def _unknown_field(arguments: Sequence[str]) -> str | None:
    """The sentence about the first --config.<field> that no config has."""
    from randlabels.config_rules import flatten, nearest
    from randlabels.configs import base

    known = tuple(flatten(base.get_config()))
    for argument in arguments[1:]:
        flag = argument.lstrip("-").partition("=")[0].partition("[")[0]
        name = flag.removeprefix("config.")
        if name not in (flag, *known):
            return f"{cut(flag)} is unknown; {nearest(name, known)}"
    return None


def _config_hint(flag: str) -> str:
    """What to write instead of the bare name of a field: --epochs is --config.train.epochs."""
    from randlabels.configs import base

    fields = [name for name in base.FIELDS if name.rpartition(".")[2] == flag]
    return f". Did you mean {' or '.join(f'--config.{n}' for n in fields)}?" if fields else ""


def _last_line(error: Exception) -> str:
    """What an exception says; ml_collections puts whole tracebacks into its messages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    last = last if len(last) <= _LONGEST else f"{last[:_LONGEST]}..."
    given = re.search(r"Flag (--\w+) must have a value other than None", last)
    if given:
        return f"{given[1]} must be given."
    ill_typed = re.fullmatch(r"flag --(config\.[\w.]+)=(.*?): .*", last)
    if ill_typed and isinstance(error, flags.IllegalFlagValueError):
        return _ill_typed(ill_typed[1], ill_typed[2]) or last
    if isinstance(error, flags.UnrecognizedFlagError) and "config" in flags.FLAGS:
        return last + _config_hint(error.flagname)
    if isinstance(error, flags.Error):
        return last.removeprefix("randlabels.errors.InputError: ")
    return f"the config cannot be loaded: {type(error).__name__}: {last}"


def _ill_typed(flag: str, given: str) -> str | None:
    """The sentence about a value that is not of the type of its field."""
    from randlabels.configs import base

    field = base.FIELDS.get(flag.removeprefix("config."))
    kind = _KINDS.get(type(field.default)) if field else None
    return f"{flag} must be {kind}, not {shown(given)}." if kind else None


def _fail(sentence: str, code: int = 1) -> NoReturn:
    print(f"randlabels: {sentence}", file=sys.stderr)
    sys.exit(code)
