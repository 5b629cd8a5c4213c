"""Signals end a run in good order.

Ctrl-C once, SIGTERM, SIGUSR1 and SIGHUP (a terminal that is closed) let each chain finish its chunk, save everything,
and leave the run ready to be resumed. A second Ctrl-C ends the process at once; the last checkpoint stands. Signals
that the process was started to ignore (`nohup`) stay ignored.
"""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")
EXIT_CODE = 75


@dataclass(slots=True)
class Requests:
    """The signal that has asked the run to stop, if any.

    Args:
        received: its name.
        hard: whether a second Ctrl-C ends the process, rather than raising KeyboardInterrupt as Python does.
        watched: whether the chains run, and their watch (`gradmc.run.recorded`) answers.
    """

    received: str = ""
    hard: bool = True
    watched: bool = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal; a second Ctrl-C ends the process."""
        del frame
        name = signal.Signals(number).name
        if self.received and name == "SIGINT" and not self.hard:
            raise KeyboardInterrupt
        if self.received and name == "SIGINT":
            _tell(b"\nstopped at once; `gradmc resume` goes on from the last checkpoint\n")
            os._exit(EXIT_CODE)
        if self.hard and not self.received and not self.watched:
            _tell(b"\nstopping as soon as the model is compiled; Ctrl-C again stops at once\n")
        self.received = self.received or name


@contextmanager
def listening(names: Sequence[str] = NAMES, *, hard: bool = True) -> Iterator[Requests]:
    """Listen for signals while the context lasts; only the main thread can, elsewhere nothing is changed.

    Args:
        names: of the signals.
        hard: whether a second Ctrl-C ends the process.
    """
    requests = Requests(hard=hard)
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return
    present = [getattr(signal, name) for name in names if hasattr(signal, name)]
    heeded = [number for number in present if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, requests.handle) for number in heeded}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(text: bytes) -> None:
    with suppress(OSError):
        os.write(2, text)
