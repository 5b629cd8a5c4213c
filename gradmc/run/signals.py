"""Signals and a time budget end a run in good order, or at once if it does not listen.

Ctrl-C once, SIGTERM, SIGUSR1 and SIGHUP (a terminal that is closed) let each chain finish its chunk, save everything,
and leave the run ready to be resumed. The process ends at once, whatever runs, and the last checkpoint stands

* at a second Ctrl-C or SIGTERM,
* if it still runs `GRACE` seconds after SIGTERM,
* when the time budget is used up while the model is being compiled, and if it still runs a while after that later.

Python runs a handler in the main thread, between two of its own instructions: never while compiled code runs. So
signals are also written to a pipe (`signal.set_wakeup_fd`), which a thread reads, the guard. Signals that the process
was started to ignore (`nohup`) stay ignored.
"""

import _thread
import math
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP")
INSISTING = ("SIGINT", "SIGTERM")
"""Signals that end the process at once where another one came before."""

EXIT_CODE = 75
INTERRUPTED = 130

GRACE = 10.0
"""Seconds after SIGTERM in which the chains can finish their chunks (0.3 s each); batch systems wait for 30 s or so."""

SHARE = 0.1
"""Of a time budget: how much longer the chains may take to finish their chunks, if that is more than `GRACE`."""

SHOW_CURSOR = b"\x1b[?25h"
"""A display may have hidden it."""


@dataclass(slots=True)
class Requests:
    """What has asked the run to stop, if anything.

    Attributes:
        received: the name of a signal.
        hard: whether the process ends at once where it has to, rather than KeyboardInterrupt being raised at a second
            Ctrl-C, as Python does.
        watched: whether the chains run, and their watch (`gradmc.run.recorded`) answers.
        close: called with the ending (`signal` or `time`) and the signal's name if the process has to end at once.
        budget: seconds, and when they are used up (`time.monotonic`).
        insisted: until when the chains have time, after SIGTERM.
    """

    received: str = ""
    hard: bool = True
    watched: bool = False
    close: Callable[[str, str], None] | None = None
    budget: tuple[float, float] = (math.inf, math.inf)
    insisted: float = math.inf
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take note of a signal."""
        del frame
        with self._lock:
            first, self.received = not self.received, self.received or signal.Signals(number).name
        if not first and not self.hard and number == signal.SIGINT:
            raise KeyboardInterrupt
        if first and self.hard and not self.watched:
            _tell(b"\nstopping as soon as the model is compiled; Ctrl-C again stops at once\n")

    def guard(self, number: int) -> None:
        """Take note of a signal, or end the process; called in the guard."""
        name = signal.Signals(number).name
        self._count += 1
        if self._count > 1 and name in INSISTING:
            self.end("signal", self.received or name, b"")
        if name == "SIGTERM":
            self.insisted = min(self.insisted, time.monotonic() + GRACE)

    @property
    def deadline(self) -> float:
        """When the process has to end (`time.monotonic`)."""
        seconds, ends = self.budget
        return min(self.insisted, ends + max(GRACE, SHARE * seconds) if self.watched else ends)

    def overdue(self) -> None:
        """End the process, since its deadline has passed; called in the guard."""
        if self.insisted <= time.monotonic():
            self.end("signal", self.received, b"")
        else:
            self.end("time", "", b"the time budget is used up: ")

    def settle(self) -> None:
        """All is saved: nothing has to be closed any more, and there is no hurry."""
        self.close, self.budget, self.insisted = None, (math.inf, math.inf), math.inf

    def end(self, ending: str, detail: str, why: bytes) -> None:
        """End the process at once."""
        if self.close is not None:
            with suppress(Exception):
                self.close(ending, detail)
        _tell(b"\n" + why + b"stopped at once; `gradmc resume` goes on from the last checkpoint\n")
        os._exit(EXIT_CODE)


@contextmanager
def listening(names: Sequence[str] = NAMES, *, hard: bool = True) -> Iterator[Requests]:
    """Listen for signals while the context lasts; only the main thread can, elsewhere nothing is changed.

    Args:
        names: of the signals.
        hard: whether the process ends at once where it has to; else a second Ctrl-C raises KeyboardInterrupt.
    """
    requests = Requests(hard=hard)
    if threading.current_thread() is not threading.main_thread():
        yield requests
        return
    present = [getattr(signal, name) for name in names if hasattr(signal, name)]
    heeded = [number for number in present if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, requests.handle) for number in heeded}
    try:
        guarded = _guarded(requests.guard, lambda: requests.deadline, requests.overdue)
        with guarded if hard else nullcontext():
            yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interruptible() -> Iterator[None]:
    """A second Ctrl-C ends the process at once, while the first is Python's KeyboardInterrupt.

    One that Python raises where it cannot get out (a callback of the garbage collector) comes again a moment later.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupts, before = Interrupts(), sys.unraisablehook

    def unraisable(lost: Any) -> None:
        if lost.exc_type is KeyboardInterrupt:
            interrupts.again()
        else:
            before(lost)

    sys.unraisablehook = unraisable
    try:
        with _guarded(interrupts.guard, lambda: math.inf, lambda: None):
            yield
    finally:
        sys.unraisablehook = before


@dataclass(slots=True)
class Interrupts:
    """How often Ctrl-C was pressed."""

    count: int = 0

    def again(self) -> None:
        """Let the last one come again, which is not another one."""
        self.count -= 1
        threading.Timer(0.01, _thread.interrupt_main).start()

    def guard(self, number: int) -> None:
        """End the process at the second time."""
        self.count += number == signal.SIGINT
        if self.count > 1:
            _tell(b"\ninterrupted\n")
            os._exit(INTERRUPTED)


@contextmanager
def _guarded(
    guard: Callable[[int], None], deadline: Callable[[], float], overdue: Callable[[], None]
) -> Iterator[None]:
    """A thread that learns of every signal with a handler, and calls `overdue` when a deadline has passed."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def work() -> None:
        while True:
            left = deadline() - time.monotonic()
            ready, _, _ = select.select([reading], [], [], min(max(left, 0.0), 0.2))
            for number in os.read(reading, 64) if ready else b"":
                if number == 0:
                    return
                guard(number)
            if deadline() <= time.monotonic():
                overdue()

    thread = threading.Thread(target=work, name="gradmc guard", daemon=True)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.write(writing, b"\0")
        thread.join()
        os.close(reading)
        os.close(writing)


def _tell(text: bytes) -> None:
    with suppress(OSError):
        os.write(2, (SHOW_CURSOR if os.isatty(2) else b"") + text)
