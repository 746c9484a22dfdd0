"""SIGINT (Ctrl-C) and SIGTERM: training finishes its epoch, all else ends promptly.

Python runs handlers of signals between two of its own instructions, which is late while a program
is compiled or an epoch runs. So a thread of its own is woken by the system at once: it ends the
process after a moment if the main thread has not done so by itself, and at the second signal
without any delay. What comes within the blink of an eye of the first is the same one: timeout(1)
and some schedulers send it to a process and once more to its group. Nothing is raised while
training, so that no write is cut in two.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)
AT_ONCE = "Interrupted; continue with the same command."
_MOMENT = 3.0  # seconds that the main thread has to end by itself
_BLINK = 0.2  # seconds


class Interrupted(KeyboardInterrupt):
    """Raised in the main thread when a signal came; its message is the sentence for the user.

    Attributes:
        code: the exit code, 128 and the number of the signal.
    """

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


class _State:
    """What has come, and what is to be done about it. One for the process."""

    def __init__(self) -> None:
        self.received = 0  # the first signal
        self.finishing = False  # the main thread looks by itself at the end of each epoch
        self.sentence = AT_ONCE
        self.on_exit: Callable[[], None] | None = None


_state = _State()


def install() -> None:
    """Handle the signals from now on. To be called once, from the main thread."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, _handle)
    threading.Thread(target=_watch, args=(reader,), daemon=True).start()
    sys.unraisablehook = _unraisable


def requested() -> int:
    """The exit code that a signal has asked for, 0 if none came."""
    return 128 + _state.received if _state.received else 0


@contextlib.contextmanager
def ending_with(sentence: str, on_exit: Callable[[], None] | None = None) -> Iterator[None]:
    """What is said and done, within the body, by a process that a signal ends.

    Args:
        sentence: for the user.
        on_exit: called before a process that is stuck is ended; it has to be brief. None is what
            was called already.
    """
    before = _state.sentence, _state.on_exit
    _state.sentence, _state.on_exit = sentence, on_exit or _state.on_exit
    try:
        yield
    finally:
        _state.sentence, _state.on_exit = before


def ending_after(epoch: int) -> AbstractContextManager[None]:
    """What is said, within the body, by a process that is ended while it compiles."""
    return ending_with(_after(epoch))


def interrupted_after(epoch: int, code: int) -> Interrupted:
    """The exception for a run that has saved an epoch, since a signal has come.

    Args:
        epoch: that is saved.
        code: with which the process exits, see `requested`; of another process, it may be.
    """
    return Interrupted(_after(epoch), code)


def _after(epoch: int) -> str:
    return f"Interrupted after epoch {epoch}; continue with the same command."


@contextlib.contextmanager
def finishing() -> Iterator[None]:
    """Within the body the first signal only is noted: who runs it asks `requested`."""
    raise_if_requested()
    _state.finishing = True
    try:
        yield
    finally:
        _state.finishing = False


def leave(sentence: str, code: int) -> NoReturn:
    """Say the sentence and end the process, without waiting for threads that may be stuck."""
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        sys.stdout.flush()
        sys.stderr.flush()
    with contextlib.suppress(OSError):  # not print(): the main thread may hold its lock
        os.write(2, f"{sentence}\n".encode())
    os._exit(code)


def leave_if_caused(error: BaseException) -> None:
    """End the process as a signal asks if the exception came of it, wrapped or not."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, Interrupted):
            leave(f"randlabels: {cause}", cause.code)
        cause = cause.__cause__ or cause.__context__


def _unraisable(unraisable: "sys.UnraisableHookArgs") -> None:
    """Do not print what came of a signal where nothing can be raised, as while garbage is freed.

    The signal is not lost: the epoch loop asks for it, and the watching thread waits for the end.
    """
    if not isinstance(unraisable.exc_value, Interrupted):
        sys.__unraisablehook__(unraisable)


def _handle(number: int, frame: object) -> None:
    if not _state.received:
        _state.received = number
    if not _state.finishing:
        raise_if_requested()


def raise_if_requested() -> None:
    """Raise the exception for the signal that has come, if one has."""
    if _state.received:
        raise Interrupted(_state.sentence, 128 + _state.received)


def _watch(reader: int) -> None:
    """Wait for signals. A process has as many as it likes; the second ends it."""
    first = _next(reader)
    _state.received = _state.received or first
    threading.Thread(target=_end_if_stuck, args=(128 + first,), daemon=True).start()
    came = time.monotonic()
    while _next(reader) and time.monotonic() - came < _BLINK:
        pass
    leave(f"randlabels: {AT_ONCE}", 128 + first)


def _next(reader: int) -> int:
    while True:
        number = os.read(reader, 1)[0]
        if number in SIGNALS:
            return number


def _end_if_stuck(code: int) -> None:
    wait = threading.Event()
    while _state.finishing:
        wait.wait(0.05)
    wait.wait(_MOMENT)
    if _state.on_exit is not None:
        with contextlib.suppress(Exception):
            _state.on_exit()
    leave(f"randlabels: {_state.sentence}", code)
