"""Signals end a run in good order.

Ctrl-C once, SIGTERM and SIGUSR1 let each chain finish its chunk, save everything, and leave the run ready
to be resumed. A second Ctrl-C ends the process at once; the last checkpoint stands.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGUSR1")
EXIT_CODE = 75


@dataclass(slots=True)
class Requests:
    """The signal that has asked the run to stop, if any."""

    received: str = ""

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal; a second Ctrl-C ends the process."""
        del frame
        name = signal.Signals(number).name
        if self.received and name == "SIGINT":
            os.write(2, b"\nstopped at once; `gradmc resume` goes on from the last checkpoint\n")
            os._exit(EXIT_CODE)
        if not self.received:
            os.write(2, b"\nfinishing the present chunk; Ctrl-C again stops at once\n")
        self.received = self.received or name


@contextmanager
def listening() -> Iterator[Requests]:
    """Listen for signals while the context lasts; only the main thread can, elsewhere nothing is changed."""
    requests = Requests()
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return
    present = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    before = {number: signal.signal(number, requests.handle) for number in present}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
