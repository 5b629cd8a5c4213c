"""Checks keep to their time, and answer signals."""

import signal
import threading
import time
from collections.abc import Iterator

import pytest

import gradmc as gm
from gradmc import Real
from gradmc.check.clock import Clock, OutOfTime
from gradmc.errors import UsageError


def worked(seconds: float) -> None:
    """Keep the processor busy."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_what_is_done_in_time_is_all_there() -> None:
    assert Clock(60.0).collect(lambda: iter([1, 2, 3]), "") == ([1, 2, 3], True)


def test_a_check_ends_at_its_share_and_keeps_what_it_found() -> None:
    clock = Clock(0.4)

    def endless() -> Iterator[int]:
        for k in range(1_000):
            yield k
            worked(0.01)
            clock.check()

    found, done = clock.collect(endless, "")
    assert not done
    assert 0 < len(found) < 100
    assert clock.left() > 0.0
    assert clock.collect(lambda: iter([1]), "") == ([1], True)


def test_after_the_time_nothing_begins() -> None:
    clock = Clock(0.05)
    worked(0.06)
    assert clock.collect(lambda: iter([1]), "") == ([], False)
    with pytest.raises(OutOfTime):
        clock.check()


def test_an_error_of_a_check_is_raised() -> None:
    def wrong() -> Iterator[int]:
        yield 1
        raise ValueError("not this one")

    with pytest.raises(ValueError, match="not this one"):
        Clock(60.0).collect(wrong, "")


def test_a_signal_is_answered_while_a_check_works() -> None:
    released = threading.Event()

    def deaf() -> Iterator[int]:
        released.wait(20.0)  # as compiled code, which hears nothing
        yield 1

    def answered(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, answered)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    began = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            Clock(60.0).collect(deaf, "")
    finally:
        signal.signal(signal.SIGALRM, before)
        released.set()
    assert time.monotonic() - began < 10.0


@gm.model
def slow(x: Real):
    """Half a million iterations, and more where x is small."""
    s = 1.0
    while s > 1e-3:
        s = s * (1.0 - 1e-5)
    return -x * x - s


def test_a_report_names_what_there_was_no_time_for() -> None:
    report = gm.check(slow, {}, seconds=0.05)
    assert "identifiability" in report.skipped
    assert "checks may take 0.05 s" in report.skipped["identifiability"]
    assert "identifiability" not in report.checks


def test_the_time_is_above_nothing() -> None:
    with pytest.raises(UsageError, match="seconds must be a number above 0"):
        gm.check(slow, {}, seconds=0)
