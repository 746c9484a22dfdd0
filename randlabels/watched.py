"""A process of several, started and watched by another, so that its end is always explained.

Where one of the processes of a run dies, JAX aborts the others from a thread of its own: nothing in
them can say why. So the command starts itself once more, as the process that works, waits for it,
passes signals on, and says one sentence if it did not end by itself.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from typing import NoReturn

ALONE = 75  # exit code where other processes are gone: the same command continues (EX_TEMPFAIL)
_CHILD = "RANDLABELS_WATCHED_BY"  # in the environment of the process that works
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ASK_AGAIN = 2.0  # seconds

GONE = (
    "randlabels: another process of this run has ended or cannot be reached; give the command "
    "again in all of them, and the run continues from its last checkpoint."
)


def is_watched() -> bool:
    """Whether this is the process that works."""
    return os.environ.get(_CHILD) == str(os.getppid())


def watch() -> NoReturn:
    """Start this command as the process that works, and end as it does.

    It exits with the code of that process; with ALONE and one sentence if it was aborted, with 128
    plus the signal and one sentence if it was killed.
    """
    working = subprocess.Popen(
        sys.orig_argv,
        env=os.environ | {_CHILD: str(os.getpid())},
        process_group=0,  # a terminal's Ctrl-C comes to this one alone, which passes it on
    )

    def pass_on(number: int, frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            working.send_signal(number)

    for number in _SIGNALS:
        signal.signal(number, pass_on)
    code = working.wait()
    if code == -signal.SIGABRT:
        _say(GONE)
        os._exit(ALONE)
    if code < 0:
        name = signal.Signals(-code).name
        _say(f"randlabels: the process that worked was ended from outside ({name}).")
        os._exit(128 - code)
    os._exit(code)


def end_with_watcher() -> None:
    """End this process when the one that watches it is gone: nobody would be told of its end."""
    watcher = os.getppid()

    def ask() -> None:
        while os.getppid() == watcher:
            time.sleep(_ASK_AGAIN)
        os._exit(128 + signal.SIGHUP)

    threading.Thread(target=ask, daemon=True).start()


def _say(sentence: str) -> None:
    with contextlib.suppress(OSError):
        os.write(2, f"{sentence}\n".encode())
