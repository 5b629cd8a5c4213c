"""Which signals stop a run, and what is said of them."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gradmc.run.signals import interruptible, listening

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs the signals of Unix")


@contextmanager
def handled(number: signal.Signals, handler: signal.Handlers) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"])
def test_a_signal_is_a_request(number: str) -> None:
    with handled(signal.Signals[number], signal.default_int_handler):  # a test run in the background ignores some
        with listening() as requests:
            os.kill(os.getpid(), signal.Signals[number])
            assert requests.received == number
        assert signal.getsignal(signal.Signals[number]) is signal.default_int_handler


def test_a_signal_that_nohup_ignores_stays_ignored() -> None:
    with handled(signal.SIGHUP, signal.SIG_IGN), listening() as requests:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not requests.received


@pytest.mark.parametrize("watched", [False, True])
def test_before_the_chains_run_the_handler_itself_speaks(watched: bool, capfd: pytest.CaptureFixture[str]) -> None:
    with listening() as requests:
        requests.watched = watched
        os.kill(os.getpid(), signal.SIGTERM)
    assert ("as soon as the model is compiled" in capfd.readouterr().err) is not watched


def test_an_interrupt_that_python_drops_comes_again() -> None:
    """As in a callback of the garbage collector, out of which no exception gets; nothing is shown of the first."""

    class Dropped:
        def __del__(self) -> None:
            raise KeyboardInterrupt

    before = sys.unraisablehook
    with handled(signal.SIGINT, signal.default_int_handler), interruptible():
        Dropped()
        with pytest.raises(KeyboardInterrupt):
            time.sleep(20.0)
    assert sys.unraisablehook is before
