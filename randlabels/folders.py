"""Paths that the user names, looked at before anything else is done with them."""

import os
import re
import stat
from pathlib import Path

from randlabels.errors import InputError, shown

_LONGEST = 255  # bytes of one name, on the usual file systems


def check_can_hold_checkpoints(folder: str | Path) -> None:
    """Make sure that a run can have its checkpoints in a folder.

    Raises:
        InputError: if its path has [ or \\, which Orbax takes for patterns, or if it is among the
            checkpoints of another run.
    """
    above = [p for p in Path(folder).resolve().parents if p.name == "checkpoints"]
    if any((p.parent / "config.json").exists() for p in above):
        raise InputError(
            f"workdir {shown(str(folder))} is among the checkpoints of another run; give another."
        )
    odd = [c for c in "[\\" if c in str(Path(folder).resolve())]
    if odd:
        raise InputError(
            f"workdir {shown(str(folder))} has {odd[0]} in its name or above it, where "
            "checkpoints cannot be written; give another name."
        )


def expanded(what: str, path: str | Path) -> Path:
    """A path with ~ replaced by the home of the user that it means.

    Args:
        what: names the path, such as "--source".
        path: as the user gave it.

    Raises:
        InputError: if there is no such user, or nothing is known of a home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(
            f"{what} {shown(str(path))} begins with the home of a user that is not known; give the "
            "path without ~."
        ) from error


def existing(what: str, path: str | Path) -> Path:
    """A path with ~ replaced, of a plain file or a folder that is there.

    Pipes and devices are neither: opening or reading one might never end.

    Args:
        what: names the path, such as "--source".
        path: as the user gave it.

    Raises:
        InputError: if there is no such file, it is something else, or it may not be looked at.
    """
    found, named = expanded(what, path), f"{what} {shown(str(path))}"
    try:
        mode = found.stat().st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{what} {str(path)!r} does not exist.") from error  # to its very end
    except (OSError, ValueError) as error:  # a zero byte is a ValueError
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputError(f"{named} cannot be read ({why}); give another path.") from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise InputError(f"{named} is no plain file, nor a folder; give one.")
    return found


def check_folder(what: str, path: str | Path) -> None:
    """Make sure that a path is a folder of this machine, or nothing yet.

    Args:
        what: names the path, such as "workdir".
        path: as the user gave it; "" is the current folder.

    Raises:
        InputError: if it is an address, a file, a link to nothing or to itself, below a file, too
            long, no UTF-8, or may not be looked at.
    """
    named = f"{what} {shown(str(path))}"
    if re.match(r"[a-z][a-z0-9+.-]*:/", str(path)):  # a Path has made one slash of the two
        raise InputError(f"{named} is an address; give a folder of this machine.")
    if str(path) != os.fsencode(path).decode("utf-8", "replace"):  # Orbax writes no such folders
        raise InputError(f"{named} is no text in UTF-8; give another name, or set LC_ALL=C.UTF-8.")
    if any(len(os.fsencode(part)) > _LONGEST for part in Path(path).parts):
        raise InputError(f"{named} has a name of more than {_LONGEST} bytes; give a shorter one.")
    try:
        is_folder = Path(path).is_dir() if os.stat(path or ".") else False
    except FileNotFoundError:
        if Path(path).is_symlink():
            raise InputError(f"{named} is a link that leads nowhere; give a folder.") from None
        return
    except ValueError as error:  # a zero byte
        raise InputError(f"{named} is no path of a folder; give one.") from error
    except OSError as error:
        why = (error.strerror or "it cannot be read").lower()
        raise InputError(f"{named} cannot be used ({why}); give another folder.") from error
    if not is_folder:
        raise InputError(f"{named} is no folder; give one.")
