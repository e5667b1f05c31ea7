"""Being told to stop: the step that is being taken is finished and a state is written, so that nothing is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

from curate.errors import CurateError

# Ctrl-C, and what a cluster sends before it takes the machine back.
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stopped(CurateError):  # noqa: N818 (it is no error)
    """Training was told to stop, and left a state to go on from."""

    exit_code = 130  # what shells report for Ctrl-C


@dataclass
class Stop:
    """Whether this process was told to stop."""

    asked: bool = False


@contextmanager
def stopping(say: Callable[[str], None], *, alone: bool) -> Iterator[Stop]:
    """Hear the first Ctrl-C or SIGTERM as a wish; a second one ends the program, where it is `alone`.

    Several processes are signalled by the terminal and by their launcher, so there a second says no more than one.
    Signals are heard in the main thread only; elsewhere they do what they did.
    """
    stop = Stop()

    def hear(_number: int, _frame: FrameType | None) -> None:
        if stop.asked and alone:
            raise KeyboardInterrupt
        if not stop.asked:
            stop.asked = True
            say("stopping after this step, with a state to go on from; once more to stop at once")

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, hear) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
