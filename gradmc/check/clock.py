"""The time that checks may take: what runs out of it is ended, and signals are answered meanwhile.

A check runs in a thread of its own, since Python answers no signal while compiled code runs in the main one. One that
is over its time stops at its next evaluation; a plain run of the program is interrupted. Compiled code cannot be, but
ends by itself (`max_loop_iterations`): the other checks do not wait for it, only the end of the process does.
"""

import atexit
import contextvars
import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from gradmc.program.plainly import Interrupted, interrupt

POLL = 0.05
"""Seconds between two looks at signals."""

WAITING = 4.0
"""A second in which the process waits, for other processes or for input, counts as one divided by this."""

SHARE = 0.5
"""Of the time that is left: what one check may take, so that those after it have some."""


class OutOfTime(BaseException):
    """Ends a check from within; not an `Exception`, so that nothing on the way catches it."""


class Clock:
    """Counts the time of all checks together.

    Args:
        seconds: that they may take.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        self._began = time.process_time(), time.monotonic()
        self.seconds = seconds
        self._own = threading.local()

    def now(self) -> float:
        """Seconds since the beginning, of the processor: how busy the machine is with other work does not count."""
        worked, passed = time.process_time() - self._began[0], time.monotonic() - self._began[1]
        return max(worked, passed / WAITING)

    def left(self) -> float:
        """Seconds that are left to the check at hand."""
        return max(0.0, getattr(self._own, "until", self.seconds) - self.now())

    def check(self) -> None:
        """Go on, or not.

        Raises:
            OutOfTime: the time of the check at hand is over.
        """
        if self.left() <= 0.0 or getattr(self._own, "given_up", threading.Event()).is_set():
            raise OutOfTime

    def collect[T](self, made: Callable[[], Iterable[T]], file: str, share: float = SHARE) -> tuple[list[T], bool]:
        """What an iterable yields in the time that it may take, and whether that is all.

        Args:
            made: returns the iterable.
            file: of the program, whose plain run may be interrupted.
            share: of the time that is left, what it may take.
        """
        now = self.now()
        if now >= self.seconds:
            return [], False
        until = now + share * (self.seconds - now)
        found: list[T] = []
        errors: list[BaseException] = []
        ended, given_up, over = threading.Event(), threading.Event(), threading.Event()

        def work() -> None:
            self._own.until, self._own.given_up = until, given_up
            try:
                with np.errstate(all="ignore"):
                    for one in made():
                        found.append(one)
                ended.set()
            except (OutOfTime, Interrupted):
                pass
            except BaseException as error:
                errors.append(error)
            finally:
                over.set()

        context: Any = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(work,), name="gradmc-check", daemon=True)
        thread.start()
        try:  # an event: a thread whose join a signal interrupts counts as dead in Python 3.12
            while not over.wait(POLL) and self.now() < until:
                pass
            if not over.is_set():
                interrupt(thread, file)
        finally:
            given_up.set()
            if not over.is_set():  # the process must not end while it is in compiled code
                atexit.register(over.wait)
        if errors:
            raise errors[0]
        return list(found), ended.is_set()
