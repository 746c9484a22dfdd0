"""Front doors as processes that can be killed.

Each is forked from this one, which has imported everything but has started no backend of JAX, so
that a trial costs no seconds of imports. Nothing here may start one.
"""

import dataclasses
import os
import resource
import runpy
import shlex
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

LIMIT = 60.0  # seconds; who takes longer hangs
HANGS = "hangs"
_BLANK = " \x1b[A"  # tqdm moves the cursor up


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        code: exit status; negative for the signal that killed it, None for one that hung.
        output: what it printed.
        seconds: that it ran, or from the last signal that it was sent.
    """

    code: int | None
    output: str
    seconds: float

    @property
    def broken(self) -> str:
        """What must never be: that it hangs, a traceback, an error of many lines; or ""."""
        if self.code is None:
            return HANGS
        if "Traceback (most recent call last)" in self.output:
            return f"traceback: {self.output[-3000:]}"
        lines = [line for line in self.output.splitlines() if line.strip(_BLANK)]
        lines = [line for line in lines if "%|" not in line]  # bars
        if self.code > 0 and len(lines) > 12:
            return f"many lines of error: {self.output[-3000:]}"
        return ""


class Process:
    """A child under way."""

    def __init__(self, body: Callable[[], None], largest_file: int | None = None):
        """Start it.

        Args:
            body: what it does.
            largest_file: in bytes; writing more fails, as it does where a quota is used up.
        """
        descriptor, name = tempfile.mkstemp(prefix="soak-output-")
        self._log = Path(name)
        self._started = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            _be(body, descriptor, largest_file)
        os.close(descriptor)

    def send(self, number: int) -> None:
        """Send a signal; the time that `wait` gives counts from here."""
        self._started = time.monotonic()
        os.kill(self.pid, number)

    def wait(self, limit: float = LIMIT) -> Ended:
        """Wait until it ends; one that hangs is killed."""
        code: int | None = None
        while time.monotonic() - self._started < limit:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                break
            time.sleep(0.01)
        else:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        seconds = time.monotonic() - self._started
        output = self._log.read_text(errors="replace")
        self._log.unlink()
        return Ended(code, output, seconds)


def _be(body: Callable[[], None], descriptor: int, largest_file: int | None) -> None:
    """Be the child: run the body and exit; never return."""
    code = 1
    try:
        tqdm.set_lock(threading.RLock())  # the parent's is shared, and would be lost with a kill
        os.setpgid(0, 0)  # Ctrl-C at the terminal is for the soak test, which then ends its trial
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        if largest_file is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
        body()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def door(name: str, arguments: Sequence[str]) -> Callable[[], None]:
    """The body of a front door, `python -m randlabels.<name> <arguments>`."""

    def body() -> None:
        sys.argv = [f"randlabels.{name}", *arguments]
        runpy.run_module(f"randlabels.{name}", run_name="__main__", alter_sys=True)

    return body


def command(name: str, arguments: Sequence[str]) -> str:
    """The same, as one would type it."""
    return shlex.join(["python", "-m", f"randlabels.{name}", *arguments])


def printed_by(body: Callable[[], None]) -> str:
    """What a function prints, run in a child as it may start a backend.

    Raises:
        RuntimeError: if it fails.
    """
    ended = Process(body).wait()
    if ended.code != 0:
        raise RuntimeError(ended.output)
    return ended.output
